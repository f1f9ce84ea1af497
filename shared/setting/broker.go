package setting

import (
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
)

// Broker says where the NATS server is and how a program proves to it who it is.
type Broker struct {
	URL       string // or several with commas between them
	CredsFile string // JWT and seed of a user; "" for none
	NKeyFile  string // seed of a user; "" for none
	CAFile    string // PEM of the authority that signed the server's certificate; "" for the system's
	CertFile  string // PEM of the client's certificate; "" for none
	KeyFile   string // PEM of its key
}

// Flags declares the settings of the broker, with their defaults.
func (b *Broker) Flags(fs *flag.FlagSet) {
	declare(fs, &b.URL, "nats-url", "nats://127.0.0.1:4222", "address of the NATS server", brokerURL)
	fs.StringVar(&b.NKeyFile, "nats-nkey-file", "", "file of the seed with which the NATS server knows the program")
	fs.StringVar(&b.CredsFile, "nats-creds-file", "", "credentials file (JWT and seed) instead of a seed")
	fs.StringVar(&b.CAFile, "nats-ca-file", "", "PEM file of the authority that signed the NATS server's certificate")
	fs.StringVar(&b.CertFile, "nats-cert-file", "", "PEM file of the program's certificate for the NATS server")
	fs.StringVar(&b.KeyFile, "nats-key-file", "", "PEM file of the key of that certificate")
}

// Check returns an error that names the variable if the settings contradict each
// other, or if others than its owner can read the file of a seed.
func (b *Broker) Check() error {
	if b.NKeyFile != "" && b.CredsFile != "" {
		return errors.New("PATCHBAY_NATS_NKEY_FILE and PATCHBAY_NATS_CREDS_FILE exclude each other: a program is one user")
	}
	if (b.CertFile == "") != (b.KeyFile == "") {
		return errors.New("PATCHBAY_NATS_CERT_FILE and PATCHBAY_NATS_KEY_FILE come together")
	}
	if err := checkPrivate(b.NKeyFile); err != nil {
		return fmt.Errorf("PATCHBAY_NATS_NKEY_FILE: %w", err)
	}
	if err := checkPrivate(b.CredsFile); err != nil {
		return fmt.Errorf("PATCHBAY_NATS_CREDS_FILE: %w", err)
	}
	return nil
}

func checkPrivate(file string) error {
	if file == "" {
		return nil
	}
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("%s: others can read it (mode %04o); chmod 600 it", file, mode)
	}
	return nil
}

// brokerURL does not repeat the URL in its error: there may be a password in it.
func brokerURL(s string) (string, error) {
	for each := range strings.SplitSeq(s, ",") {
		u, err := url.Parse(strings.TrimSpace(each))
		if err != nil || u.Hostname() == "" || !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme) {
			return "", errors.New(`a URL like "nats://127.0.0.1:4222" is expected`)
		}
	}
	return s, nil
}
