package index

import "testing"

// What encoding/json takes for the status is the status, however it is written.
func TestStatusIsThatOfALaxReader(t *testing.T) {
	t.Parallel()
	for result, want := range map[string]int{
		`{}`: 0, `{"status":201}`: 201, `{ "_id":"a" , "status" : 409 }`: 409, `{"Status":201}`: 201, `{"status":201,"status":400}`: 400,
		`{"status":201,"STATUS":400}`: 400, `{"status":201,"\u0073tatus":400}`: 400, `{"\u0073tatus":400,"status":201}`: 201, `{"status":201,"s\u0074atus":400}`: 400,
		`{"status":201,"ſtatus":400}`: 400, `{"status":201,"ſtatuſ":400}`: 400, `{"status":201,"shards":1,"S":2,"":3,"é":4,"\\":5}`: 201,
	} {
		s, err := scan([]byte(`{"errors":false,"items":[{"create":`+result+`}]}`), 1)
		if err != nil || len(s.each) != 1 || s.each[0].status != want {
			t.Errorf("%s: %v, %+v, want %d", result, err, s.each, want)
		}
	}
}
