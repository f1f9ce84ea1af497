package setting_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"patchbay.dev/shared/setting"
)

// logged returns what a program with these flags logs, a record of every level.
func logged(t *testing.T, args ...string) string {
	t.Helper()
	var l setting.Log
	fs := flag.NewFlagSet("", flag.ContinueOnError)
	l.Flags(fs)
	if _, err := setting.Parse(fs, args, nil); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	log := l.New(&b)
	for _, name := range names {
		level, _ := setting.Level(name)
		log.Log(context.Background(), level, "said", "request", name)
	}
	return b.String()
}

var names = []string{"trace", "debug", "info", "warn", "error", "fatal"}

func TestLogIsJSONUnlessOnATerminal(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"-log-format=json"}} {
		line, _, _ := strings.Cut(logged(t, args...), "\n")
		var got map[string]any
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatalf("%q logged %q: %v", args, line, err)
		}
		delete(got, "time")
		if want := map[string]any{"level": "INFO", "msg": "said", "request": "info"}; !reflect.DeepEqual(got, want) {
			t.Errorf("%q logged\n got %v\nwant %v", args, got, want)
		}
	}
}

func TestLogIsTextWhenAsked(t *testing.T) {
	t.Parallel()
	line, _, _ := strings.Cut(logged(t, "-log-format=text"), "\n")
	if want := ` level=INFO msg=said request=info`; !strings.HasPrefix(line, "time=") || !strings.HasSuffix(line, want) {
		t.Errorf("logged %q, want it to end with %q", line, want)
	}
}

func TestLogNamesEveryLevelAndLeavesOutTheLower(t *testing.T) {
	t.Parallel()
	for i, level := range names {
		for _, format := range []string{"json", "text"} {
			output := logged(t, "-log-level="+level, "-log-format="+format)
			for j, name := range names {
				mark := `"level":"` + strings.ToUpper(name) + `"`
				if format == "text" {
					mark = " level=" + strings.ToUpper(name) + " "
				}
				if got, want := strings.Contains(output, mark), j >= i; got != want {
					t.Errorf("%s log at level %s: %s is there: %t, want %t\n%s", format, level, name, got, want, output)
				}
			}
		}
	}
}

func TestLevelsAreInOrder(t *testing.T) {
	t.Parallel()
	var got []slog.Level
	for _, name := range names {
		level, ok := setting.Level(name)
		if !ok {
			t.Errorf("Level(%q) is unknown", name)
		}
		got = append(got, level)
	}
	want := []slog.Level{setting.LevelTrace, slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError, setting.LevelFatal}
	if !reflect.DeepEqual(got, want) || setting.LevelTrace >= slog.LevelDebug || setting.LevelFatal <= slog.LevelError {
		t.Errorf("levels\n got %v\nwant %v", got, want)
	}
	for _, name := range []string{"", "INFO", "warning", "off"} {
		if level, ok := setting.Level(name); ok {
			t.Errorf("Level(%q) = %v, want unknown", name, level)
		}
	}
}

// A group of a caller may have a "level" of its own.
func TestLogLeavesOthersLevelsAlone(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	var l setting.Log
	l.New(&b).Info("said", slog.Group("alert", "level", setting.LevelFatal))
	if want := `"alert":{"level":"ERROR+4"}`; !strings.Contains(b.String(), want) {
		t.Errorf("logged %s, want %s in it", b.String(), want)
	}
}

func TestWarnNamesEveryUnknownVariable(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	log := slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	setting.Warn(log, nil)
	setting.Warn(log, []string{"PATCHBAY_A", "PATCHBAY_B"})
	const want = `level=WARN msg="unknown setting is ignored; see -help for the known ones" variable=PATCHBAY_A
level=WARN msg="unknown setting is ignored; see -help for the known ones" variable=PATCHBAY_B
`
	if b.String() != want {
		t.Errorf("logged\n%s\nwant\n%s", b.String(), want)
	}
}
