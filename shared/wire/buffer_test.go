package wire_test

import (
	"testing"

	"patchbay.dev/shared/wire"
)

func TestBuffersAreEmptyAndHaveTheRoomThatWasAskedFor(t *testing.T) {
	t.Parallel()
	var buffers wire.Buffers
	for _, size := range []int{0, 1, 100, 10, 1 << 20, 5, 64 << 10} {
		b := buffers.Get(size)
		if len(*b) != 0 || cap(*b) < size {
			t.Errorf("Get(%d): %d bytes, room for %d", size, len(*b), cap(*b))
		}
		*b = append(*b, "what was in it"...)
		buffers.Put(b)
	}
}

func TestLargeBuffersAreNotKept(t *testing.T) {
	t.Parallel()
	var buffers wire.Buffers
	large := buffers.Get(1 << 20)
	buffers.Put(large)
	if got := buffers.Get(0); got == large {
		t.Error("a buffer of 1 MiB was kept")
	}
}
