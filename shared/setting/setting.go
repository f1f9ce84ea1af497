// Package setting reads the settings of a program: flags, and environment
// variables of the same names (-http-addr is PATCHBAY_HTTP_ADDR).
//
// It stands in shared because both sides read one environment: an operator
// gives api and worker the same file, and each must know the other's names to
// tell a slip from a setting that is not its own.
package setting

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
)

const envPrefix = "PATCHBAY_"

// names are the settings of all programs together, without the prefix. A test
// in deploy holds the list to the flags of the programs and to the README.
var names = []string{
	"ALLOWED_CIDRS",
	"ALLOWED_HOSTS",
	"ATTEMPTS",
	"AUDIT_FILE",
	"AUTH",
	"BULK_BATCHING",
	"BULK_BYTES",
	"BULK_DOCUMENTS",
	"BULK_IN_FLIGHT",
	"BULK_QUEUE",
	"CONFIG",
	"DATA_DIR",
	"DEAD_LETTER_AGE",
	"DEAD_LETTER_PARAMS",
	"DESTINATION_SLOTS",
	"DIAGNOSTICS_ADDR",
	"ELASTICSEARCH_API_KEY",
	"ELASTICSEARCH_CA_FILE",
	"ELASTICSEARCH_PASSWORD",
	"ELASTICSEARCH_URL",
	"ELASTICSEARCH_USERNAME",
	"EXECUTE_TIMEOUT",
	"EXECUTION_LOG",
	"HEADER_TIMEOUT",
	"HTTP_ADDR",
	"IDEMPOTENCY_AGE",
	"IDLE_TIMEOUT",
	"LOG_AGE",
	"LOG_COUNT",
	"LOG_FORMAT",
	"LOG_LEVEL",
	"MAX_BODY",
	"MAX_CONNECTORS",
	"MAX_HEADER",
	"MAX_IN_FLIGHT",
	"MAX_IN_FLIGHT_BYTES",
	"MAX_KEYS",
	"MAX_QUEUED",
	"MAX_QUEUED_PER_CONNECTOR",
	"MAX_RATE",
	"MAX_RESPONSE",
	"MAX_RETRY_DELAY",
	"MAX_RUNNING",
	"MAX_SPACES",
	"MAX_SUBMITTED",
	"METRICS_ADDR",
	"NATS_CA_FILE",
	"NATS_CERT_FILE",
	"NATS_CREDS_FILE",
	"NATS_KEY_FILE",
	"NATS_NKEY_FILE",
	"NATS_URL",
	"QUEUE_BYTES",
	"QUEUE_MAX_AGE",
	"QUEUE_SLOTS",
	"READ_TIMEOUT",
	"RETRY_DELAY",
	"SEAL_KEY_FILE",
	"SEAL_PUBLIC_KEY_FILE",
	"SHUTDOWN_TIMEOUT",
	"STREAM_REPLICAS",
	"TLS_CERT_FILE",
	"TLS_KEY_FILE",
	"WORKER_SLOTS",
	"WORKER_TYPES",
	"WRITE_TIMEOUT",
}

// Env returns the name of the environment variable of a flag: "http-addr" →
// "PATCHBAY_HTTP_ADDR".
func Env(flagName string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(flagName, "-", "_"))
}

// Names returns the environment variables of all programs, sorted.
func Names() []string {
	all := make([]string, len(names))
	for i, n := range names {
		all[i] = envPrefix + n
	}
	return all
}

// Parse sets the flags of fs from environ ("NAME=value" each, an empty value as
// if there were none) and then from args, which win. It returns the PATCHBAY_ variables that no program knows,
// sorted, or an error that names the variable or flag whose value is malformed;
// [flag.ErrHelp] when help was asked for and printed to fs.Output().
func Parse(fs *flag.FlagSet, args, environ []string) (unknown []string, err error) {
	var malformed error
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, envPrefix) || strings.HasPrefix(name, envPrefix+"TEST_") {
			continue
		}
		flagName := strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(name, envPrefix), "_", "-"))
		if fs.Lookup(flagName) == nil || Env(flagName) != name {
			if !slices.Contains(Names(), name) {
				unknown = append(unknown, name)
			}
			continue
		}
		if value == "" {
			continue // not set, as compose files write it
		}
		if err := fs.Set(flagName, value); err != nil && malformed == nil {
			if strings.Contains(value, "@") {
				value = "…" // a URL with a password in it, perhaps
			}
			malformed = fmt.Errorf("%s: %q is not valid: %w", name, value, err)
		}
	}
	// The flag package prints errors and the whole usage; an error alone reads better.
	output := fs.Output()
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	fs.Init(fs.Name(), flag.ContinueOnError)
	err = fs.Parse(args)
	fs.SetOutput(output)
	if errors.Is(err, flag.ErrHelp) {
		usage(fs, output) // also for who asks because a variable is malformed
		return nil, err
	}
	if err := cmp.Or(malformed, err); err != nil {
		return nil, err
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q: settings are flags or environment variables, see -help", fs.Arg(0))
	}
	slices.Sort(unknown)
	return unknown, nil
}

func usage(fs *flag.FlagSet, w io.Writer) {
	fmt.Fprintf(w, "Usage: %s [flags]\n\nA flag can also be set by the environment variable beside it.\n\n", fs.Name())
	fs.VisitAll(func(f *flag.Flag) {
		fallback := f.DefValue
		if fallback == "" {
			fallback = "none"
		}
		variable := ""
		if slices.Contains(Names(), Env(f.Name)) { // a command has flags that are no settings
			variable = ", " + Env(f.Name)
		}
		fmt.Fprintf(w, "  -%s%s\n    \t%s (default %s)\n", f.Name, variable, f.Usage, fallback)
	})
}
