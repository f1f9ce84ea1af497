package faults_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// promise is what was said of an execution, and so what must become of it.
type promise int

// The promises, each stronger than the one before.
const (
	refused  promise = iota // it was said that nothing was accepted: no effect
	doubtful                // nothing was said: the effect may be there, once
	answered                // it was said to have been carried out: the effect must be there
	accepted                // it was said to be on disk: the effect must be there in the end
)

// book is where producers write down what they were told, under the marker that the
// effect of each execution carries.
type book struct {
	mu       sync.Mutex
	promises map[string]promise
	types    map[string]string // connector of the marker
	ids      map[string]string // execution id of the marker, if it was told
	words    map[string]string // what was said, for who looks for the reason
	next     int
}

func newBook() *book {
	return &book{promises: make(map[string]promise), types: make(map[string]string), ids: make(map[string]string), words: make(map[string]string)}
}

// marker returns a new one for an execution of a connector.
func (b *book) marker(connector string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.next++
	m := fmt.Sprintf("m-%06d", b.next)
	b.types[m] = connector
	return m
}

// write writes down what was said of an execution. id may be "".
func (b *book) write(marker string, p promise, id, words string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.promises[marker] = p
	b.words[marker] = words
	if id != "" {
		b.ids[marker] = id
	}
}

// count returns how many executions have a promise.
func (b *book) count(p promise) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, made := range b.promises {
		if made == p {
			n++
		}
	}
	return n
}

// effects returns how often each marker is found at a connector's destination.
func (p *parts) effects(t *testing.T, connector string) map[string]int {
	t.Helper()
	found := make(map[string]int)
	switch connector {
	case "index":
		for _, document := range p.elastic.Documents("effects") {
			var d struct{ Marker string }
			if err := json.Unmarshal(document, &d); err != nil {
				t.Fatal(err)
			}
			found[d.Marker]++
		}
	case "jira":
		for _, issue := range p.jira.Issues() {
			summary, _ := issue.Fields["summary"].(string)
			found[summary]++
		}
	case "log":
		line := regexp.MustCompile(`"Server log: (m-\d+)"`)
		for _, w := range p.workers {
			for _, match := range line.FindAllSubmatch(w.said(), -1) {
				found[string(match[1])]++
			}
		}
	}
	return found
}

// audit holds the effects to the promises: what was accepted is there, what was
// refused is not, and nothing is there twice where that is promised.
func (b *book) audit(t *testing.T, p *parts) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	effects := make(map[string]map[string]int)
	for _, connector := range []string{"index", "jira", "log"} {
		effects[connector] = p.effects(t, connector)
	}
	var lost, uncalled, twice []string
	repeated := 0
	for marker, made := range b.promises {
		connector := b.types[marker]
		n := effects[connector][marker]
		told := fmt.Sprintf("%s %s %s (%s)", connector, marker, b.ids[marker], b.words[marker])
		switch {
		case made >= answered && n == 0:
			lost = append(lost, told)
		case made == refused && n > 0:
			uncalled = append(uncalled, told)
		case n > 1 && connector == "log":
			repeated++ // a line that stands in the log twice is as promised
		case n > 1:
			twice = append(twice, told)
		}
	}
	for what, which := range map[string][]string{
		"were accepted or answered and have no effect": lost, "were refused and have an effect": uncalled, "have their effect twice": twice,
	} {
		if len(which) > 0 {
			slices.Sort(which)
			t.Errorf("%d executions %s:\n%s", len(which), what, strings.Join(which[:min(len(which), 10)], "\n"))
		}
	}
	t.Logf("effects: %d documents, %d issues, %d log lines, of which %d again",
		len(effects["index"]), len(effects["jira"]), len(effects["log"]), repeated)
}
