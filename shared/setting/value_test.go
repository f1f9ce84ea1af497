package setting_test

import (
	"flag"
	"math"
	"reflect"
	"testing"
	"time"

	"patchbay.dev/shared/setting"
)

// set declares a setting of some kind and returns what it is once set to s.
func set[T any](s string, declare func(*flag.FlagSet, *T)) (T, error) {
	var v T
	fs := flag.NewFlagSet("", flag.ContinueOnError)
	declare(fs, &v)
	err := fs.Set("x", s)
	return v, err
}

// check holds what is taken, and that the rest is refused and changes nothing.
func check[T any](t *testing.T, declare func(*flag.FlagSet, *T), taken map[string]T, refused ...string) {
	t.Helper()
	for s, want := range taken {
		if got, err := set(s, declare); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q = %v, %v, want %v", s, got, err, want)
		}
	}
	var fallback T
	declare(flag.NewFlagSet("", flag.ContinueOnError), &fallback)
	for _, s := range refused {
		if got, err := set(s, declare); err == nil || !reflect.DeepEqual(got, fallback) {
			t.Errorf("%q = %v, %v, want an error and the default %v", s, got, err, fallback)
		}
	}
}

func TestCountIsAWholeNumberAboveZero(t *testing.T) {
	t.Parallel()
	check(t, func(fs *flag.FlagSet, p *int) { setting.Count(fs, p, "x", "64", "") },
		map[string]int{"1": 1, "007": 7, "10000": 10000, "9223372036854775807": math.MaxInt64},
		"", "0", "-1", "1.5", "1e3", " 1", "1 ", "0x10", "1_000", "9223372036854775808", "all")
}

func TestDurationIsAboveZeroAndHasAUnit(t *testing.T) {
	t.Parallel()
	check(t, func(fs *flag.FlagSet, p *time.Duration) { setting.Duration(fs, p, "x", "60s", "") },
		map[string]time.Duration{
			"1ns": 1, "250ms": 250 * time.Millisecond, "1.5s": 1500 * time.Millisecond, "1h2m3s": 3723 * time.Second,
		},
		"", "0", "0s", "-1s", "60", "1d", "s", " 1s", "1s ", "1 s", "2562048h", "forever")
}

func TestBytesMayHaveAUnit(t *testing.T) {
	t.Parallel()
	check(t, func(fs *flag.FlagSet, p *int64) { setting.Bytes(fs, p, "x", "8MiB", "") },
		map[string]int64{
			"1": 1, "1048576": 1 << 20, "1KiB": 1 << 10, "8MiB": 8 << 20, "3GiB": 3 << 30,
			"3000000000":          3_000_000_000,
			"9223372036854775806": math.MaxInt64 - 1, // a reader may ask for one more
			"8589934590GiB":       8589934590 << 30,
		},
		"", "0", "0MiB", "-1", "-1MiB", "1.5MiB", "8 MiB", "8MB", "8mib", "MiB", "8MiBKiB", "8B", " 8MiB",
		"9223372036854775807", "8589934592GiB", "9223372036854775807KiB")
}

func TestListIsWordsWithCommas(t *testing.T) {
	t.Parallel()
	check(t, func(fs *flag.FlagSet, p *[]string) { setting.List(fs, p, "x", "all", "") },
		map[string][]string{
			".index":                 {".index"},
			".index,.server-log":     {".index", ".server-log"},
			" .index ,\t.server-log": {".index", ".server-log"},
		},
		"", " ", ",", ".index,", ",.index", ".index,,.server-log")
}

func TestChoiceIsOneOfAFewWords(t *testing.T) {
	t.Parallel()
	choices := map[string]int{"one": 1, "two": 2}
	check(t, func(fs *flag.FlagSet, p *int) { setting.Choice(fs, p, "x", "two", "", choices) },
		map[string]int{"one": 1, "two": 2},
		"", "three", "one ")
	// A default that is none of the words only tells what happens without one.
	check(t, func(fs *flag.FlagSet, p *int) { setting.Choice(fs, p, "x", "whatever fits", "", choices) },
		map[string]int{"one": 1},
		"", "whatever fits")
}
