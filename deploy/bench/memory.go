package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"
)

// memory is B8: what Patchbay holds with many connectors and many executions in
// flight.
func memory(ctx context.Context, s *stage) (*result, error) {
	stub, err := s.start(ctx, "stub", "-hang")
	if err != nil {
		return nil, err
	}
	settings := []string{batchingOff, "PATCHBAY_MAX_IN_FLIGHT=4096", "PATCHBAY_ELASTICSEARCH_URL=http://" + stub.address}
	whole, err := s.product(ctx, settings...)
	if err != nil {
		return nil, err
	}
	p, err := s.parts(ctx, settings...)
	if err != nil {
		return nil, err
	}
	if err := s.addWorker(ctx, p, settings...); err != nil {
		return nil, err
	}

	var r result
	var notes strings.Builder
	fmt.Fprintf(&notes, "Resident memory, the median of the rounds.\n\n| Layout | Resident with %d connectors | with %d executions at the stub as well |\n|---|---|---|\n", s.connectors, s.held)
	for _, layout := range []struct {
		name string
		api  *process
		all  []*process
	}{{"all-in-one", whole, []*process{whole}}, {"broker, api and a worker", p.api, p.all()}} {
		fmt.Fprintf(s.progress, "  %s: making %d connectors\n", layout.name, s.connectors)
		if err := s.makeConnectors(ctx, layout.api); err != nil {
			return nil, err
		}
		idle, err := resident(layout.all)
		if err != nil {
			return nil, err
		}
		found := row{
			what:     fmt.Sprintf("Memory of %s, %d connectors, %d executions in flight", layout.name, s.connectors, s.held),
			baseline: "–", reach: 200 << 20, aim: 120 << 20, atMost: true, format: mebibytes,
		}
		for range s.config.rounds {
			used, err := s.hold(ctx, layout.api, layout.all, stub)
			if err != nil {
				return nil, err
			}
			found.values = append(found.values, float64(used))
		}
		r.rows = append(r.rows, found)
		fmt.Fprintf(&notes, "| %s | %s | %s |\n", layout.name, mebibytes(float64(idle)), mebibytes(middle(found.values)))
	}
	r.notes = notes.String()
	return &r, nil
}

func connectorID(i int) string { return fmt.Sprintf("bench-%d", i) }

// makeConnectors makes the connectors, some at a time.
func (s *stage) makeConnectors(ctx context.Context, api *process) error {
	const callers = 8
	errs := make([]error, callers)
	var calling sync.WaitGroup
	for i := range callers {
		calling.Go(func() {
			l := to(api, "", indexConnector, `"id":"bench-`)
			c := client{load: &l, from: time.Now(), until: time.Now().Add(time.Hour)}
			defer c.close()
			for k := i; k < s.connectors && errs[i] == nil; k += callers {
				l.request = to(api, connectorPath+connectorID(k), indexConnector, "").request
				if !c.ask(ctx) {
					errs[i] = fmt.Errorf("make a connector: %w", c.failure)
				}
			}
		})
	}
	calling.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// hold has executions wait for the stub, each of another connector, and returns
// the memory that the programs hold meanwhile.
func (s *stage) hold(ctx context.Context, api *process, all []*process, stub *process) (used int64, err error) {
	waiting, leave := context.WithCancel(ctx)
	var calling sync.WaitGroup
	defer calling.Wait()
	defer leave()
	for i := range s.held {
		calling.Go(func() {
			l := to(api, connectorPath+connectorID(i)+"/_execute", documents(1), "")
			c := client{load: &l, until: time.Now().Add(time.Minute)}
			defer c.close()
			c.ask(waiting) // in vain
		})
	}
	arrived, err := awaitRunning(ctx, stub, s.held)
	if err == nil && arrived != s.held {
		err = fmt.Errorf("%d executions came to the stub, want %d", arrived, s.held)
	}
	if err != nil {
		return 0, err
	}
	if used, err = resident(all); err != nil {
		return 0, err
	}
	leave()
	calling.Wait()
	left, err := awaitRunning(ctx, stub, 0)
	if err == nil && left > 0 {
		err = fmt.Errorf("%d executions still run after their callers have left", left)
	}
	return used, err
}

// awaitRunning waits until some number of requests runs at the stub, and returns
// how many do if it takes too long.
func awaitRunning(ctx context.Context, stub *process, want int) (running int, err error) {
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if _, running, err = stats(ctx, stub); err != nil || running == want {
			return running, err
		}
	}
	return running, nil
}

// resident returns the bytes that the processes hold in memory together.
func resident(all []*process) (int64, error) {
	var sum int64
	for _, p := range all {
		_, bytes, err := p.usage()
		if err != nil {
			return 0, err
		}
		sum += bytes
	}
	return sum, nil
}
