package schema_test

import (
	"reflect"
	"testing"
)

type maybes struct {
	Word   *string `json:"word" maybe:"yes" blank:"no"`
	Colour *colour `json:"colour" maybe:"yes"`
	On     *bool   `json:"on" maybe:"yes"`
}

func TestDecodeLeavesOutWhatMayBeAbsent(t *testing.T) {
	t.Parallel()
	word, red, on := "w", colour("red"), false
	for data, want := range map[string]maybes{
		`{}`: {},
		`{"word":"w","colour":"red","on":"false"}`: {&word, &red, &on},
	} {
		if got, refusal := decode[maybes](t, data); refusal != "" || !reflect.DeepEqual(got, want) {
			t.Errorf("decode of %s = %+v, %q, want %+v", data, got, refusal, want)
		}
	}
}

func TestDecodeRefusesNullForWhatMayBeAbsent(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]string{
		`{"word":null}`:   "[word]: expected value of type [string] but got [null]",
		`{"word":1}`:      "[word]: expected value of type [string] but got [number]",
		`{"word":" "}`:    "[word]: value '' is not valid",
		`{"on":null}`:     "[on]: expected value of type [boolean] but got [null]",
		`{"colour":null}`: "[colour]: types that failed validation:\n- [colour.0]: expected value to equal [red]\n- [colour.1]: expected value to equal [green]",
	} {
		if _, refusal := decode[maybes](t, data); refusal != want {
			t.Errorf("decode of %s refuses with\n%s\nwant\n%s", data, refusal, want)
		}
	}
}
