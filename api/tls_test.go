package api

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// pair is a certificate, told by its serial number, and its key.
type pair struct{ cert, key []byte }

func newPair(t *testing.T, serial int64) pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pair{
		cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
		key:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	}
}

// withTLS returns a configuration whose certificate is p.
func withTLS(t *testing.T, p pair) Config {
	t.Helper()
	dir := t.TempDir()
	config := Config{
		DataDir: t.TempDir(), ShutdownTimeout: 10 * time.Second,
		TLSCertFile: filepath.Join(dir, "tls.crt"), TLSKeyFile: filepath.Join(dir, "tls.key"),
	}
	replace(t, config.TLSCertFile, p.cert)
	replace(t, config.TLSKeyFile, p.key)
	return config
}

// replace puts a file in another's place, as programs that renew certificates do.
func replace(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file+".new", data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

// anyServer trusts every certificate: the tests look at serial numbers.
func anyServer() *tls.Config { return &tls.Config{InsecureSkipVerify: true} }

// http2Client returns a client of its own that speaks HTTP/2.
func http2Client(t *testing.T) *http.Client {
	transport := &http.Transport{TLSClientConfig: anyServer(), ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 10 * time.Second}
}

// serial returns the number of the certificate that a new connection gets.
func (r *running) serial(t *testing.T) int64 {
	t.Helper()
	conn, err := tls.Dial("tcp", strings.TrimPrefix(r.url, "https://"), anyServer())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

// until waits for something that nothing signals.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !holds(); <-time.After(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

func TestCertificateFollowsItsFiles(t *testing.T) {
	t.Parallel()
	config := withTLS(t, newPair(t, 1))
	r := run(t, config, connect(t, startBroker(t, 0)))
	if !strings.HasPrefix(r.url, "https://127.0.0.1:") {
		t.Errorf("ready at %s, want https", r.url)
	}
	client := http2Client(t)
	get := func() {
		t.Helper()
		response, err := client.Get(r.url + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			t.Fatal(err)
		}
		if serial := response.TLS.PeerCertificates[0].SerialNumber.Int64(); response.StatusCode != http.StatusOK || serial != 1 || response.ProtoMajor != 2 {
			t.Errorf("%s, certificate %d, %s", response.Status, serial, response.Proto)
		}
	}
	get()
	next := newPair(t, 2)
	replace(t, config.TLSCertFile, next.cert)
	replace(t, config.TLSKeyFile, next.key)
	until(t, "the new certificate", func() bool { return r.serial(t) == 2 })
	get() // on the connection from before
}

func TestHalfACertificateKeepsTheOldOne(t *testing.T) {
	t.Parallel()
	config, next := withTLS(t, newPair(t, 1)), newPair(t, 2)
	var log lockedBuffer
	server, err := readTLS(config.TLSCertFile, config.TLSKeyFile, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	serial := func() int64 {
		certificate, err := server.GetCertificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		return certificate.Leaf.SerialNumber.Int64()
	}
	replace(t, config.TLSCertFile, next.cert)
	const told = `level=ERROR msg="certificate could not be read again"`
	until(t, "a line that tells of it", func() bool {
		if got := serial(); got != 1 {
			t.Fatalf("certificate %d with half its files, want the old one", got)
		}
		return strings.Contains(log.String(), told)
	})
	if !strings.Contains(log.String(), config.TLSCertFile) || !strings.Contains(log.String(), "private key does not match public key") {
		t.Errorf("log lacks the file or the reason: %s", log.String())
	}
	replace(t, config.TLSKeyFile, next.key)
	until(t, "the new certificate", func() bool { return serial() == 2 })
	if got := strings.Count(log.String(), told); got != 1 {
		t.Errorf("told %d times, want once:\n%s", got, log.String())
	}
}

func TestTLSSettingsAreCheckedAtTheStart(t *testing.T) {
	t.Parallel()
	good, other := withTLS(t, newPair(t, 1)), withTLS(t, newPair(t, 2))
	const both = "PATCHBAY_TLS_CERT_FILE, PATCHBAY_TLS_KEY_FILE: "
	for name, test := range map[string]struct{ cert, key, want string }{
		"no key":         {good.TLSCertFile, "", "PATCHBAY_TLS_KEY_FILE: it is not set, and PATCHBAY_TLS_CERT_FILE is; set both or none"},
		"no certificate": {"", good.TLSKeyFile, "PATCHBAY_TLS_CERT_FILE: it is not set, and PATCHBAY_TLS_KEY_FILE is; set both or none"},
		"file not there": {good.TLSCertFile, "/nowhere.key", both + "stat /nowhere.key: no such file or directory"},
		"key of another": {good.TLSCertFile, other.TLSKeyFile, both + "tls: private key does not match public key"},
		"other way":      {good.TLSKeyFile, good.TLSCertFile, both + "tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have been switched"},
		"no PEM":         {writeConfig(t, "x"), good.TLSKeyFile, both + "tls: failed to find any PEM data in certificate input"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := Config{DataDir: t.TempDir(), TLSCertFile: test.cert, TLSKeyFile: test.key}
			err := Run(t.Context(), config, nil, slog.New(slog.NewTextHandler(t.Output(), nil)))
			if err == nil || err.Error() != test.want {
				t.Errorf("error %v, want %s", err, test.want)
			}
		})
	}
}

func TestTLSRefusesWhoDoesNotSpeakIt(t *testing.T) {
	t.Parallel()
	r := run(t, withTLS(t, newPair(t, 1)), connect(t, startBroker(t, 0)))
	address := strings.TrimPrefix(r.url, "https://")
	response, err := http.Get("http://" + address + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusBadRequest {
		t.Errorf("plain HTTP: %s, want 400", response.Status)
	}
	old := anyServer()
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	if conn, err := tls.Dial("tcp", address, old); err == nil || !strings.Contains(err.Error(), "protocol version not supported") {
		t.Errorf("TLS 1.1: %v, %v, want a refusal", conn, err)
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		config := anyServer()
		config.MinVersion, config.MaxVersion = version, version
		conn, err := tls.Dial("tcp", address, config)
		if err != nil {
			t.Errorf("%s: %v", tls.VersionName(version), err)
			continue
		}
		conn.Close()
	}
}

func TestHealthAsksEveryKindOfAddress(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]Config{
		"plain": {DataDir: t.TempDir(), ShutdownTimeout: 10 * time.Second}, "TLS": withTLS(t, newPair(t, 1)),
	} {
		config.Addr, config.AuthOff = "0.0.0.0:0", true
		r := run(t, config, connect(t, startBroker(t, 0)))
		_, port, err := net.SplitHostPort(strings.TrimPrefix(r.url, config.scheme()+"://"))
		if err != nil {
			t.Fatal(err)
		}
		for _, host := range []string{"0.0.0.0", "", "127.0.0.1", "localhost"} {
			config.Addr = host + ":" + port
			if err := CheckReady(t.Context(), config); err != nil {
				t.Errorf("%s, asked at %s: %v", name, config.Addr, err)
			}
		}
		r.stop()
		if err := await(t, r.ended); err != nil {
			t.Error(err)
		}
		if CheckReady(t.Context(), config) == nil {
			t.Errorf("%s: ready after its end", name)
		}
	}
}
