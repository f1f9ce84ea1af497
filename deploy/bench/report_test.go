package main

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestRowTellsWhatWasMissed(t *testing.T) {
	t.Parallel()
	for want, r := range map[string]row{
		"w | b | ≥ 0.80 | ≥ 0.90 | 0.85 | 0.10 to 1.20":    {reach: 0.8, aim: 0.9, format: plain, values: []float64{1.2, 0.85, 0.1}},
		"w | b | ≥ 0.80 | – | 0.79 ✗ | 0.79 to 0.79":       {reach: 0.8, aim: none, format: plain, values: []float64{0.79}},
		"w | b | ≤ 1.50 | – | 1.50 | 1.50 to 1.50":         {reach: 1.5, aim: none, atMost: true, format: plain, values: []float64{1.5}},
		"w | b | ≤ 1.50 | – | 1.51 ✗ | 1.51 to 1.51":       {reach: 1.5, aim: none, atMost: true, format: plain, values: []float64{1.51}},
		"w | b | ≤ 1.50 | – | – ✗ | – to –":                {reach: 1.5, aim: none, atMost: true, format: plain, values: []float64{math.NaN()}},
		"w | b | ≤ 1.50 | – | ∞ ✗ | 1.00 to ∞":             {reach: 1.5, aim: none, atMost: true, format: plain, values: []float64{1, math.Inf(1), math.Inf(1)}},
		"w | b | – | ≥ 30 | 12 | 12 to 12":                 {reach: none, aim: 30, format: plain, values: []float64{12}},
		"w | b | ≤ 10.00 ms | – | 900 µs | 1 µs to 1.00 s": {reach: 1e7, aim: none, atMost: true, format: latency, values: []float64{1e3, 9e5, 1e9}},
		"w | b | ≤ 200 MiB | – | 3 MiB | 3 MiB to 3 MiB":   {reach: 200 << 20, aim: none, atMost: true, format: mebibytes, values: []float64{3 << 20}},
	} {
		r.what, r.baseline = "w", "b"
		if got := r.String(); got != want {
			t.Errorf("row: %s\nwant: %s", got, want)
		}
	}
}

func TestLostRequestsTakeForEver(t *testing.T) {
	t.Parallel()
	r := record{good: make([]time.Duration, 98), gaveUp: 2}
	if s := r.sample(time.Second, reading{}); !math.IsInf(s.p99OfAll, 1) || s.p99 != 0 {
		t.Errorf("p99 of all with 2 of 100 lost: %v, of the good ones %v, want +Inf and 0", s.p99OfAll, s.p99)
	}
	r = record{good: make([]time.Duration, 995), failed: 5}
	if s := r.sample(time.Second, reading{}); s.p99OfAll != 0 {
		t.Errorf("p99 of all with 5 of 1000 lost: %v, want 0", s.p99OfAll)
	}
}

func TestGeneratorThatTakesTooMuchIsNamed(t *testing.T) {
	t.Parallel()
	results := map[string]*result{"B1": {sides: []measured{
		{name: "fine", samples: []sample{{share: 0.4}}},
		{name: "greedy", samples: []sample{{share: 0.41}}},
		{name: "client", alone: true, samples: []sample{{share: 0.9}}},
		{name: "unknown", samples: []sample{{share: math.NaN()}}},
	}}, "B5": {sides: []measured{
		{name: "late", samples: []sample{{offered: 0.97}, {offered: 0.9}}},
	}}}
	err := checkGenerator(results)
	const want = "B1, greedy: it took 41 % of the CPU, more than 40 %\nB5, late: it sent 90 % of the requests that it should"
	if err == nil || err.Error() != want {
		t.Errorf("error: %v\nwant: %s", err, want)
	}
}

func TestPictureHasABarForEverySide(t *testing.T) {
	t.Parallel()
	results := make(map[string]*result)
	n := 0.0
	for _, p := range panels {
		if results[p.id] == nil {
			results[p.id] = new(result)
		}
		for _, name := range p.bars {
			n++
			results[p.id].sides = append(results[p.id].sides, measured{name: name, samples: []sample{{rate: 1000 + n}}})
		}
	}
	file := filepath.Join(t.TempDir(), "bench.svg")
	if err := writePicture(file, results); err != nil {
		t.Fatal(err)
	}
	svg, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{">floor, 1<", ">1001<", ">batched, 512<", ">1010<", ">.server-log, 64 at once: executions/s<"} {
		if !strings.Contains(string(svg), want) {
			t.Errorf("there is no %s in\n%s", want, svg)
		}
	}
	for d := xml.NewDecoder(strings.NewReader(string(svg))); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("not XML: %v\n%s", err, svg)
		}
	}
}
