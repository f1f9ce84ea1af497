package worker

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"patchbay.dev/shared/seal"
	"patchbay.dev/shared/setting"
	"patchbay.dev/shared/wire"
)

const secrets = `{"email":"a@example.com","apiToken":"s3cr3t-t0ken"}`

func newRing(t testing.TB) *seal.Ring {
	t.Helper()
	ring, err := seal.Generate()
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// openerOf returns an opener whose ring never changes.
func openerOf(t testing.TB, ring *seal.Ring) *opener {
	return newOpener(setting.Fixed(ring), slog.New(slog.NewTextHandler(t.Output(), nil)))
}

// sealed returns a connector of space "ops" with sealed secrets.
func sealed(t testing.TB, ring *seal.Ring) *wire.Connector {
	t.Helper()
	c := &wire.Connector{ID: "j", Type: ".jira", Version: 1, Config: []byte(`{"apiUrl":"https://jira.example.com"}`)}
	binding := seal.Binding{Space: "ops", ConnectorID: c.ID, Type: c.Type, Config: c.Config}
	var err error
	if c.Secrets, err = ring.Public().Seal([]byte(secrets), binding); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestOpenedSecretsAreRememberedForTheirConnectorOnly(t *testing.T) {
	t.Parallel()
	ring := newRing(t)
	o, c := openerOf(t, ring), sealed(t, ring)
	for range 2 { // the second is from memory
		if got, err := o.open("ops", c); err != nil || string(got) != secrets {
			t.Fatalf("open: %s, %v, want %s", got, err, secrets)
		}
	}
	if len(o.opened) != 1 {
		t.Errorf("%d secrets in memory, want 1", len(o.opened))
	}
	// What is in memory must not help another connector that says it is the same.
	for name, change := range map[string]func(*wire.Connector) (space string){
		"config": func(c *wire.Connector) string {
			c.Config = []byte(`{"apiUrl":"https://evil.example.com"}`)
			return "ops"
		},
		"id":            func(c *wire.Connector) string { c.ID = "k"; return "ops" },
		"type":          func(c *wire.Connector) string { c.Type = ".webhook"; return "ops" },
		"space":         func(*wire.Connector) string { return "other" },
		"preconfigured": func(c *wire.Connector) string { c.Preconfigured = true; return "ops" },
	} {
		changed := *c
		space := change(&changed)
		if got, err := o.open(space, &changed); !errors.Is(err, seal.ErrForeign) {
			t.Errorf("another %s: %s, %v, want %v", name, got, err, seal.ErrForeign)
		}
	}
}

func TestSecretsThatCannotBeOpenedAreTold(t *testing.T) {
	t.Parallel()
	theirs := newRing(t)
	c := sealed(t, theirs)
	if _, err := newOpener(nil, nil).open("ops", c); err == nil || !strings.Contains(err.Error(), "PATCHBAY_SEAL_KEY_FILE") {
		t.Errorf("without a key: %v, want an error that names PATCHBAY_SEAL_KEY_FILE", err)
	}
	if _, err := openerOf(t, newRing(t)).open("ops", c); err == nil || !strings.Contains(err.Error(), theirs.Public().ID().String()) {
		t.Errorf("with another key: %v, want an error that names %s", err, theirs.Public().ID())
	}
}

func TestOpenedSecretsInMemoryAreBounded(t *testing.T) {
	t.Parallel()
	o := openerOf(t, newRing(t))
	for n := range openedSize {
		o.opened[[32]byte{byte(n), byte(n >> 8), byte(n >> 16)}] = nil
	}
	c := sealed(t, o.ring)
	if _, err := o.open("ops", c); err != nil {
		t.Fatal(err)
	}
	if n := len(o.opened); n > openedSize {
		t.Errorf("%d secrets in memory, want at most %d", n, openedSize)
	}
}

func TestLargeSecretsAreNotRemembered(t *testing.T) {
	t.Parallel()
	ring := newRing(t)
	o := openerOf(t, ring)
	for size, want := range map[int]int{openedLargest: 1, openedLargest + 1: 1} { // the larger one adds none
		c := &wire.Connector{ID: "j", Type: ".jira", Config: []byte(`{}`)}
		var err error
		binding := seal.Binding{Space: "ops", ConnectorID: c.ID, Type: c.Type, Config: c.Config}
		if c.Secrets, err = ring.Public().Seal(make([]byte, size), binding); err != nil {
			t.Fatal(err)
		}
		if got, err := o.open("ops", c); err != nil || len(got) != size {
			t.Fatalf("open: %d bytes, %v, want %d", len(got), err, size)
		}
		if len(o.opened) > want {
			t.Errorf("%d secrets in memory, want %d", len(o.opened), want)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	ring := newRing(b)
	c := sealed(b, ring)
	b.Run("cold", func(b *testing.B) {
		for b.Loop() {
			if _, err := openerOf(b, ring).open("ops", c); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("cached", func(b *testing.B) {
		o := openerOf(b, ring)
		for b.Loop() {
			if _, err := o.open("ops", c); err != nil {
				b.Fatal(err)
			}
		}
	})
}
