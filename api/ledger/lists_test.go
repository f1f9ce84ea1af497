package ledger

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestReadersOfTheLogDoNotHoldUpTheQueue(t *testing.T) {
	t.Parallel()
	l := setup(t, Options{SealParams: mark})
	l.kill(t, example("dead"))
	seq := l.mustAccept(t, example("a"))[0].Seq
	for range listers {
		conn, err := l.lists.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	for name, read := range map[string]func(context.Context) error{
		"List": func(ctx context.Context) error {
			_, err := l.List(ctx, Filter{}, Sort{By: "created_at"}, 10, "")
			return err
		},
		"Entries":  func(ctx context.Context) error { _, _, err := l.Entries(ctx, Filter{}, nil, 10, 1); return err },
		"Outcomes": func(ctx context.Context) error { _, err := l.Outcomes(ctx, Filter{}); return err },
		"Replay":   func(ctx context.Context) error { _, _, err := l.Replay(ctx, Filter{}, 0, false, nil); return err },
	} {
		ctx, stop := context.WithTimeout(t.Context(), 5*time.Millisecond)
		if err := read(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s has a connection of the queue: %v", name, err)
		}
		stop()
	}
	if due, _, err := l.Due(t.Context(), where(1), l.time(), 10); len(due) != 1 || err != nil {
		t.Errorf("due %v, %v", due, err)
	}
	l.mustClaim(t, seq)
	l.mustEnd(t, failed(seq, 1, Dead))
	e, _ := l.mustGet(t, "a")
	if _, err := l.Answer(t.Context(), &e); err != nil {
		t.Error(err)
	}
}
