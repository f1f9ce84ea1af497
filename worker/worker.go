// Package worker runs connectors: it answers the executions that the api
// publishes to the broker.
package worker

import (
	"cmp"
	"context"
	"errors"
	"log/slog"

	"github.com/nats-io/nats.go"

	"patchbay.dev/worker/outbound"
	"patchbay.dev/worker/pool"
)

// Run serves executions until ctx ends, then lets the running ones finish. nc is
// the connection to the broker.
func Run(ctx context.Context, config Config, nc *nats.Conn, log *slog.Logger) (err error) {
	others := &pauses{nc: nc, log: log}
	layer := outbound.New(outbound.Policy{Hosts: config.Hosts, CIDRs: config.CIDRs, MaxResponse: config.MaxResponse, Paused: others.tell})
	defer layer.Close()
	all, end, err := handlers(config, layer, log)
	if err != nil {
		return err
	}
	defer end()
	some, err := chosen(all, config.Types)
	if err != nil {
		return err
	}
	err = others.hear(some, layer.Pause)
	defer func() { err = errors.Join(err, others.stop()) }()
	if err != nil {
		return err
	}
	name := cmp.Or(config.Name, processName())
	keys := newOpener(config.Ring, log)
	observe, err := observing(config.Metrics)
	if err != nil {
		return err
	}
	p, err := pool.Start(nc, some, pool.Options{
		Slots: config.Slots, DestinationSlots: config.DestinationSlots, Grace: config.ShutdownTimeout,
		Hosts: config.Hosts, Name: name, Open: keys.open, OpenParams: keys.openParams, Reseal: keys.reseal,
		Observe: observe,
	}, log)
	if err != nil {
		return err
	}
	if err := watching(config.Metrics, p, config.Slots, layer, nc); err != nil {
		return errors.Join(err, p.Stop())
	}
	types := make([]string, len(some))
	for i, h := range some {
		types[i] = h.Type()
	}
	log.Info("worker is running", "worker", name, "types", types, "slots", config.Slots)
	if config.Ready != nil {
		config.Ready()
	}
	<-ctx.Done()
	log.Info("worker is stopping; running executions may finish", "worker", name, "timeout", config.ShutdownTimeout.String())
	return p.Stop()
}
