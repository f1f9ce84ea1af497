package setting_test

import (
	"bytes"
	"flag"
	"math"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"patchbay.dev/shared/setting"
)

// kinds are a setting of each kind.
type kinds struct {
	count    int
	duration time.Duration
	bytes    int64
	list     []string
	prefixes []netip.Prefix
	choice   int
	broker   setting.Broker
}

func (k *kinds) flags() *flag.FlagSet {
	fs := flag.NewFlagSet("fuzz", flag.ContinueOnError)
	fs.SetOutput(new(bytes.Buffer))
	setting.Count(fs, &k.count, "worker-slots", "64", "")
	setting.Duration(fs, &k.duration, "execute-timeout", "60s", "")
	setting.Bytes(fs, &k.bytes, "max-body", "8MiB", "")
	setting.List(fs, &k.list, "allowed-hosts", "*", "")
	setting.Prefixes(fs, &k.prefixes, "allowed-cidrs", "none", "")
	setting.Choice(fs, &k.choice, "log-level", "info", "", map[string]int{"info": 1, "warn": 2})
	k.broker.Flags(fs)
	return fs
}

// FuzzValue finds that a value is either refused, and the default stays, or
// taken within its bounds; and that a variable and a flag read it alike.
func FuzzValue(f *testing.F) {
	for _, value := range []string{
		"64", "0", "60s", "-1s", "8MiB", "9223372036854775807", "8796093022208MiB", "1KiBKiB", "KiB", "a,b", " a , b", ",", "127.0.0.0/8, ::1", "::ffff:1.2.3.4/96", "fe80::1%lo",
		"INFO", "nats://u:p@127.0.0.1:4222,tls://x", "nats://", "\x00", "é",
	} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		var fallback kinds
		fallback.flags().VisitAll(func(each *flag.Flag) {
			var k, byEnv kinds
			fs := k.flags()
			err := fs.Set(each.Name, value)
			if err != nil && !reflect.DeepEqual(k, fallback) {
				t.Errorf("-%s %q is refused and changes %+v", each.Name, value, k)
			}
			if err == nil && fs.Lookup(each.Name).Value.String() != value {
				t.Errorf("-%s %q prints as %q", each.Name, value, fs.Lookup(each.Name).Value)
			}
			_, envErr := setting.Parse(byEnv.flags(), nil, []string{setting.Env(each.Name) + "=" + value})
			if value != "" && ((err == nil) != (envErr == nil) || !reflect.DeepEqual(k, byEnv)) {
				t.Errorf("-%s %q: %v, %+v; %s: %v, %+v", each.Name, value, err, k, setting.Env(each.Name), envErr, byEnv)
			}
			if k.count <= 0 || k.duration <= 0 || k.bytes <= 0 || k.bytes == math.MaxInt64 || len(k.list) == 0 || k.choice == 0 {
				t.Errorf("-%s %q is taken as %+v", each.Name, value, k)
			}
			for _, p := range k.prefixes {
				if !p.IsValid() || p != p.Masked() {
					t.Errorf("-%s %q is taken as %s", each.Name, value, p)
				}
			}
			if envErr != nil && strings.Contains(value, "@") && strings.Contains(envErr.Error(), value) && len(value) > 1 {
				t.Errorf("the error may show a password: %v", envErr)
			}
		})
	})
}
