package wire_test

import (
	"testing"
	"time"

	"patchbay.dev/shared/wire"
)

func TestAgainTellsTheAdvice(t *testing.T) {
	t.Parallel()
	date := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for advice, want := range map[wire.Retry]struct {
		again bool
		at    time.Time
	}{
		{}: {}, wire.RetryNever(): {}, wire.RetryLater(): {again: true}, wire.RetryAt(date): {true, date},
	} {
		if again, at := advice.Again(); again != want.again || !at.Equal(want.at) {
			t.Errorf("%+v: again %t at %v, want %t at %v", advice, again, at, want.again, want.at)
		}
	}
}
