package deploy_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// authority signs certificates and writes them, with their keys, to dir.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, dir, name string) *authority {
	t.Helper()
	a := &authority{dir: dir}
	a.cert, a.key = a.sign(t, name, &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

// sign writes name.crt and name.key, signed by the authority or, for its own, by
// itself.
func (a *authority) sign(t *testing.T, name string, c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c.SerialNumber, c.NotAfter, c.Subject.CommonName = big.NewInt(time.Now().UnixNano()), time.Now().Add(time.Hour), name
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{
		name + ".crt": {Type: "CERTIFICATE", Bytes: der}, name + ".key": {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(filepath.Join(a.dir, file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// commentedTLS is the block of nats.conf that is to be uncommented.
var commentedTLS = regexp.MustCompile(`(?m)^# (tls \{|  \w.*|\})$`)

// startTLSBroker runs nats.conf with its block for TLS, beside keys/ in dir.
func startTLSBroker(t *testing.T, dir string) *server.Server {
	t.Helper()
	text, err := os.ReadFile("nats/nats.conf")
	if err != nil {
		t.Fatal(err)
	}
	config := commentedTLS.ReplaceAllString(string(text), "$1")
	config = strings.ReplaceAll(config, "/etc/nats/tls/", dir+"/")
	file := filepath.Join(dir, "nats.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	options, err := server.ProcessConfigFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if options.TLSConfig == nil || options.TLSConfig.ClientAuth != tls.RequireAndVerifyClientCert {
		t.Fatalf("nats.conf has no block for TLS to uncomment:\n%s", config)
	}
	options.Host, options.Port, options.HTTPHost, options.HTTPPort = "127.0.0.1", server.RANDOM_PORT, "", 0
	options.StoreDir, options.NoSigs, options.NoLog = t.TempDir(), true, true
	broker, err := server.NewServer(options)
	if err != nil {
		t.Fatal(err)
	}
	broker.Start()
	t.Cleanup(func() { broker.Shutdown(); broker.WaitForShutdown() })
	if !broker.ReadyForConnections(10 * time.Second) {
		t.Fatal("the broker did not start")
	}
	return broker
}

func TestProgramsAndBrokerKnowEachOther(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca := newAuthority(t, dir, "ca")
	ca.sign(t, "server", &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	ca.sign(t, "client", &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	newAuthority(t, dir, "other")
	file := func(name string) string { return filepath.Join(dir, name) }

	api := build(t, "api", "./cmd/api")
	worker := build(t, "worker", "./cmd/worker", "CGO_ENABLED=0")
	for _, keys := range []string{"keys", "keys of others"} {
		generate := exec.CommandContext(t.Context(), worker, "keys", "generate", "-seal-key-file="+file("seal.key"),
			"-seal-public-key-file="+file("seal.pub"), "-nats-keys-dir="+file(keys))
		if output, err := generate.CombinedOutput(); err != nil {
			t.Fatalf("keys generate: %v\n%s", err, output)
		}
	}
	broker := startTLSBroker(t, dir)

	url := "-nats-url=nats://" + broker.Addr().String()
	authority, cert, key := "-nats-ca-file="+file("ca.crt"), "-nats-cert-file="+file("client.crt"), "-nats-key-file="+file("client.key")
	seed := func(user string) string { return "-nats-nkey-file=" + file("keys/"+user+"/"+user+".nk") }
	apiArgs := func(more ...string) []string {
		return append([]string{url, "-http-addr=127.0.0.1:0", "-data-dir=" + t.TempDir()}, more...)
	}

	a, address := launch(t, `"msg":"api is listening","address":"([^"]+)"`, api, apiArgs(authority, cert, key, seed("api"))...)
	w, _ := launch(t, `"msg":"worker is running"`, worker, url, authority, cert, key, seed("worker"))
	connector := "http://" + address + "/api/actions/connector/log"
	if got := request(t, "POST", connector, `{"name":"n","connector_type_id":".server-log"}`); !strings.HasPrefix(got, "200 ") {
		t.Fatalf("create: %s", got)
	}
	if got, want := request(t, "POST", connector+"/_execute", `{"params":{"message":"m"}}`), `200 {"connector_id":"log","status":"ok"}`; got != want {
		t.Errorf("execute: %s, want %s", got, want)
	}
	w.end(t)
	a.end(t)

	// What is wrong is told, and tried again.
	const certificates, user = `"settings":"[^"]*PATCHBAY_NATS_CA_FILE, PATCHBAY_NATS_CERT_FILE`, `Authorization Violation","settings":"PATCHBAY_NATS_NKEY_FILE`
	for name, test := range map[string]struct {
		want string
		args []string
	}{
		"no authority":          {certificates, []string{cert, key}},
		"another authority":     {certificates, []string{"-nats-ca-file=" + file("other.crt"), cert, key}},
		"no certificate":        {certificates, []string{authority}},
		"another's certificate": {certificates, []string{authority, "-nats-cert-file=" + file("other.crt"), "-nats-key-file=" + file("other.key")}},
		"no user":               {user, []string{authority, cert, key}},
		"a stranger":            {user, []string{authority, cert, key, "-nats-nkey-file=" + file("keys of others/api/api.nk")}},
	} {
		wait := `"msg":"broker cannot be reached; trying again until it can".*` + test.want
		for program, args := range map[string][]string{api: apiArgs(test.args...), worker: append([]string{url}, test.args...)} {
			t.Run(name+" for "+filepath.Base(program), func(t *testing.T) {
				p, _ := launch(t, wait, program, args...)
				if err := p.Process.Kill(); err != nil {
					t.Errorf("it ended: %v", err)
				}
				_ = p.Wait()
			})
		}
	}
}

// A file that cannot be used stops the start, and the variable is named.
func TestUnusableFilesForTheBrokerStopTheStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	garbage, open := filepath.Join(dir, "garbage"), filepath.Join(dir, "open")
	for name, mode := range map[string]os.FileMode{garbage: 0o600, open: 0o644} {
		if err := os.WriteFile(name, []byte("garbage"), mode); err != nil {
			t.Fatal(err)
		}
	}
	for _, program := range []string{build(t, "api", "./cmd/api"), build(t, "worker", "./cmd/worker", "CGO_ENABLED=0")} {
		for _, test := range []struct {
			want string
			args []string
		}{
			{"PATCHBAY_NATS_NKEY_FILE: " + garbage, []string{"-nats-nkey-file=" + garbage}},
			{"PATCHBAY_NATS_NKEY_FILE: " + open + ": others can read it", []string{"-nats-nkey-file=" + open}},
			{"PATCHBAY_NATS_CREDS_FILE: " + open + ": others can read it", []string{"-nats-creds-file=" + open}},
			{"PATCHBAY_NATS_CA_FILE: ", []string{"-nats-ca-file=" + garbage}},
			{"PATCHBAY_NATS_CERT_FILE, PATCHBAY_NATS_KEY_FILE: ", []string{"-nats-cert-file=" + garbage, "-nats-key-file=" + garbage}},
			{"PATCHBAY_NATS_CERT_FILE and PATCHBAY_NATS_KEY_FILE", []string{"-nats-cert-file=" + garbage}},
		} {
			output, err := exec.CommandContext(t.Context(), program, append(test.args, "-nats-url=nats://127.0.0.1:1")...).CombinedOutput()
			if want := filepath.Base(program) + ": " + test.want; err == nil || !strings.HasPrefix(string(output), want) {
				t.Errorf("%s %q: %v, %s, want %q", program, test.args, err, output, want)
			}
		}
	}
}
