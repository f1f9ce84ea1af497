package index

import (
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"patchbay.dev/shared/wire"
	"patchbay.dev/worker/index/elastictest"
	"patchbay.dev/worker/outbound"
)

func TestNewRefusesBadSettings(t *testing.T) {
	t.Parallel()
	notPEM := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(notPEM, []byte("hunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	const url = "http://es:9200"
	tests := []struct {
		config Config
		want   string
	}{
		{Config{URL: "http://elastic:hunter2@es:9200"},
			"PATCHBAY_ELASTICSEARCH_URL: put the credentials into PATCHBAY_ELASTICSEARCH_USERNAME and _PASSWORD"},
		{Config{URL: "http://elastic:hunter2@es:port"}, "PATCHBAY_ELASTICSEARCH_URL: it is not a URL"},
		{Config{URL: "http://elastic:hun%ter2@es:9200"}, "PATCHBAY_ELASTICSEARCH_URL: it is not a URL"},
		{Config{URL: "elastic:hunter2@es:9200"}, "PATCHBAY_ELASTICSEARCH_URL: an http or https URL with a host is expected"},
		{Config{URL: "es:9200"}, "PATCHBAY_ELASTICSEARCH_URL: an http or https URL with a host is expected"},
		{Config{URL: "//es:9200"}, "PATCHBAY_ELASTICSEARCH_URL: an http or https URL with a host is expected"},
		{Config{URL: "ftp://es"}, "PATCHBAY_ELASTICSEARCH_URL: an http or https URL with a host is expected"},
		{Config{URL: "https:///es"}, "PATCHBAY_ELASTICSEARCH_URL: an http or https URL with a host is expected"},
		{Config{URL: "http://es:9200/?api_key=hunter2"}, "PATCHBAY_ELASTICSEARCH_URL: no query and no fragment is expected"},
		{Config{URL: "http://es:9200#hunter2"}, "PATCHBAY_ELASTICSEARCH_URL: no query and no fragment is expected"},
		{Config{URL: url, Username: "elastic"}, "PATCHBAY_ELASTICSEARCH_USERNAME and _PASSWORD: set both or none"},
		{Config{URL: url, Password: "hunter2"}, "PATCHBAY_ELASTICSEARCH_USERNAME and _PASSWORD: set both or none"},
		{Config{URL: url, APIKey: "hunter2", Username: "elastic", Password: "hunter2"},
			"PATCHBAY_ELASTICSEARCH_API_KEY and _USERNAME: set one of them"},
		{Config{URL: url, APIKey: "hunter2\n"}, "PATCHBAY_ELASTICSEARCH_API_KEY: it holds a blank, a line break or another sign that base64 has not"},
		{Config{URL: url, CAFile: "/no/such/file"}, "PATCHBAY_ELASTICSEARCH_CA_FILE: open /no/such/file: no such file or directory"},
		{Config{URL: url, CAFile: notPEM}, "PATCHBAY_ELASTICSEARCH_CA_FILE: there is no certificate in " + notPEM},
	}
	for _, test := range tests {
		_, err := New(outbound.New(outbound.Policy{}), test.config, maxResponse)
		if err == nil || err.Error() != test.want {
			t.Errorf("New(%+v): %v, want %s", test.config, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error repeats a secret: %v", err)
		}
	}
}

func TestNewTakesAURLWithAPath(t *testing.T) {
	t.Parallel()
	cluster := elastictest.Start()
	defer cluster.Close()
	var path string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path = r.RequestURI
		http.StripPrefix("/search/v8", cluster).ServeHTTP(w, r)
	}))
	defer proxy.Close()
	e := newExecutor(t, Config{URL: proxy.URL + "/search/v8/"})
	if _, err := e.Execute(t.Context(), into(t, "a%2fb;c", `{}`)); err != nil {
		t.Fatal(err)
	}
	if want := "/search/v8/a%252fb;c/_bulk?refresh=false"; path != want {
		t.Errorf("path %s, want %s", path, want)
	}
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	key := elastictest.Options{APIKey: "aWQ6c2VjcmV0"}
	user := elastictest.Options{Username: "elastic", Password: "pass:wörd"}
	tests := []struct {
		name    string
		demands elastictest.Options
		config  Config
		refusal string // the reason of a 401
	}{
		{"API key", key, Config{APIKey: "aWQ6c2VjcmV0"}, ""},
		{"user", user, Config{Username: "elastic", Password: "pass:wörd"}, ""},
		{"other API key", key, Config{APIKey: "aWQ6b3RoZXI="},
			"unable to authenticate with provided credentials and anonymous access is not allowed for this request"},
		{"other password", user, Config{Username: "elastic", Password: "hunter2"},
			"unable to authenticate user [elastic] for REST request [/any/_bulk?refresh=false]"},
		{"none", user, Config{}, "missing authentication credentials for REST request [/any/_bulk?refresh=false]"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			cluster := elastictest.StartWith(test.demands)
			defer cluster.Close()
			test.config.URL = cluster.URL()
			_, err := newExecutor(t, test.config).Execute(t.Context(), into(t, "any", `{}`))
			if test.refusal == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			want := &wire.Failure{
				Message:        "error indexing documents",
				ServiceMessage: "security_exception\n\tRoot causes:\n\t\tsecurity_exception: " + test.refusal,
				Source:         wire.User,
			}
			if diff := cmp.Diff(want, failure(t, err), comparable); diff != "" {
				t.Errorf("failure (-want +got):\n%s", diff)
			}
		})
	}
}

// secure serves a cluster over TLS and returns its URL, the file with its
// authority and a channel of the connections that were closed.
func secure(t *testing.T) (url, caFile string, closed <-chan struct{}) {
	t.Helper()
	cluster := elastictest.Start()
	t.Cleanup(cluster.Close)
	server := httptest.NewUnstartedServer(cluster)
	ends := make(chan struct{}, 8)
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			ends <- struct{}{}
		}
	}
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // a refused handshake is part of the test
	server.StartTLS()
	t.Cleanup(server.Close)
	caFile = filepath.Join(t.TempDir(), "ca.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(caFile, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	return server.URL, caFile, ends
}

func TestCAFileVouchesForTheCluster(t *testing.T) {
	t.Parallel()
	url, caFile, _ := secure(t)
	e := newExecutor(t, Config{URL: url, CAFile: caFile})
	defer e.Close()
	if _, err := e.Execute(t.Context(), into(t, "any", `{}`)); err != nil {
		t.Errorf("with the CA file: %v", err)
	}
	_, err := newExecutor(t, Config{URL: url}).Execute(t.Context(), into(t, "any", `{}`))
	want := notSent("tls: failed to verify certificate: x509: certificate signed by unknown authority")
	if diff := cmp.Diff(want, failure(t, err), comparable); diff != "" {
		t.Errorf("without the CA file (-want +got):\n%s", diff)
	}
}

func TestCloseClosesIdleConnections(t *testing.T) {
	t.Parallel()
	url, caFile, closed := secure(t)
	e := newExecutor(t, Config{URL: url, CAFile: caFile})
	if _, err := e.Execute(t.Context(), into(t, "any", `{}`)); err != nil {
		t.Fatal(err)
	}
	e.Close()
	select {
	case <-closed:
	case <-time.After(10 * time.Second):
		t.Error("the connection stays open")
	}
}
