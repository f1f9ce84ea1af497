package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// selfSigned makes a certificate and its key in two files.
func selfSigned(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, block := range map[string]*pem.Block{
		"tls.crt": {Type: "CERTIFICATE", Bytes: cert}, "tls.key": {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
}

func TestSpeaksTLSAndIsAskedForItsHealth(t *testing.T) {
	t.Parallel()
	certFile, keyFile := selfSigned(t)
	environ := []string{"PATCHBAY_TLS_CERT_FILE=" + certFile, "PATCHBAY_TLS_KEY_FILE=" + keyFile, "PATCHBAY_DATA_DIR=" + t.TempDir()}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stdout, line := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"-http-addr=127.0.0.1:0"}, environ, line, t.Output())
		_ = line.Close()
	}()
	first := make([]byte, 1000)
	n, err := stdout.Read(first)
	if err != nil {
		t.Fatalf("no line: %v, %v", err, <-ended)
	}
	found := startLine.FindStringSubmatch(string(first[:n]))
	if found == nil || !strings.HasPrefix(found[1], "https://") {
		t.Fatalf("line: %q, want one that names https", first[:n])
	}
	environ = append(environ, "PATCHBAY_HTTP_ADDR="+strings.TrimPrefix(found[1], "https://"))
	if err := run(t.Context(), []string{"health"}, environ, io.Discard, t.Output()); err != nil {
		t.Errorf("health: %v", err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("end: %v", err)
	}
	if err := run(t.Context(), []string{"health"}, environ, io.Discard, t.Output()); err == nil {
		t.Error("healthy after its end")
	}
}
