package api

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// auditFile appends lines to a file, and to the one that takes its place when it
// is moved away, as programs that rotate logs do.
type auditFile struct {
	name string
	log  *slog.Logger

	mu     sync.Mutex
	file   *os.File
	looked time.Time
	failed bool // the last line was lost, and that was said
	torn   bool // a part of it was written
}

// auditLook is how often an audit file is looked for under its name.
const auditLook = time.Second

// openAudit returns the handler that the settings name, and how to close it.
func openAudit(config *Config, log *slog.Logger) (handler slog.Handler, closeFile func() error, err error) {
	options := &slog.HandlerOptions{ReplaceAttr: auditJSON}
	switch config.AuditFile {
	case "":
		return config.Audit, func() error { return nil }, nil
	case "-":
		return slog.NewJSONHandler(os.Stdout, options), func() error { return nil }, nil
	}
	f, err := openAuditFile(config.AuditFile, log)
	if err != nil {
		return nil, nil, fmt.Errorf("PATCHBAY_AUDIT_FILE: %w", err)
	}
	return slog.NewJSONHandler(f, options), f.close, nil
}

func openAuditFile(name string, log *slog.Logger) (*auditFile, error) {
	f := &auditFile{name: name, log: log}
	return f, f.open()
}

func (f *auditFile) open() error {
	file, err := os.OpenFile(f.name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	f.file, f.looked = file, time.Now()
	return nil
}

// Write appends one line. What cannot be written is told to the log, once until it
// can be again.
func (f *auditFile) Write(line []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	err := f.follow()
	if err == nil && f.torn { // what follows is a line of its own
		_, err = f.file.Write([]byte{'\n'})
	}
	var n int
	if err == nil {
		n, err = f.file.Write(line)
		f.torn = err != nil && n > 0
	}
	if err != nil && !f.failed {
		f.log.Error("events are missing from the audit log", "error", err)
	}
	f.failed = err != nil
	return n, err
}

// follow opens the file anew if its name stands for another one by now.
func (f *auditFile) follow() error {
	if !f.failed && time.Since(f.looked) < auditLook {
		return nil
	}
	f.looked = time.Now()
	now, err := os.Stat(f.name)
	if err == nil {
		var opened os.FileInfo
		if opened, err = f.file.Stat(); err == nil && os.SameFile(now, opened) {
			return nil
		}
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	old := f.file
	if err := f.open(); err != nil {
		return err
	}
	return old.Close()
}

func (f *auditFile) close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.file.Close()
}
