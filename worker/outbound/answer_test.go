package outbound

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"patchbay.dev/shared/wire"
)

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	clock := time.Date(2026, 3, 4, 5, 6, 7, 89_123_456, time.UTC)
	day := wire.RetryAt(clock.Add(24 * time.Hour))
	tests := []struct {
		value string
		want  wire.Retry
	}{
		{"", wire.RetryLater()},
		{"0", wire.RetryAt(clock)},
		{"5", wire.RetryAt(clock.Add(5 * time.Second))},
		{"86400", day},
		{"86401", day},
		{"31536000", day},
		{"9223372036854775807", day},
		{"99999999999999999999999", wire.RetryLater()},
		{"-5", wire.RetryLater()},
		{"1.5", wire.RetryLater()},
		{"soon", wire.RetryLater()},
		{"5, 6", wire.RetryLater()},
		{clock.Add(90 * time.Second).Format(http.TimeFormat), wire.RetryAt(clock.Add(90 * time.Second).Truncate(time.Second))},
		{clock.Add(-time.Minute).Format(http.TimeFormat), wire.RetryLater()},
		{clock.AddDate(1, 0, 0).Format(http.TimeFormat), day},
		{"Wed, 04 Mar 9999 05:06:07 GMT", day},
		{"2026-03-04T05:07:07Z", wire.RetryLater()},
	}
	for _, test := range tests {
		if diff := cmp.Diff(test.want, RetryAfter(test.value, clock), cmp.AllowUnexported(wire.Retry{})); diff != "" {
			t.Errorf("Retry-After: %s (-want +got):\n%s", test.value, diff)
		}
	}
}
