package setting_test

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"patchbay.dev/shared/setting"
)

// config has a setting of every kind, under names that the programs use.
type config struct {
	Addr     string
	Password string
	Slots    int
	Timeout  time.Duration
	MaxBody  int64
	Types    []string
	Log      setting.Log
}

func (c *config) flags(output io.Writer) *flag.FlagSet {
	fs := flag.NewFlagSet("patchbay", flag.ContinueOnError)
	fs.SetOutput(output)
	fs.StringVar(&c.Addr, "http-addr", "127.0.0.1:5601", "address where the API listens")
	fs.StringVar(&c.Password, "elasticsearch-password", "", "password for the cluster")
	setting.Count(fs, &c.Slots, "worker-slots", "64", "executions at once")
	setting.Duration(fs, &c.Timeout, "execute-timeout", "60s", "deadline of one execution")
	setting.Bytes(fs, &c.MaxBody, "max-body", "8MiB", "size of a request body")
	setting.List(fs, &c.Types, "worker-types", "all", "connector types")
	c.Log.Flags(fs)
	return fs
}

// parse returns what args and environ set, what is unknown, what was printed
// and the error.
func parse(args, environ []string) (c config, unknown []string, output string, err error) {
	var b bytes.Buffer
	unknown, err = setting.Parse(c.flags(&b), args, environ)
	c.Log = setting.Log{} // tested by what it logs
	return c, unknown, b.String(), err
}

func TestParsePrefersFlagsToEnvironmentToDefaults(t *testing.T) {
	t.Parallel()
	defaults := config{
		Addr: "127.0.0.1:5601", Slots: 64, Timeout: time.Minute, MaxBody: 8 << 20, Types: []string{"all"},
	}
	environ := []string{
		"PATH=/bin", "PATCHBAY_HTTP_ADDR=:80", "PATCHBAY_ELASTICSEARCH_PASSWORD=a=b c", "PATCHBAY_WORKER_SLOTS=8",
		"PATCHBAY_EXECUTE_TIMEOUT=1m30s", "PATCHBAY_MAX_BODY=512KiB", "PATCHBAY_WORKER_TYPES=.index, .server-log",
	}
	fromEnviron := config{
		Addr: ":80", Password: "a=b c", Slots: 8, Timeout: 90 * time.Second, MaxBody: 512 << 10, Types: []string{".index", ".server-log"},
	}
	args := []string{
		"-http-addr", ":90", "--elasticsearch-password=", "-worker-slots=9", "-execute-timeout=5ms", "-max-body=9", "-worker-types=.index",
	}
	fromArgs := config{Addr: ":90", Slots: 9, Timeout: 5 * time.Millisecond, MaxBody: 9, Types: []string{".index"}}
	for _, tt := range []struct {
		name          string
		args, environ []string
		want          config
	}{
		{"defaults", nil, nil, defaults},
		{"environment", nil, environ, fromEnviron},
		{"flags", args, nil, fromArgs},
		{"both", args, environ, fromArgs},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, unknown, output, err := parse(tt.args, tt.environ)
			if err != nil || len(unknown) > 0 || output != "" {
				t.Errorf("Parse = %q, %v, printed %q", unknown, err, output)
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("config\n got %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

func TestParseTakesAnEmptyVariableForNone(t *testing.T) {
	t.Parallel()
	got, _, _, err := parse(nil, []string{"PATCHBAY_HTTP_ADDR=", "PATCHBAY_WORKER_SLOTS="})
	want, _, _, _ := parse(nil, nil)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Parse = %v\n got %+v\nwant %+v", err, got, want)
	}
}

func TestParseReturnsUnknownVariablesSorted(t *testing.T) {
	t.Parallel()
	_, unknown, _, err := parse(nil, []string{
		"PATCHBAY_ZEBRA=1",
		"PATCHBAY_HTTP_ADRR=:80",
		"PATCHBAY_=x",
		"PATCHBAY_HELP=1",
		"PATCHBAY_http_addr=:80",           // names are upper case
		"PATCHBAY_HTTP-ADDR=:80",           // with underscores
		"PATCHBAY_DATA_DIR=/data",          // another program's
		"PATCHBAY_TEST_ELASTICSEARCH_URL=", // the tests'
		"PATCHBAY_TEST_ANY=1",
		"PATCHBAYX=1",
		"MY_PATCHBAY_HTTP_ADDR=1",
		"patchbay_http_addr=1",
		"PATCHBAY_WORKER_SLOTS=1",
	})
	want := []string{
		"PATCHBAY_", "PATCHBAY_HELP", "PATCHBAY_HTTP-ADDR", "PATCHBAY_HTTP_ADRR", "PATCHBAY_ZEBRA", "PATCHBAY_http_addr",
	}
	if err != nil || !reflect.DeepEqual(unknown, want) {
		t.Errorf("Parse = %v\n got %q\nwant %q", err, unknown, want)
	}
}

func TestParseDoesNotKnowOthersFlags(t *testing.T) {
	t.Parallel()
	_, _, output, err := parse([]string{"-data-dir=/data"}, nil)
	if err == nil || !strings.Contains(err.Error(), "-data-dir") || output != "" {
		t.Errorf("Parse = %v, printed %q, want an error that names -data-dir", err, output)
	}
}

func TestNamesAreSortedAndTheEnvironmentOfFlags(t *testing.T) {
	t.Parallel()
	names := setting.Names()
	if !slices.IsSorted(names) || len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Errorf("Names = %q, want them sorted and once each", names)
	}
	var c config
	c.flags(io.Discard).VisitAll(func(f *flag.Flag) {
		if !slices.Contains(names, setting.Env(f.Name)) {
			t.Errorf("%s of -%s is not in Names", setting.Env(f.Name), f.Name)
		}
	})
	if got, want := setting.Env("http-addr"), "PATCHBAY_HTTP_ADDR"; got != want {
		t.Errorf("Env = %s, want %s", got, want)
	}
}

func TestParseNamesTheMalformedVariable(t *testing.T) {
	t.Parallel()
	for entry, want := range map[string]string{
		"PATCHBAY_WORKER_SLOTS=many":    `PATCHBAY_WORKER_SLOTS: "many" is not valid: a whole number above 0 is expected`,
		"PATCHBAY_EXECUTE_TIMEOUT=60":   `PATCHBAY_EXECUTE_TIMEOUT: "60" is not valid: a duration above 0 like "60s" is expected`,
		"PATCHBAY_MAX_BODY=8MB":         `PATCHBAY_MAX_BODY: "8MB" is not valid: a number of bytes above 0 like "1048576" or "8MiB" is expected`,
		"PATCHBAY_WORKER_TYPES=.index,": `PATCHBAY_WORKER_TYPES: ".index," is not valid: words with commas between them are expected`,
		"PATCHBAY_LOG_LEVEL=loud":       `PATCHBAY_LOG_LEVEL: "loud" is not valid: one of debug, error, fatal, info, trace, warn is expected`,
		"PATCHBAY_LOG_FORMAT=xml":       `PATCHBAY_LOG_FORMAT: "xml" is not valid: one of json, text is expected`,
	} {
		// Also when a flag would win: what is there is either right or a slip.
		for _, args := range [][]string{nil, {"-worker-slots=1", "-log-level=info"}} {
			_, unknown, output, err := parse(args, []string{"PATCHBAY_NOPE=1", entry})
			if err == nil || err.Error() != want || unknown != nil || output != "" {
				t.Errorf("Parse(%s) = %q, printed %q\n got %v\nwant %s", entry, unknown, output, err, want)
			}
		}
	}
}

func TestParseNamesTheMalformedFlag(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"-worker-slots=0"}, `invalid value "0" for flag -worker-slots: a whole number above 0 is expected`},
		{[]string{"-execute-timeout", "-1s"}, `invalid value "-1s" for flag -execute-timeout: a duration above 0 like "60s" is expected`},
		{[]string{"-worker-slots"}, "flag needs an argument: -worker-slots"},
		{[]string{"-nope=1"}, "flag provided but not defined: -nope"},
	} {
		_, _, output, err := parse(tt.args, nil)
		if err == nil || err.Error() != tt.want || output != "" {
			t.Errorf("Parse(%q) printed %q\n got %v\nwant %s", tt.args, output, err, tt.want)
		}
	}
}

func TestParseRefusesArguments(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"serve"}, {"-worker-slots=1", "serve", "-http-addr=:1"}, {"--", "serve"}} {
		_, _, _, err := parse(args, nil)
		const want = `unexpected argument "serve": settings are flags or environment variables, see -help`
		if err == nil || err.Error() != want {
			t.Errorf("Parse(%q)\n got %v\nwant %s", args, err, want)
		}
	}
}

// An error is returned whatever the set was made for: Parse must not exit.
func TestParseReturnsErrorsOfASetThatExits(t *testing.T) {
	t.Parallel()
	fs := flag.NewFlagSet("patchbay", flag.ExitOnError)
	fs.SetOutput(io.Discard)
	if _, err := setting.Parse(fs, []string{"-nope"}, nil); err == nil {
		t.Error("Parse = nil, want an error")
	}
}

const help = `Usage: patchbay [flags]

A flag can also be set by the environment variable beside it.

  -elasticsearch-password, PATCHBAY_ELASTICSEARCH_PASSWORD
    	password for the cluster (default none)
  -execute-timeout, PATCHBAY_EXECUTE_TIMEOUT
    	deadline of one execution (default 60s)
  -http-addr, PATCHBAY_HTTP_ADDR
    	address where the API listens (default 127.0.0.1:5601)
  -log-format, PATCHBAY_LOG_FORMAT
    	log format: json or text (default json, on a terminal text)
  -log-level, PATCHBAY_LOG_LEVEL
    	log level: trace, debug, info, warn, error or fatal (default info)
  -max-body, PATCHBAY_MAX_BODY
    	size of a request body (default 8MiB)
  -worker-slots, PATCHBAY_WORKER_SLOTS
    	executions at once (default 64)
  -worker-types, PATCHBAY_WORKER_TYPES
    	connector types (default all)
`

// Help shows defaults, never what is set: a password may be.
func TestHelpListsEveryFlagWithVariableAndDefault(t *testing.T) {
	t.Parallel()
	environ := []string{"PATCHBAY_ELASTICSEARCH_PASSWORD=s3cret", "PATCHBAY_WORKER_SLOTS=7", "PATCHBAY_LOG_FORMAT=text"}
	for _, tt := range []struct{ args, environ []string }{
		{[]string{"-help"}, nil},
		{[]string{"--help"}, environ},
		{[]string{"-h"}, environ},
		{[]string{"-elasticsearch-password=s3cret", "-max-body=1", "-help"}, nil},
		// Who is told that a variable is malformed asks -help for what is right.
		{[]string{"-help"}, []string{"PATCHBAY_WORKER_SLOTS=many"}},
	} {
		_, _, output, err := parse(tt.args, tt.environ)
		if !errors.Is(err, flag.ErrHelp) {
			t.Errorf("Parse(%q, %q) = %v, want ErrHelp", tt.args, tt.environ, err)
		}
		if output != help {
			t.Errorf("Parse(%q, %q) printed\n%s\nwant\n%s", tt.args, tt.environ, output, help)
		}
	}
}
