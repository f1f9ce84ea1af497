package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

// profiling returns the setting with which a program of Patchbay serves its
// profiles, and where.
func profiling() (setting, address string, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", err
	}
	address = listener.Addr().String()
	return "PATCHBAY_DIAGNOSTICS_ADDR=" + address, address, listener.Close()
}

// profile has the process profile its CPU for as long as it is measured.
func (p *process) profile(ctx context.Context, duration time.Duration) error {
	url := fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", p.diagnostics, max(1, int(duration.Seconds())))
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if p.profiled, err = io.ReadAll(response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: profile: %s", p.name, response.Status)
	}
	return nil
}

// unfit is what does not belong into the name of a file.
var unfit = regexp.MustCompile(`[^A-Za-z0-9.]+`)

// keepProfiles writes what was profiled while a side was measured.
func (s *stage) keepProfiles(side string) error {
	for _, p := range s.running {
		if p.profiled == nil {
			continue
		}
		name := unfit.ReplaceAllString(fmt.Sprintf("%s-%s-%s-%d.pprof", s.id, side, p.name, p.cmd.Process.Pid), "-")
		if err := os.WriteFile(filepath.Join(s.profiles, name), p.profiled, 0o644); err != nil {
			return err
		}
		p.profiled = nil
	}
	return nil
}
