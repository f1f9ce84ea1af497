package api

import (
	"net/http"
	"strings"
	"testing"
)

func TestSpacesAreIsolated(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.must(b.send("POST", "/s/ops/api/actions/connector/a", indexBody), http.StatusOK)
	const message = "Saved object [action/a] not found"
	for _, space := range []string{"", "/s/default", "/s/dev"} {
		path := space + "/api/actions/connector/a"
		b.wantError(b.send("GET", path, ""), http.StatusNotFound, message)
		b.wantError(b.send("PUT", path, `{"name":"x","config":{"index":"i"}}`), http.StatusNotFound, message)
		b.wantError(b.send("DELETE", path, ""), http.StatusNotFound, message)
		b.wantError(b.send("POST", path+"/_execute", `{"params":{"documents":[]}}`), http.StatusNotFound, message)
		b.wantAnswer(b.send("GET", space+"/api/actions/connectors", ""), http.StatusOK, `[]`)
	}
	b.wantAnswer(b.send("GET", "/s/ops/api/actions/connector/a", ""), http.StatusOK, storedIndex)
}

func TestDefaultSpaceIsTheOneWithoutPrefix(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create("a", indexBody)
	b.wantAnswer(b.send("GET", "/s/default/api/actions/connector/a", ""), http.StatusOK, storedIndex)
	b.wantAnswer(b.send("GET", "/s/%64efault/api/actions/connector/a", ""), http.StatusOK, storedIndex)
	b.must(b.send("DELETE", "/s/default/api/actions/connector/a", ""), http.StatusNoContent)
	b.wantError(b.send("GET", "/api/actions/connector/a", ""), http.StatusNotFound, "Saved object [action/a] not found")
}

func TestSpaceIDThatCannotBeIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const message = "[request params.space_id]: a space id has 1 to 64 lower-case letters, digits, hyphens and underscores"
	for _, id := range []string{"Ops", "a.b", "a%20b", "..%2f", "%00", "%C3%A4", strings.Repeat("a", 65)} {
		for _, path := range []string{"connectors", "connector_types", "connector/a", "action/a"} {
			b.wantError(b.send("GET", "/s/"+id+"/api/actions/"+path, ""), http.StatusBadRequest, message)
		}
		b.wantError(b.send("GET", "/s/"+id+"/api/status", ""), http.StatusBadRequest, message)
		b.wantError(b.send("POST", "/s/"+id+"/api/actions/connector", indexBody), http.StatusBadRequest, message)
		b.wantError(b.send("POST", "/s/"+id+"/api/actions/connector/a/_execute", `{"params":{"message":""}}`), http.StatusBadRequest, message)
	}
	for _, id := range []string{"a", "0", "-", "_", strings.Repeat("a", 64)} {
		b.must(b.send("GET", "/s/"+id+"/api/actions/connectors", ""), http.StatusOK)
	}
}
