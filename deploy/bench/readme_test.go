package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Figures mean something only with what was measured, and on what.
func TestReportNamesCommitAndMachine(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := report(t.Context(), &out, config{rounds: 5}, nil); err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(out.String(), "\n")
	want := regexp.MustCompile(`^Commit ([0-9a-f]{7,}(, changed)?|unknown); [0-9]+ cores \(.+\), [a-z]+, go1\.[0-9.]+.*\. Median and spread of 5 rounds`)
	if !want.MatchString(first) {
		t.Errorf("the first line is %q, want %s", first, want)
	}
}

func TestReadmeShowsTableAndPictureWithCommitAndMachine(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(readme), "<!-- figures of go run ./deploy/bench: begin -->\n")
	figures, _, found := strings.Cut(rest, "<!-- figures of go run ./deploy/bench: end -->\n")
	if !found {
		t.Fatal("README.md has no figures")
	}
	for _, want := range []string{
		`^Commit [0-9a-f]{7,}; [0-9]+ cores \(.+\), [a-z]+, go1\.`, // not of changes that nobody can look up
		`\n\| # \| What \| Baseline \| Reach \| Aim \| Median \| Spread \|\n`,
	} {
		if !regexp.MustCompile(want).MatchString(figures) {
			t.Errorf("the figures in README.md do not match %s", want)
		}
	}
	for _, b := range benchmarks {
		if !strings.Contains(figures, "\n| "+b.id+" | ") {
			t.Errorf("README.md has no row of %s", b.id)
		}
	}
	picture := regexp.MustCompile(`!\[.+\]\((.+\.svg)\)`).FindStringSubmatch(figures)
	if picture == nil {
		t.Fatal("README.md shows no picture")
	}
	if _, err := os.Stat(filepath.Join("../..", picture[1])); err != nil {
		t.Error(err)
	}
}
