package outbound

import (
	"fmt"
	"io"
)

// TooLargeError says that a destination answered more than the policy allows.
type TooLargeError struct{ Limit int64 } // in bytes

// Error implements error.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("the answer is larger than %d bytes (PATCHBAY_MAX_RESPONSE)", e.Limit)
}

// limitedBody is a body that gives a *[TooLargeError] in place of its byte
// limit+1. It wraps what the transport decompresses, so that a small body cannot
// become a large one.
type limitedBody struct {
	io.ReadCloser
	left, limit int64 // left is -1 once it was too large
}

// Read implements [io.Reader].
func (b *limitedBody) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, &TooLargeError{b.limit}
	}
	if len(p) == 0 {
		return 0, nil
	}
	// One more than is left, to tell the end from too much.
	p = p[:min(int64(len(p)), b.left+1)]
	n, err := b.ReadCloser.Read(p)
	if int64(n) > b.left {
		n, b.left = int(b.left), -1
		return n, &TooLargeError{b.limit}
	}
	b.left -= int64(n)
	return n, err
}
