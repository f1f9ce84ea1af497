package setting_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"patchbay.dev/shared/setting"
)

func parseBroker(environ ...string) (setting.Broker, error) {
	var b setting.Broker
	fs := flag.NewFlagSet("patchbay", flag.ContinueOnError)
	b.Flags(fs)
	_, err := setting.Parse(fs, nil, environ)
	return b, err
}

func TestBrokerIsAURLAndItsPasswordIsNotRepeated(t *testing.T) {
	t.Parallel()
	for value, ok := range map[string]bool{
		"nats://127.0.0.1:4222": true, "tls://user:s3cret@broker:4222": true, "nats://a:1, nats://b:2": true, "wss://h": true,
		"foo": false, "http://x:1": false, "nats://": false, "127.0.0.1:4222": false,
		"nats://user:s3cret%@h": false, "nats://user:s3cret@h:bad": false, "nats://a:1,": false,
	} {
		got, err := parseBroker("PATCHBAY_NATS_URL=" + value)
		if (err == nil) != ok || ok && got.URL != value {
			t.Errorf("%s: %q, %v, want it taken: %t", value, got.URL, err, ok)
		}
		if err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("the error repeats the password: %v", err)
		}
	}
}

func TestBrokerReadsEverySetting(t *testing.T) {
	t.Parallel()
	got, err := parseBroker("PATCHBAY_NATS_CREDS_FILE=a", "PATCHBAY_NATS_NKEY_FILE=b", "PATCHBAY_NATS_CA_FILE=c",
		"PATCHBAY_NATS_CERT_FILE=d", "PATCHBAY_NATS_KEY_FILE=e")
	want := setting.Broker{URL: "nats://127.0.0.1:4222", CredsFile: "a", NKeyFile: "b", CAFile: "c", CertFile: "d", KeyFile: "e"}
	if err != nil || got != want {
		t.Errorf("settings = %v\n got %+v\nwant %+v", err, got, want)
	}
}

func TestBrokerChecksWhatBelongsTogether(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	secret, open := filepath.Join(dir, "secret"), filepath.Join(dir, "open")
	for file, mode := range map[string]os.FileMode{secret: 0o600, open: 0o640} {
		if err := os.WriteFile(file, nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		broker setting.Broker
		want   string // how the error begins, "" for none
	}{
		{setting.Broker{}, ""},
		{setting.Broker{NKeyFile: secret, CAFile: "ca", CertFile: "cert", KeyFile: "key"}, ""},
		{setting.Broker{CredsFile: secret}, ""},
		{setting.Broker{NKeyFile: secret, CredsFile: secret}, "PATCHBAY_NATS_NKEY_FILE and PATCHBAY_NATS_CREDS_FILE"},
		{setting.Broker{CertFile: "cert"}, "PATCHBAY_NATS_CERT_FILE and PATCHBAY_NATS_KEY_FILE"},
		{setting.Broker{KeyFile: "key"}, "PATCHBAY_NATS_CERT_FILE and PATCHBAY_NATS_KEY_FILE"},
		{setting.Broker{NKeyFile: open}, "PATCHBAY_NATS_NKEY_FILE: " + open + ": others can read it (mode 0640)"},
		{setting.Broker{CredsFile: open}, "PATCHBAY_NATS_CREDS_FILE: " + open + ": others can read it (mode 0640)"},
		{setting.Broker{NKeyFile: secret + "2"}, "PATCHBAY_NATS_NKEY_FILE: "},
		{setting.Broker{CredsFile: secret + "2"}, "PATCHBAY_NATS_CREDS_FILE: "},
	} {
		err := tt.broker.Check()
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.want)) {
			t.Errorf("%+v: %v, want %q", tt.broker, err, tt.want)
		}
	}
}
