package faults_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The table of README.md must not promise what nobody shows.
func TestTableHasEveryRowAndNamesTestsThatExist(t *testing.T) {
	t.Parallel()
	table, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	declared := make(map[string]bool)
	declaration := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	err = filepath.WalkDir("../..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		code, err := os.ReadFile(path)
		for _, match := range declaration.FindAllSubmatch(code, -1) {
			declared[string(match[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, match := range regexp.MustCompile("`(Test\\w+)`").FindAllSubmatch(table, -1) {
		if !declared[string(match[1])] {
			t.Errorf("there is no %s", match[1])
		}
	}
	for row := 1; row <= 30; row++ {
		if !strings.Contains(string(table), fmt.Sprintf("\n| %d | ", row)) {
			t.Errorf("row %d is missing", row)
		}
	}
}
