package pool

import (
	"strconv"
	"testing"
)

func TestEarlyCancelsAreBounded(t *testing.T) {
	t.Parallel()
	var e early
	if e.has("0") {
		t.Error("an empty one has a cancel")
	}
	n := len(e.order)
	for i := range n + 1 {
		e.add(strconv.Itoa(i))
	}
	if e.has("0") || !e.has("1") || !e.has(strconv.Itoa(n)) || len(e.subjects) != n {
		t.Errorf("%d cancels, want the last %d of %d", len(e.subjects), n, n+1)
	}
}

// The api sends an empty one to see whether it may.
func TestCancelOfNothingIsNotKept(t *testing.T) {
	t.Parallel()
	var p Pool
	p.abandon("")
	if p.early.has("") {
		t.Error("a request without a reply subject would be cancelled")
	}
}
