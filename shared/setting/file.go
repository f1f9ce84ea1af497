package setting

import (
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"
)

// lookAgain is how long what was read from files counts as fresh.
const lookAgain = time.Second

// File is a value that stands in one or more files and follows them when they
// change: a certificate, a key. It is safe for concurrent use.
type File[T any] struct {
	load  func() (T, error)
	files []string

	mu     sync.Mutex
	value  T
	stats  []fs.FileInfo // of files, from just before value was read
	looked time.Time
	failed error // of the last attempt to follow a change
}

// ReadFile reads the value with load, which reads the files that are named. Later
// changes of the files make [File.Get] read again.
func ReadFile[T any](load func() (T, error), files ...string) (*File[T], error) {
	f := &File[T]{load: load, files: files, looked: time.Now()}
	// Their state first: a change while they are read is found later.
	stats, err := f.stat()
	if err != nil {
		return nil, err
	}
	if f.value, err = load(); err != nil {
		return nil, err
	}
	f.stats = stats
	return f, nil
}

// Fixed returns a File that never changes, for a value that stands in none.
func Fixed[T any](value T) *File[T] { return &File[T]{value: value} }

// Get returns the value as the files have it now, give or take a second. If they
// have changed but cannot be read it returns the value that was there before and,
// once per change, the error.
func (f *File[T]) Get() (T, error) {
	if f.load == nil {
		return f.value, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.looked) < lookAgain {
		return f.value, nil
	}
	f.looked = time.Now()
	known := f.failed
	err := f.follow()
	if err != nil && known != nil && known.Error() == err.Error() {
		err = nil
	}
	return f.value, err
}

// Reload is Get that looks at the files at once, and returns the error each time.
func (f *File[T]) Reload() (T, error) {
	if f.load == nil {
		return f.value, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.looked = time.Now()
	return f.value, f.follow()
}

func (f *File[T]) follow() error {
	stats, err := f.stat()
	if err == nil && f.unchanged(stats) {
		return nil
	}
	var value T
	if err == nil {
		value, err = f.load()
	}
	if err != nil {
		// Not kept: half a change (a certificate without its key yet) is tried again.
		f.failed = fmt.Errorf("the value from before stays in use: %w", err)
		return f.failed
	}
	f.value, f.stats, f.failed = value, stats, nil
	return nil
}

func (f *File[T]) unchanged(stats []fs.FileInfo) bool {
	for i, now := range stats {
		before := f.stats[i]
		// Another file in its place is a change, whatever its time and size.
		if !os.SameFile(before, now) || before.Size() != now.Size() || !before.ModTime().Equal(now.ModTime()) {
			return false
		}
	}
	return true
}

func (f *File[T]) stat() ([]fs.FileInfo, error) {
	stats := make([]fs.FileInfo, len(f.files))
	for i, file := range f.files {
		info, err := os.Stat(file)
		if err != nil {
			return nil, err
		}
		stats[i] = info
	}
	return stats, nil
}
