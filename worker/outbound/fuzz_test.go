package outbound

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"patchbay.dev/shared/wire"
)

// FuzzRetryAfter finds that no header makes anyone wait for longer than a day, or
// go back in time.
func FuzzRetryAfter(f *testing.F) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 89_000_000, time.UTC)
	for _, value := range []string{"", "0", "120", "-1", "+5", "86401", "9223372036854775807", "1e3", now.Add(time.Hour).Format(http.TimeFormat), "Wed, 04 Mar 9999 05:06:07 GMT"} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		encoded, err := RetryAfter(value, now).MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		if string(encoded) == "true" {
			return
		}
		at, err := time.Parse(`"`+time.RFC3339+`"`, string(encoded))
		if err != nil || at.Before(now) || at.After(now.Add(24*time.Hour)) {
			t.Errorf("Retry-After: %q is %s, %v", value, encoded, err)
		}
		var again wire.Retry
		if err := again.UnmarshalJSON(encoded); err != nil || again != RetryAfter(value, now) {
			t.Errorf("Retry-After: %q is read as %+v, %v", value, again, err)
		}
	})
}

// FuzzRedirect finds that a hop to another host keeps no header that may hold a
// credential, and that one with a user in it is not made.
func FuzzRedirect(f *testing.F) {
	for _, location := range []string{
		"/x", "//other.test/x", "http://first.test:80/", "http://FIRST.test/", "https://first.test/", "http://u:p@first.test/", `http:\\other.test`, "http://first.test@other.test/", "http://first.test:080/", "?#",
	} {
		f.Add(location)
	}
	l := newLayer(open(), nil, noProxy)
	f.Fuzz(func(t *testing.T, location string) {
		start, err := url.Parse("http://first.test/rest")
		if err != nil {
			t.Fatal(err)
		}
		to, err := start.Parse(location)
		if err != nil {
			return
		}
		first := &http.Request{Method: http.MethodGet, URL: start}
		hop := &http.Request{Method: http.MethodGet, URL: to, Header: http.Header{"Authorization": {"Basic x"}, "X-Token": {"y"}, "Accept": {"*/*"}}}
		if checkRedirect(hop, []*http.Request{first}) != nil {
			return
		}
		if _, err := (roundTripper{l}).transport(hop); err != nil {
			return
		}
		same := strings.EqualFold(to.Hostname(), "first.test") && (to.Scheme == "http" && (to.Port() == "" || to.Port() == "80") || to.Scheme == "https" && to.Port() == "80")
		if !same && (hop.Header.Get("Authorization") != "" || hop.Header.Get("X-Token") != "") {
			t.Errorf("%q, which is %s, gets %v", location, to, hop.Header)
		}
		if to.User != nil || to.Scheme != "http" && to.Scheme != "https" {
			t.Errorf("%q, which is %s, is asked", location, to)
		}
	})
}
