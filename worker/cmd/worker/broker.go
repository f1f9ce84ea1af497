package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"patchbay.dev/shared/setting"
)

// connect dials the broker and goes on trying, so that the order in which
// programs start does not matter. What a worker answers while the connection is
// broken is kept and sent when it is back.
func connect(broker setting.Broker, log *slog.Logger) (*nats.Conn, error) {
	options, err := credentials(broker)
	if err != nil {
		return nil, err
	}
	r := reporter{log: log}
	nc, err := nats.Connect(broker.URL, append(options,
		nats.Name("patchbay worker"),
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(), // credentials may be put right while we run
		nats.ReconnectWait(250*time.Millisecond),
		nats.PingInterval(10*time.Second),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil { // nil when we close it
				log.Warn("broker connection lost", "error", err)
			}
		}),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { r.unreachable(err) }),
		nats.ConnectHandler(r.connected),
		nats.ReconnectHandler(r.connected),
		nats.ErrorHandler(func(nc *nats.Conn, _ *nats.Subscription, err error) {
			if nc.IsConnected() {
				log.Error("broker reports", "error", err)
				return
			}
			r.unreachable(err)
		}),
	)...)
	if err != nil {
		return nil, fmt.Errorf("PATCHBAY_NATS_URL: %w", err)
	}
	go r.watch(nc)
	return nc, nil
}

// credentials returns the options with which the program and the broker prove to
// each other who they are. Its errors name the variable.
func credentials(broker setting.Broker) ([]nats.Option, error) {
	if err := broker.Check(); err != nil {
		return nil, err
	}
	var options []nats.Option
	if broker.NKeyFile != "" {
		key, err := nats.NkeyOptionFromSeed(broker.NKeyFile)
		if err != nil {
			return nil, fmt.Errorf("PATCHBAY_NATS_NKEY_FILE: %s: %w", broker.NKeyFile, err)
		}
		options = append(options, key)
	}
	if broker.CredsFile != "" {
		options = append(options, nats.UserCredentials(broker.CredsFile))
	}
	var trial nats.Options // files that cannot be read are errors now, not later
	if broker.CAFile != "" {
		authority := nats.RootCAs(broker.CAFile) // TLS 1.2 or newer, and nothing without TLS
		if err := authority(&trial); err != nil {
			return nil, fmt.Errorf("PATCHBAY_NATS_CA_FILE: %w", err)
		}
		options = append(options, authority)
	}
	if broker.CertFile != "" {
		certificate := nats.ClientCert(broker.CertFile, broker.KeyFile)
		if err := certificate(&trial); err != nil {
			return nil, fmt.Errorf("PATCHBAY_NATS_CERT_FILE, PATCHBAY_NATS_KEY_FILE: %w", err)
		}
		options = append(options, certificate)
	}
	return options, nil
}

// reporter logs what keeps the broker away: each reason once, not at every attempt.
type reporter struct {
	log *slog.Logger

	mu   sync.Mutex
	told map[string]bool // since the last connection
}

func (r *reporter) unreachable(err error) {
	reason := err.Error()
	if network, ok := errors.AsType[*net.OpError](err); ok {
		reason = network.Op + network.Err.Error() // without the port, which is another each time
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.told[reason] {
		return
	}
	if r.told == nil {
		r.told = make(map[string]bool)
	}
	r.told[reason] = true
	attrs := []any{"error", err}
	if settings := settingsOf(err); settings != "" {
		attrs = append(attrs, "settings", settings)
	}
	r.log.Warn("broker cannot be reached; trying again until it can", attrs...)
}

func (r *reporter) connected(nc *nats.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told = nil
	r.log.Info("broker connected", "address", nc.ConnectedAddr())
}

// watch reports brokers that answer and refuse, of which no handler hears before
// the first connection. It ends with nc.
func (r *reporter) watch(nc *nats.Conn) {
	var last nats.Status
	for status := range nc.StatusChanged(nats.CONNECTED, nats.CONNECTING, nats.RECONNECTING, nats.CLOSED) {
		if status == nats.CLOSED {
			return
		}
		if last == nats.CONNECTING && status == nats.RECONNECTING { // the attempt came to nothing
			if err := nc.LastError(); err != nil {
				r.unreachable(err)
			}
		}
		last = status
	}
}

// settingsOf names the settings that an error is about, if it tells.
func settingsOf(err error) string {
	network, ok := errors.AsType[*net.OpError](err)
	alert := ok && network.Op == "remote error" // what crypto/tls calls an alert of the other side
	switch {
	case alert, errors.Is(err, nats.ErrTLS), errors.Is(err, nats.ErrSecureConnWanted):
		return "PATCHBAY_NATS_URL, PATCHBAY_NATS_CA_FILE, PATCHBAY_NATS_CERT_FILE, PATCHBAY_NATS_KEY_FILE"
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked):
		return "PATCHBAY_NATS_NKEY_FILE, PATCHBAY_NATS_CREDS_FILE"
	}
	return ""
}
