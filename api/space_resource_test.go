package api

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

const defaultSpaceBody = `{"id":"default","name":"Default","description":"This is your default space!","color":"#00bfb3","disabledFeatures":[],"_reserved":true}`

func TestDefaultSpaceIsAlwaysThere(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, root := range []string{"", "/s/default", "/s/other"} {
		b.wantAnswer(b.send("GET", root+"/api/spaces/space/default", ""), http.StatusOK, defaultSpaceBody)
		b.wantAnswer(b.send("GET", root+"/api/spaces/space", ""), http.StatusOK, "["+defaultSpaceBody+"]")
		b.wantError(b.send("DELETE", root+"/api/spaces/space/default", ""), http.StatusBadRequest,
			"The default space cannot be deleted because it is reserved.")
	}
	b.wantError(b.send("POST", "/api/spaces/space", `{"id":"default","name":"mine"}`), http.StatusConflict,
		"A space with the identifier default already exists.")
	changed := `{"id":"default","name":"the new default","description":"a description","color":"#ffffff","disabledFeatures":[],"_reserved":true}`
	b.wantAnswer(b.send("PUT", "/api/spaces/space/default", strings.Replace(changed, "true", "false", 1)), http.StatusOK, changed)
	b.wantAnswer(b.send("GET", "/api/spaces/space/default", ""), http.StatusOK, changed)
}

// The answers are those that Terraform compares with what it sent.
func TestSpaceIsAnsweredAsItWasSent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i, test := range []struct{ sent, want string }{
		{`{"id":"s0","name":"n"}`, `{"id":"s0","name":"n","disabledFeatures":[]}`},
		{`{"id":"s1","name":"n","disabledFeatures":[]}`, `{"id":"s1","name":"n","disabledFeatures":[]}`},
		{`{"id":"s2","name":"n","description":"","imageUrl":"","initials":""}`,
			`{"id":"s2","name":"n","description":"","imageUrl":"","initials":"","disabledFeatures":[]}`},
		{`{"id":"s3","name":"n","_reserved":true}`, `{"id":"s3","name":"n","disabledFeatures":[]}`},
		{`{"id":"s4","name":" N ü","description":"d","color":"#aBc0Fg","initials":"Öß","imageUrl":"data:image/png;base64,AA==","disabledFeatures":["b","a"],"solution":"oblt"}`,
			`{"id":"s4","name":" N ü","description":"d","color":"#aBc0Fg","initials":"Öß","imageUrl":"data:image/png;base64,AA==","disabledFeatures":["b","a"],"solution":"oblt"}`},
		{`{"id":"-_5","name":"n","initials":"😀"}`, `{"id":"-_5","name":"n","initials":"😀","disabledFeatures":[]}`},
	} {
		b.wantAnswer(b.send("POST", "/api/spaces/space", test.sent), http.StatusOK, test.want)
		id := b.field(answer{body: test.want}, "id")
		b.wantAnswer(b.send("GET", "/api/spaces/space/"+id, ""), http.StatusOK, test.want)
		b.wantAnswer(b.send("PUT", "/s/any/api/spaces/space/"+id, test.sent), http.StatusOK, test.want)
		b.wantError(b.send("POST", "/api/spaces/space", test.sent), http.StatusConflict, "A space with the identifier "+id+" already exists.")
		if got := len(decoded(t, b.send("GET", "/api/spaces/space", "").body).([]any)); got != i+2 {
			t.Errorf("list has %d spaces, want %d", got, i+2)
		}
	}
}

func TestSpaceUpdateKeepsWhatItLeavesOut(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.must(b.send("POST", "/api/spaces/space",
		`{"id":"ops","name":"n","description":"d","color":"#aabbcc","initials":"OP","imageUrl":"data:image/x","disabledFeatures":["a"],"solution":"es"}`), http.StatusOK)
	want := `{"id":"ops","name":"m","description":"d","color":"#aabbcc","initials":"OP","imageUrl":"data:image/x","disabledFeatures":[],"solution":"es"}`
	b.wantAnswer(b.send("PUT", "/api/spaces/space/ops", `{"id":"ops","name":"m"}`), http.StatusOK, want)
	b.wantAnswer(b.send("PUT", "/api/spaces/space/ops", `{"id":"another","name":"m"}`), http.StatusOK, want) // the path counts
	cleared := `{"id":"ops","name":"m","description":"","color":"#aabbcc","initials":"OP","imageUrl":"","disabledFeatures":[],"solution":"classic"}`
	b.wantAnswer(b.send("PUT", "/api/spaces/space/ops", `{"id":"ops","name":"m","description":"","imageUrl":"","solution":"classic"}`), http.StatusOK, cleared)
	b.wantAnswer(b.send("GET", "/api/spaces/space/ops", ""), http.StatusOK, cleared)
	b.wantError(b.send("GET", "/api/spaces/space/another", ""), http.StatusNotFound, "Not Found")
}

func TestSpaceRefusals(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.must(b.send("POST", "/api/spaces/space", `{"id":"ops","name":"n"}`), http.StatusOK)
	const rule = "[request body.id]: must be lower case, a-z, 0-9, '_', and '-' are allowed"
	const solutions = "[request body.solution]: types that failed validation:\n- [request body.solution.0]: expected value to equal [es]\n" +
		"- [request body.solution.1]: expected value to equal [oblt]\n- [request body.solution.2]: expected value to equal [security]\n" +
		"- [request body.solution.3]: expected value to equal [classic]"
	for body, message := range map[string]string{
		``:                          "[request body]: expected a plain object value, but found [null] instead.",
		`{"name":"n"}`:              "[request body.id]: expected value of type [string] but got [undefined]",
		`{"id":1,"name":"n"}`:       "[request body.id]: expected value of type [string] but got [number]",
		`{"id":"","name":"n"}`:      rule,
		`{"id":"Ops","name":"n"}`:   rule,
		`{"id":"a b","name":"n"}`:   rule,
		`{"id":"a.b","name":"n"}`:   rule,
		`{"id":"ä","name":"n"}`:     rule,
		`{"id":"ops\n","name":"n"}`: rule,
		`{"id":"` + strings.Repeat("a", 65) + `","name":"n"}`: "[request body.id]: value has length [65] but it must have a maximum length of [64].",
		`{"id":"ops"}`:                                         "[request body.name]: expected value of type [string] but got [undefined]",
		`{"id":"ops","name":""}`:                               "[request body.name]: value has length [0] but it must have a minimum length of [1].",
		`{"id":"ops","name":"a\u0000"}`:                        "[request body.name]: value has a NUL character",
		`{"id":"ops","name":"n","description":null}`:           "[request body.description]: expected value of type [string] but got [null]",
		`{"id":"ops","name":"n","initials":"abc"}`:             "[request body.initials]: value has length [3] but it must have a maximum length of [2].",
		`{"id":"ops","name":"n","initials":"a😀"}`:              "[request body.initials]: value has length [3] but it must have a maximum length of [2].",
		`{"id":"ops","name":"n","color":"red"}`:                "[request body.color]: must be a 6 digit hex color, starting with a #",
		`{"id":"ops","name":"n","color":"#abc"}`:               "[request body.color]: must be a 6 digit hex color, starting with a #",
		`{"id":"ops","name":"n","color":""}`:                   "[request body.color]: must be a 6 digit hex color, starting with a #",
		`{"id":"ops","name":"n","imageUrl":"https://x/y.png"}`: "[request body.imageUrl]: must start with 'data:image'",
		`{"id":"ops","name":"n","disabledFeatures":"a"}`:       "[request body.disabledFeatures]: could not parse array value from json input",
		`{"id":"ops","name":"n","disabledFeatures":[1]}`:       "[request body.disabledFeatures.0]: expected value of type [string] but got [number]",
		`{"id":"ops","name":"n","_reserved":"x"}`:              "[request body._reserved]: expected value of type [boolean] but got [string]",
		`{"id":"ops","name":"n","solution":"search"}`:          solutions,
		`{"id":"ops","name":"n","solution":""}`:                solutions,
		`{"id":"ops","name":"n","projectRouting":"x"}`:         "[request body.projectRouting]: definition for this key is missing",
	} {
		b.wantError(b.sendBad("POST", "/api/spaces/space", body), http.StatusBadRequest, message)
		b.wantError(b.sendBad("PUT", "/api/spaces/space/ops", body), http.StatusBadRequest, message)
		b.wantError(b.sendBad("PUT", "/api/spaces/space/nope", body), http.StatusBadRequest, message) // before it is looked for
	}
	b.wantAnswer(b.send("GET", "/api/spaces/space/ops", ""), http.StatusOK, `{"id":"ops","name":"n","disabledFeatures":[]}`)
}

func TestSpaceThatWasNotCreatedIsNotFound(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.must(b.send("POST", "/s/ops/api/actions/connector/a", serverLogBody), http.StatusOK)
	b.wantError(b.send("GET", "/api/spaces/space/ops", ""), http.StatusNotFound, "Not Found")
	b.wantError(b.send("PUT", "/api/spaces/space/ops", `{"id":"ops","name":"n"}`), http.StatusNotFound, "Not Found")
	b.wantError(b.send("DELETE", "/api/spaces/space/ops", ""), http.StatusNotFound, "Not Found")
	b.must(b.send("GET", "/s/ops/api/actions/connector/a", ""), http.StatusOK) // it had no part in this
}

func TestSpaceIDInThePathThatCannotBeIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const message = "[request params.id]: a space id has 1 to 64 lower-case letters, digits, hyphens and underscores"
	for _, id := range []string{"Ops", "a.b", "a%20b", "..%2f", "%00", "%C3%A4", strings.Repeat("a", 65)} {
		b.wantError(b.sendBad("GET", "/api/spaces/space/"+id, ""), http.StatusBadRequest, message)
		b.wantError(b.sendBad("PUT", "/api/spaces/space/"+id, `{"id":"ops","name":"n"}`), http.StatusBadRequest, message)
		b.wantError(b.sendBad("DELETE", "/api/spaces/space/"+id, ""), http.StatusBadRequest, message)
		b.wantError(b.sendBad("GET", "/s/"+id+"/api/spaces/space", ""), http.StatusBadRequest, strings.Replace(message, "params.id", "params.space_id", 1))
	}
}

func TestDeletingASpaceDeletesItsConnectors(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.must(b.send("POST", "/api/spaces/space", `{"id":"ops","name":"n"}`), http.StatusOK)
	for _, path := range []string{"/s/ops/api/actions/connector/a", "/s/ops/api/actions/connector/b", "/s/dev/api/actions/connector/c"} {
		b.must(b.send("POST", path, serverLogBody), http.StatusOK)
		b.must(b.send("GET", path, ""), http.StatusOK) // so that it is in memory
	}
	got := b.must(b.send("DELETE", "/s/dev/api/spaces/space/ops", ""), http.StatusNoContent)
	if got.body != "" {
		t.Errorf("body %q", got.body)
	}
	b.wantError(b.send("GET", "/s/ops/api/actions/connector/a", ""), http.StatusNotFound, "Saved object [action/a] not found")
	b.wantError(b.send("POST", "/s/ops/api/actions/connector/b/_execute", executeLog), http.StatusNotFound, "Saved object [action/b] not found")
	b.wantAnswer(b.send("GET", "/s/ops/api/actions/connectors", ""), http.StatusOK, `[]`)
	b.must(b.send("GET", "/s/dev/api/actions/connector/c", ""), http.StatusOK)
	b.wantError(b.send("DELETE", "/api/spaces/space/ops", ""), http.StatusNotFound, "Not Found")
	b.must(b.send("POST", "/s/dev/api/actions/connector/a", serverLogBody), http.StatusOK) // its id is free
}

func TestSpacesAreListedByName(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for id, name := range map[string]string{"z": "A", "y": "b", "x": "B", "w": "B"} {
		b.must(b.send("POST", "/api/spaces/space", fmt.Sprintf(`{"id":%q,"name":%q}`, id, name)), http.StatusOK)
	}
	want := `[{"id":"z","name":"A","disabledFeatures":[]},{"id":"w","name":"B","disabledFeatures":[]},{"id":"x","name":"B","disabledFeatures":[]},` +
		defaultSpaceBody + `,{"id":"y","name":"b","disabledFeatures":[]}]`
	for _, query := range []string{
		"", "?purpose=any", "?purpose=copySavedObjectsIntoSpace", "?purpose=shareSavedObjectsIntoSpace&include_authorized_purposes=false",
		"?include_authorized_purposes=true",
	} {
		b.wantAnswer(b.send("GET", "/api/spaces/space"+query, ""), http.StatusOK, want)
	}
	for query, message := range map[string]string{
		"?purpose=any&include_authorized_purposes=true": "[request query]: include_authorized_purposes can only be false when purpose is specified",
		"?purpose=x": "[request query.purpose]: types that failed validation:\n- [request query.purpose.0]: expected value to equal [any]\n" +
			"- [request query.purpose.1]: expected value to equal [copySavedObjectsIntoSpace]\n- [request query.purpose.2]: expected value to equal [shareSavedObjectsIntoSpace]",
		"?include_authorized_purposes=1":                                   "[request query.include_authorized_purposes]: expected value of type [boolean] but got [string]",
		"?include_authorized_purposes=true&include_authorized_purposes=no": "[request query.include_authorized_purposes]: expected value of type [boolean] but got [Array]",
		"?page=1": "[request query.page]: definition for this key is missing",
	} {
		b.wantError(b.sendBad("GET", "/api/spaces/space"+query, ""), http.StatusBadRequest, message)
	}
}

func TestSpacesAreLimited(t *testing.T) {
	t.Parallel()
	b := setupWith(t, options{maxSpaces: 3})
	create := func(id string) answer {
		return b.send("POST", "/api/spaces/space", fmt.Sprintf(`{"id":%q,"name":"n"}`, id))
	}
	const message = "Unable to create Space, this exceeds the maximum number of spaces set by the PATCHBAY_MAX_SPACES setting"
	b.must(create("a"), http.StatusOK)
	b.must(create("b"), http.StatusOK) // the third: the default one counts
	b.wantError(create("c"), http.StatusBadRequest, message)
	b.wantError(create("a"), http.StatusBadRequest, message)
	b.must(b.send("PUT", "/api/spaces/space/a", `{"id":"a","name":"m"}`), http.StatusOK)
	b.must(b.send("DELETE", "/api/spaces/space/b", ""), http.StatusNoContent)
	b.must(create("c"), http.StatusOK)
}
