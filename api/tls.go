package api

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"

	"patchbay.dev/shared/setting"
)

// readTLS returns how the api speaks TLS, nil if it is not to. The certificate
// follows its files: when those change, new connections get the new one and open
// ones stay as they are.
func readTLS(certFile, keyFile string, log *slog.Logger) (*tls.Config, error) {
	switch {
	case certFile == "" && keyFile == "":
		return nil, nil
	case keyFile == "":
		return nil, errors.New("PATCHBAY_TLS_KEY_FILE: it is not set, and PATCHBAY_TLS_CERT_FILE is; set both or none")
	case certFile == "":
		return nil, errors.New("PATCHBAY_TLS_CERT_FILE: it is not set, and PATCHBAY_TLS_KEY_FILE is; set both or none")
	}
	load := func() (tls.Certificate, error) {
		certificate, err := tls.LoadX509KeyPair(certFile, keyFile)
		if err == nil {
			log.Info("certificate was read", "file", certFile, "valid_until", certificate.Leaf.NotAfter)
		}
		return certificate, err
	}
	file, err := setting.ReadFile(load, certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("PATCHBAY_TLS_CERT_FILE, PATCHBAY_TLS_KEY_FILE: %w", err)
	}
	get := func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		certificate, err := file.Get()
		if err != nil { // once per change
			log.Error("certificate could not be read again", "file", certFile, "error", err)
		}
		return &certificate, nil
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: get}, nil
}

// serve serves until h is shut down, with TLS if h has it.
func serve(h *http.Server, listener net.Listener) error {
	if h.TLSConfig != nil {
		return h.ServeTLS(listener, "", "")
	}
	return h.Serve(listener)
}
