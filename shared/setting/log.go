package setting

import (
	"flag"
	"io"
	"log/slog"
	"os"
)

// LevelTrace and LevelFatal are Kibana's log levels that slog does not have.
const (
	LevelTrace = slog.LevelDebug - 4
	LevelFatal = slog.LevelError + 4
)

var levels = map[string]slog.Level{
	"trace": LevelTrace,
	"debug": slog.LevelDebug,
	"info":  slog.LevelInfo,
	"warn":  slog.LevelWarn,
	"error": slog.LevelError,
	"fatal": LevelFatal,
}

// Level returns the slog level of one of Kibana's: trace, debug, info, warn,
// error, fatal.
func Level(name string) (slog.Level, bool) {
	l, ok := levels[name]
	return l, ok
}

// Log says what a program logs and how.
type Log struct {
	level  slog.Level
	format string
}

// Flags declares -log-level and -log-format.
func (l *Log) Flags(fs *flag.FlagSet) {
	Choice(fs, &l.level, "log-level", "info", "log level: trace, debug, info, warn, error or fatal", levels)
	Choice(fs, &l.format, "log-format", "json, on a terminal text", "log format: json or text",
		map[string]string{"json": "json", "text": "text"})
}

// New returns the logger that writes to w.
func (l *Log) New(w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: l.level, ReplaceAttr: nameLevel}
	if l.format == "text" || l.format == "" && isTerminal(w) {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}

// nameLevel prints TRACE and FATAL instead of slog's DEBUG-4 and ERROR+4.
func nameLevel(groups []string, a slog.Attr) slog.Attr {
	if a.Key != slog.LevelKey || len(groups) > 0 {
		return a
	}
	switch a.Value.Any() {
	case LevelTrace:
		return slog.String(slog.LevelKey, "TRACE")
	case LevelFatal:
		return slog.String(slog.LevelKey, "FATAL")
	default:
		return a
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && info.Mode()&os.ModeDevice != 0
}

// Warn logs the names of variables that [Parse] did not know.
func Warn(log *slog.Logger, unknown []string) {
	for _, name := range unknown {
		log.Warn("unknown setting is ignored; see -help for the known ones", "variable", name)
	}
}
