package outbound

import (
	"crypto/x509"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"patchbay.dev/shared/connector"
)

// journal answers /n/ with a redirect of status n to the query, and notes which
// host was asked with which headers.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, _, _ := strings.Cut(r.Host, ":")
	var headers []string
	for _, h := range slices.Sorted(maps.Keys(r.Header)) {
		if h != "Accept-Encoding" && h != "Content-Length" { // the transport's own
			headers = append(headers, h)
		}
	}
	j.mu.Lock()
	j.lines = append(j.lines, strings.TrimSpace(r.Method+" "+name+" "+strings.Join(headers, " ")))
	j.mu.Unlock()
	if status, ok := statuses[strings.Trim(r.URL.Path, "/")]; ok {
		w.Header().Set("Location", r.URL.RawQuery)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "moved")
	}
}

var statuses = map[string]int{"301": 301, "302": 302, "303": 303, "307": 307, "308": 308}

func (j *journal) take() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	lines := j.lines
	j.lines = nil
	return lines
}

// setupRedirects returns a Layer for which every name but blocked.test is the
// journal's server.
func setupRedirects(t *testing.T) (l *Layer, j *journal, port string) {
	t.Helper()
	j = new(journal)
	_, port = serve(t, j.ServeHTTP)
	l = setup(t, open("127.0.0.0/8"), func(name string) []string {
		if name == "blocked.test" {
			return []string{"::1"}
		}
		return []string{"127.0.0.1"}
	})
	return l, j, port
}

func TestCredentialsDoNotFollowToAnotherHost(t *testing.T) {
	t.Parallel()
	const with = " Accept Authorization Cookie Private-Token User-Agent X-Api-Key"
	const again = " Accept Authorization Cookie Private-Token Referer User-Agent X-Api-Key"
	l, j, port := setupRedirects(t)
	other := new(journal)
	_, otherPort := serve(t, other.ServeHTTP)
	a, b, sub := "http://a.test:"+port, "http://b.test:"+port, "http://sub.a.test:"+port
	tests := []struct {
		name, url string
		want      []string // of a and b
		other     []string // of the other port
	}{
		{"same host, relative", a + "/302/?/there", []string{"GET a.test" + with, "GET a.test" + again}, nil},
		{"same host, absolute", a + "/307/?" + a + "/", []string{"GET a.test" + with, "GET a.test" + again}, nil},
		{"another name", a + "/302/?" + b + "/", []string{"GET a.test" + with, "GET b.test Accept User-Agent"}, nil},
		{"a name below", a + "/302/?" + sub + "/", []string{"GET a.test" + with, "GET sub.a.test Accept User-Agent"}, nil},
		{"another port", a + "/308/?http://a.test:" + otherPort + "/", []string{"GET a.test" + with}, []string{"GET a.test Accept User-Agent"}},
		{"there and back", a + "/301/?" + b + "/302/?" + a + "/", []string{
			"GET a.test" + with, "GET b.test Accept User-Agent", "GET a.test Accept User-Agent"}, nil},
		{"there and on", a + "/301/?" + b + "/302/?/x", []string{
			"GET a.test" + with, "GET b.test Accept User-Agent", "GET b.test Accept User-Agent"}, nil},
	}
	for _, test := range tests {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, test.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth("user", "hunter2")
		req.Header = maps.Clone(req.Header)
		for _, name := range []string{"Cookie", "X-Api-Key", "PRIVATE-TOKEN", "Accept", "User-Agent"} {
			req.Header[name] = []string{"value"}
		}
		resp, err := l.Client().Do(req)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		_ = resp.Body.Close()
		if diff := cmp.Diff(test.want, j.take()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
		if diff := cmp.Diff(test.other, other.take()); diff != "" {
			t.Errorf("%s, other port (-want +got):\n%s", test.name, diff)
		}
	}
}

func TestWriteIsNotSentAgain(t *testing.T) {
	t.Parallel()
	l, j, port := setupRedirects(t)
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "GET"} { // the GET has a body too
		for path, status := range statuses {
			for _, to := range []string{"/there", "http://b.test:" + port + "/", "ftp://b.test/"} {
				rawURL := "http://a.test:" + port + "/" + path + "?" + to
				req, err := http.NewRequestWithContext(t.Context(), method, rawURL, strings.NewReader("{}"))
				if err != nil {
					t.Fatal(err)
				}
				resp, err := l.Client().Do(req)
				if err != nil {
					t.Errorf("%s %s: %v", method, rawURL, err)
					continue
				}
				body, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if resp.StatusCode != status || resp.Header.Get("Location") != to || string(body) != "moved" || err != nil {
					t.Errorf("%s %s: %d to %q, %q, %v", method, rawURL, resp.StatusCode, resp.Header.Get("Location"), body, err)
				}
				if got := j.take(); len(got) != 1 {
					t.Errorf("%s %s: requests %q, want one", method, rawURL, got)
				}
			}
		}
	}
}

func TestReadsFollowThreeRedirects(t *testing.T) {
	t.Parallel()
	l, j, port := setupRedirects(t)
	const to = "/302/?"
	three := "http://a.test:" + port + strings.Repeat(to, 3) + "/end"
	for _, method := range []string{"GET", "HEAD"} {
		req, err := http.NewRequestWithContext(t.Context(), method, three, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := l.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if got := resp.Request.Method + resp.Request.URL.Path; got != method+"/end" || len(j.take()) != 4 {
			t.Errorf("arrived at %s, want %s/end after 4 requests", got, method)
		}
	}

	loop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		j.ServeHTTP(w, r)
		http.Redirect(w, r, r.URL.Path, http.StatusFound)
	}))
	t.Cleanup(loop.Close)
	for _, rawURL := range []string{three[:len(three)-len("/end")] + "/302/?/end", loop.URL + "/loop"} {
		_, err := get(t.Context(), l, rawURL)
		if want := "the destination redirects more than 3 times"; err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", rawURL, err, want)
		}
		if got := j.take(); len(got) != 4 {
			t.Errorf("%s: requests %q, want 4", rawURL, got)
		}
	}
}

func TestRedirectIsCheckedAsTheFirstURL(t *testing.T) {
	t.Parallel()
	l, j, port := setupRedirects(t)
	l.policy.Hosts = connector.Hosts{"a.test", "blocked.test", "169.254.169.254", "127.1", "::1", "::ffff:169.254.169.254"}
	const unlisted = `target url "http://b.test/" is not added to the Patchbay config PATCHBAY_ALLOWED_HOSTS`
	tests := []struct{ to, want string }{
		{"http://blocked.test:" + port + "/", isBlocked("::1", "loopback")},
		{"http://[::1]:" + port + "/", isBlocked("::1", "loopback")},
		{"http://169.254.169.254/latest", "169.254.169.254 (cloud metadata) is blocked"},
		{"http://[::ffff:169.254.169.254]/latest", "169.254.169.254 (cloud metadata) is blocked"},
		{"//169.254.169.254/latest", "169.254.169.254 (cloud metadata) is blocked"},
		{"http://127.1:" + port + "/", badName("127.1")},
		{"http://b.test/", unlisted},
		{"http://user:hunter2@a.test:" + port + "/", userinfo},
		{"ftp://a.test/", scheme},
		{"file:///etc/passwd", scheme},
		{"javascript:alert(1)", scheme},
		{"http:///", noHost},
	}
	for _, test := range tests {
		_, err := get(t.Context(), l, "http://a.test:"+port+"/302/?"+test.to)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %s", test.to, err, test.want)
		}
		if strings.Contains(test.want, ") is blocked") {
			if _, ok := errors.AsType[*BlockedError](err); !ok {
				t.Errorf("%s: %#v, want a *BlockedError", test.to, err)
			}
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error repeats the password: %v", test.to, err)
		}
		if got := j.take(); len(got) != 1 {
			t.Errorf("%s: requests %q, want one", test.to, got)
		}
	}
}

func TestRedirectFromHTTPSToHTTPIsRefused(t *testing.T) {
	t.Parallel()
	l, j, port := setupRedirects(t)
	secure := httptest.NewTLSServer(j)
	t.Cleanup(secure.Close)
	l.direct.TLSClientConfig.RootCAs = x509.NewCertPool()
	l.direct.TLSClientConfig.RootCAs.AddCert(secure.Certificate())
	if got, err := get(t.Context(), l, "http://a.test:"+port+"/302/?"+secure.URL+"/"); got != "200 " {
		t.Errorf("to https: %q, %v", got, err)
	}
	if got := j.take(); len(got) != 2 {
		t.Errorf("to https: requests %q, want two", got)
	}
	_, err := get(t.Context(), l, secure.URL+"/302/?http://a.test:"+port+"/")
	if want := "the destination redirects from https to http"; err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("to http: %v, want %s", err, want)
	}
	if got := j.take(); len(got) != 1 {
		t.Errorf("to http: requests %q, want one", got)
	}
}
