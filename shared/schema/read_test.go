package schema

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

type readItem struct {
	Name string `json:"name"`
}

type readBody struct {
	Text    string     `json:"text" default:"\"none\""`
	Records []Record   `json:"records" default:"[]"`
	Names   []string   `json:"names" default:"[]"`
	Items   []readItem `json:"items" default:"[]"`
	Any     Record     `json:"any" default:"{}"`
	Full    []Record   `json:"full" default:"[]" blank:"no"`
}

// both is what Read makes of data, after it was compared with Check and Decode.
func both(t *testing.T, data string) (readBody, error) {
	t.Helper()
	var once, twice readBody
	got, want := Read([]byte(data), MaxDepth, &once), Check([]byte(data), MaxDepth)
	if want == nil {
		want = Decode([]byte(data), &twice)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) || reflect.TypeOf(got) != reflect.TypeOf(want) {
		t.Errorf("%.200s\n got %T %v\nwant %T %v", data, got, got, want, want)
	}
	if want == nil && !reflect.DeepEqual(once, twice) {
		t.Errorf("%.200s\n got %+v\nwant %+v", data, once, twice)
	}
	return once, got
}

func TestReadIsCheckAndDecode(t *testing.T) {
	t.Parallel()
	for _, data := range []string{
		``, ` `, `null`, `[]`, `"x"`, `{`, `{}`, ` { } `, `{}{}`, `{"records":`, `{"records":[`, `{"records":[]`, `{"records":[]}`, `{"records":[ ]}`,
		`{"records":[{}]}`, ` {"records" : [ {} , {"a":[1,"]"]} ] } `, `{"records":[{},]}`, `{"records":[,{}]}`, `{"records":[{} {}]}`, `{"records":[{}}`,
		`{"records":[1]}`, `{"records":[{},"{\"a\":1}"]}`, `{"records":[{},"x"]}`, `{"records":{}}`, `{"records":"[{},{}]"}`, `{"records":"[{},1]"}`, `{"records":null}`,
		`{"full":[{"a":"b"},{"c":1}]}`, `{"full":[{"a":"b"},{"c":{"d":[" "]}}]}`, `{"full":["{\"a\":\"\"}"]}`,
		`{"names":["a","b"]}`, `{"names":["a",1]}`, `{"items":[{"name":"a"},{"name":"b"}]}`, `{"items":[{"name":"a"},{}]}`, `{"items":[{"name":"a","b":1}]}`,
		`{"records":[{}],"names":["a"],"items":[{"name":"c"}],"any":{"d":[]},"text":"e"}`,
		`{"names":["a"],"names":["b","c"]}`, `{"names":["a"],"names":[]}`, `{"names":["a"],"names":"[\"d\"]"}`, `{"nam\u0065s":["a"]}`, `{"other":[1,2]}`, `{"text":[1]}`, `{"any":[1]}`,
		"{\"names\":[\"\xff\"]}", `{"names":["\ud800"]}`, `{"names":["` + "\n" + `"]}`,
		`{"any":` + strings.Repeat(`{"a":`, MaxDepth-1) + `1` + strings.Repeat(`}`, MaxDepth-1) + `}`,
		`{"any":` + strings.Repeat(`{"a":`, MaxDepth) + `1` + strings.Repeat(`}`, MaxDepth) + `}`,
		`{"records":[{"a":` + strings.Repeat(`[`, MaxDepth-3) + strings.Repeat(`]`, MaxDepth-3) + `}]}`,
		`{"records":[{"a":` + strings.Repeat(`[`, MaxDepth-2) + strings.Repeat(`]`, MaxDepth-2) + `}]}`,
		`{` + strings.Repeat(`"any":{},`, 15) + `"text":"16"}`, `{` + strings.Repeat(`"any":{},`, 16) + `"text":"17"}`, `{` + strings.Repeat(`"any":{},`, 16) + `"text":[]}`,
	} {
		_, _ = both(t, data)
	}
}

// More items than are remembered are found again, and none is lost.
func TestReadKeepsEveryItem(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 63, 64, 65, maxItems - 1, maxItems, maxItems + 1, 3 * maxItems} {
		records := strings.TrimSuffix(strings.Repeat(`{"a":1}, `, n), ", ")
		got, err := both(t, `{"names":["a","b"],"records":[`+records+`],"items":[{"name":"c"}]}`)
		if err != nil || len(got.Records) != n || len(got.Names) != 2 || len(got.Items) != 1 {
			t.Errorf("%d: %d records, %d names, %d items: %v", n, len(got.Records), len(got.Names), len(got.Items), err)
		}
		if _, err := both(t, `{"records":[`+records+`,1]}`); err == nil {
			t.Errorf("%d records and a number are taken", n)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"text":"a","records":[{"a":[1]},{}],"names":["b"],"items":[{"name":"c"}],"any":{}}`))
	f.Add([]byte(`{"records":"[{}]","names":["a",],"other":[1]}`))
	f.Fuzz(func(t *testing.T, data []byte) { _, _ = both(t, string(data)) })
}

func BenchmarkRead(b *testing.B) {
	document := `{"@timestamp":"2026-01-02T03:04:05.678Z","host":"db-1","message":"Disk is 95 % full","value":95.2}`
	data := []byte(`{"records":[` + strings.Repeat(document+",", 63) + document + `]}`)
	b.Run("once", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			var body readBody
			if err := Read(data, MaxDepth, &body); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("check and decode", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			var body readBody
			if err := readTwice(data, MaxDepth, &body); err != nil {
				b.Fatal(err)
			}
		}
	})
}
