package wire_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"patchbay.dev/shared/wire"
)

func TestRetryMarshals(t *testing.T) {
	t.Parallel()
	berlin := time.FixedZone("CET", 3600)
	for _, tt := range []struct {
		name  string
		retry wire.Retry
		want  string
	}{
		{"no advice", wire.Retry{}, `null`},
		{"later", wire.RetryLater(), `true`},
		{"never", wire.RetryNever(), `false`},
		{"at a time", wire.RetryAt(instant), `"2026-01-02T03:04:05.678Z"`},
		{"in another zone", wire.RetryAt(instant.In(berlin)), `"2026-01-02T03:04:05.678Z"`},
		{"of whole seconds", wire.RetryAt(instant.Truncate(time.Second)), `"2026-01-02T03:04:05.000Z"`},
		{"of nanoseconds", wire.RetryAt(instant.Add(999_999)), `"2026-01-02T03:04:05.678Z"`},
		{"before 1970", wire.RetryAt(time.Date(1969, 12, 31, 23, 59, 59, 999_999_999, time.UTC)), `"1969-12-31T23:59:59.999Z"`},
		{"at the last time with four digits", wire.RetryAt(time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)), `"9999-12-31T23:59:59.000Z"`},
		{"of five digits", wire.RetryAt(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)), `true`},
		{"before year 0", wire.RetryAt(time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC)), `true`},
		{"at no time", wire.RetryAt(time.Time{}), `true`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := json.Marshal(tt.retry)
			if err != nil || string(got) != tt.want {
				t.Fatalf("Marshal = %s, %v, want %s", got, err, tt.want)
			}
			var again wire.Retry
			if err := json.Unmarshal(got, &again); err != nil || again != tt.retry {
				t.Errorf("Unmarshal(%s) = %+v, %v, want %+v", got, again, err, tt.retry)
			}
		})
	}
}

func TestRetryUnmarshals(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]wire.Retry{
		`null`:                                  {},
		` true `:                                wire.RetryLater(),
		`false`:                                 wire.RetryNever(),
		`"2026-01-02T03:04:05.678Z"`:            wire.RetryAt(instant),
		`"2026-01-02T04:04:05.678+01:00"`:       wire.RetryAt(instant),
		`"2026-01-01T21:34:05.678-05:30"`:       wire.RetryAt(instant),
		`"2026-01-02T03:04:05.678999999Z"`:      wire.RetryAt(instant),
		`"2026-01-02T03:04:05Z"`:                wire.RetryAt(instant.Truncate(time.Second)),
		`"2026-01-02T03:04:05.678000000+00:00"`: wire.RetryAt(instant),
	} {
		got := wire.RetryNever() // what was there is overwritten
		if err := json.Unmarshal([]byte(data), &got); err != nil || got != want {
			t.Errorf("Unmarshal(%s) = %+v, %v, want %+v", data, got, err, want)
		}
	}
}

func TestRetryRefusesGarbage(t *testing.T) {
	t.Parallel()
	for _, data := range []string{
		`0`, `1`, `-1.5`, `""`, `"true"`, `"soon"`, `[]`, `{}`, `"2026-01-02"`,
		`"2026-13-02T03:04:05Z"`, `"2026-01-02T25:04:05Z"`, `"2026-01-02T03:04:05"`, `"10000-01-02T03:04:05Z"`,
	} {
		var got wire.Retry
		err := json.Unmarshal([]byte(data), &got)
		if err == nil || !strings.HasPrefix(err.Error(), "retry: ") || got != (wire.Retry{}) {
			t.Errorf("Unmarshal(%s) = %+v, %v, want an error that begins with retry", data, got, err)
		}
	}
}

func TestRetryIsZeroWithoutAdvice(t *testing.T) {
	t.Parallel()
	if r := (wire.Retry{}); !r.IsZero() {
		t.Errorf("%+v: IsZero = false", r)
	}
	for _, r := range []wire.Retry{wire.RetryNever(), wire.RetryLater(), wire.RetryAt(instant), wire.RetryAt(time.Time{})} {
		if r.IsZero() {
			t.Errorf("%+v: IsZero = true, so that the advice is left out", r)
		}
	}
}

// Only who asked can tell; what a worker says of itself must not count.
func TestSilenceDoesNotCrossTheWire(t *testing.T) {
	t.Parallel()
	r := wire.Reply{Failure: &wire.Failure{Message: "m", Source: wire.User, Silent: true}}
	data, err := r.Append(nil)
	if err != nil || string(data) != `{"failure":{"message":"m","source":"user"}}` {
		t.Errorf("Append: %s, %v", data, err)
	}
	got, err := wire.DecodeReply([]byte(`{"failure":{"message":"m","Silent":true,"silent":true,"-":true}}`))
	if err != nil || got.Failure.Silent {
		t.Errorf("DecodeReply: %+v, %v, want it not to be silent", got.Failure, err)
	}
}

func TestFailureIsAnError(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		failure wire.Failure
		want    string
	}{
		{wire.Failure{Message: "m"}, "m"},
		{wire.Failure{Message: "m", ServiceMessage: "s"}, "m: s"},
	} {
		var err error = &tt.failure
		if got := err.Error(); got != tt.want {
			t.Errorf("Error = %q, want %q", got, tt.want)
		}
		if f, ok := errors.AsType[*wire.Failure](err); !ok || f != &tt.failure {
			t.Errorf("AsType = %+v, %t", f, ok)
		}
	}
}
