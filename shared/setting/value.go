package setting

import (
	"errors"
	"flag"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Count declares a setting that is a whole number above 0.
func Count(fs *flag.FlagSet, p *int, name, fallback, usage string) {
	declare(fs, p, name, fallback, usage, func(s string) (int, error) {
		n, err := strconv.Atoi(s)
		if err != nil || n <= 0 {
			return 0, errors.New("a whole number above 0 is expected")
		}
		return n, nil
	})
}

// Duration declares a setting that is a duration above 0, such as "60s".
func Duration(fs *flag.FlagSet, p *time.Duration, name, fallback, usage string) {
	declare(fs, p, name, fallback, usage, func(s string) (time.Duration, error) {
		d, err := time.ParseDuration(s)
		if err != nil || d <= 0 {
			return 0, errors.New(`a duration above 0 like "60s" is expected`)
		}
		return d, nil
	})
}

// Bytes declares a setting that is a number of bytes above 0, such as "8MiB".
func Bytes(fs *flag.FlagSet, p *int64, name, fallback, usage string) {
	declare(fs, p, name, fallback, usage, func(s string) (int64, error) {
		digits, unit := s, int64(1)
		for suffix, size := range map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30} {
			if rest, ok := strings.CutSuffix(s, suffix); ok {
				digits, unit = rest, size
			}
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		// Below the greatest, so that a reader can ask for one byte more.
		if err != nil || n <= 0 || n >= math.MaxInt64/unit {
			return 0, errors.New(`a number of bytes above 0 like "1048576" or "8MiB" is expected`)
		}
		return n * unit, nil
	})
}

// List declares a setting that is a list of words with commas between them.
func List(fs *flag.FlagSet, p *[]string, name, fallback, usage string) {
	declare(fs, p, name, fallback, usage, func(s string) ([]string, error) {
		words := strings.Split(s, ",")
		for i := range words {
			if words[i] = strings.TrimSpace(words[i]); words[i] == "" {
				return nil, errors.New("words with commas between them are expected")
			}
		}
		return words, nil
	})
}

// Prefixes declares a setting that is a list of address ranges such as
// "127.0.0.0/8", or single addresses, with commas between them.
func Prefixes(fs *flag.FlagSet, p *[]netip.Prefix, name, fallback, usage string) {
	declare(fs, p, name, fallback, usage, func(s string) ([]netip.Prefix, error) {
		var list []netip.Prefix
		for each := range strings.SplitSeq(s, ",") {
			each = strings.TrimSpace(each)
			prefix, err := netip.ParsePrefix(each)
			if address, single := netip.ParseAddr(each); err != nil && single == nil {
				prefix, err = netip.PrefixFrom(address, address.BitLen()), nil
			}
			if err != nil {
				return nil, errors.New(`address ranges like "127.0.0.0/8" with commas between them are expected`)
			}
			list = append(list, prefix.Masked())
		}
		return list, nil
	})
}

// Choice declares a setting that is one of a few words.
func Choice[T any](fs *flag.FlagSet, p *T, name, fallback, usage string, choices map[string]T) {
	declare(fs, p, name, fallback, usage, func(s string) (T, error) {
		v, ok := choices[strings.ToLower(s)]
		if !ok {
			return v, errors.New("one of " + strings.Join(slices.Sorted(maps.Keys(choices)), ", ") + " is expected")
		}
		return v, nil
	})
}

// declare adds a flag whose default is the text fallback; a fallback that does
// not parse only tells in -help what happens when nothing is set.
func declare[T any](fs *flag.FlagSet, p *T, name, fallback, usage string, parse func(string) (T, error)) {
	if v, err := parse(fallback); err == nil {
		*p = v
	}
	fs.Var(&value[T]{p: p, text: fallback, parse: parse}, name, usage)
}

// value implements [flag.Value]; it prints what was set, word for word.
type value[T any] struct {
	p     *T
	text  string
	parse func(string) (T, error)
}

func (v *value[T]) String() string { return v.text }

func (v *value[T]) Set(s string) error {
	parsed, err := v.parse(s)
	if err != nil {
		return err
	}
	*v.p, v.text = parsed, s
	return nil
}
