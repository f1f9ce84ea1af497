package main

import (
	"bytes"
	"fmt"
	"os"
	"text/template"
)

// panel is a group of bars on one scale.
type panel struct {
	title string
	id    string
	bars  []string // names of sides, as labels
}

var panels = []panel{
	{".server-log, 64 at once", "B1", []string{"floor, 64", "Patchbay, 64"}},
	{".server-log, 1 at once", "B1", []string{"floor, 1", "Patchbay, 1"}},
	{".index, 5 ms stub, 512 at once", "B3", []string{"512 clients of the stub", "not batched, 512", "batched, 512"}},
	{".index, 50 ms stub, 16 slots each", "B7", []string{"workers: 1", "workers: 2", "workers: 4"}},
}

// Measures of the picture, in pixels.
const (
	left, width   = 190, 420
	step, heading = 24, 30
)

var picture = template.Must(template.New("").Parse(`<svg xmlns="http://www.w3.org/2000/svg" width="720" height="{{.Height}}" font-family="sans-serif" font-size="13">
<title>Executions a second</title>
<rect width="720" height="{{.Height}}" fill="#ffffff"/>
{{range .Texts}}<text x="{{.X}}" y="{{.Y}}" text-anchor="{{.Anchor}}"{{if .Bold}} font-weight="bold"{{end}} fill="#222222">{{.Text}}</text>
{{end}}{{range .Bars}}<rect x="{{.X}}" y="{{.Y}}" width="{{.Width}}" height="16" fill="{{.Fill}}"/>
{{end}}</svg>
`))

type drawnText struct {
	X, Y         int
	Anchor, Text string
	Bold         bool
}

type drawnBar struct {
	X, Y, Width int
	Fill        string
}

// writePicture draws the rates of B1, B3 and B7 as bars.
func writePicture(file string, results map[string]*result) error {
	var drawn struct {
		Height int
		Texts  []drawnText
		Bars   []drawnBar
	}
	y := 0
	for _, p := range panels {
		y += heading
		drawn.Texts = append(drawn.Texts, drawnText{left, y - 8, "start", p.title + ": executions/s", true})
		most := 0.0
		for _, name := range p.bars {
			most = max(most, median(results[p.id].samples(name), rate))
		}
		for i, name := range p.bars {
			value := median(results[p.id].samples(name), rate)
			length := int(value / max(most, 1) * width)
			fill := "#9aa5b1" // what Patchbay is compared with
			if i > 0 && (p.id != "B3" || i > 1) {
				fill = "#2f6f9f"
			}
			drawn.Bars = append(drawn.Bars, drawnBar{left, y, length, fill})
			drawn.Texts = append(drawn.Texts, drawnText{left - 8, y + 13, "end", name, false},
				drawnText{left + length + 6, y + 13, "start", fmt.Sprintf("%.0f", value), false})
			y += step
		}
	}
	drawn.Height = y + 10
	var b bytes.Buffer
	if err := picture.Execute(&b, drawn); err != nil {
		return err
	}
	return os.WriteFile(file, b.Bytes(), 0o644)
}
