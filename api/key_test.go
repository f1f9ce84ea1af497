package api

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"patchbay.dev/api/access"
)

func TestCreatedKeyWorksAtOnceAndIsShownOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const path = "/api/security/api_key"
	got := b.must(b.send("POST", path, `{"name":"admin","privileges":{"admin":true}}`), http.StatusOK)
	var admin struct{ ID, Name, Encoded, API_Key string }
	if err := json.Unmarshal([]byte(got.body), &admin); err != nil {
		t.Fatal(err)
	}
	if admin.Name != "admin" || admin.Encoded != (access.Credential{ID: admin.ID, Secret: admin.API_Key}).Encoded() {
		t.Errorf("answer %s", got.body)
	}
	b.must(b.send("GET", path, ""), http.StatusUnauthorized) // the first key closes the door
	carry := authorization("ApiKey " + admin.Encoded)
	before := time.Now().UnixMilli()
	b.must(b.send("POST", path, `{"name":"b producer","expiration":"30d","privileges":{"read":["ops"],"all":["dev"],"indices":["alerts-*"]}}`, carry), http.StatusOK)

	list := b.must(b.send("GET", path, "", carry), http.StatusOK)
	if strings.Contains(list.body, admin.API_Key) || strings.Contains(list.body, "hash") {
		t.Errorf("list shows a secret: %s", list.body)
	}
	var keys struct {
		Keys []keyAnswer `json:"api_keys"`
	}
	if err := json.Unmarshal([]byte(list.body), &keys); err != nil || len(keys.Keys) != 2 {
		t.Fatalf("%s, %v", list.body, err)
	}
	producer := keys.Keys[1]
	if days := float64(producer.Expiration-before) / 1000 / 3600 / 24; days < 29.99 || days > 30.01 {
		t.Errorf("expires in %f days, want 30", days)
	}
	want := access.Privileges{Read: []string{"ops"}, All: []string{"dev"}, Indices: []string{"alerts-*"}}
	if diff := cmp.Diff(want, producer.Privileges); diff != "" {
		t.Errorf("privileges (-want +got):\n%s", diff)
	}
	if keys.Keys[0].LastUsed < before || producer.LastUsed != 0 {
		t.Errorf("last used %d and %d", keys.Keys[0].LastUsed, producer.LastUsed)
	}
}

func TestRevokedKeyIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	admin := b.key(access.Privileges{Admin: true})
	key, credential := b.newKey(access.Privileges{Read: []string{"*"}})
	carry := authorization("ApiKey " + credential.Encoded())
	b.must(b.send("GET", "/api/actions/connectors", "", carry), http.StatusOK)
	b.wantAnswer(b.send("DELETE", "/api/security/api_key", `{"ids":["nobody","`+key.ID+`"]}`, admin), http.StatusOK,
		`{"invalidated_api_keys":["`+key.ID+`"],"previously_invalidated_api_keys":[],"error_count":1,
		"error_details":[{"type":"resource_not_found_exception","reason":"no API key with the id [nobody]"}]}`)
	b.must(b.send("GET", "/api/actions/connectors", "", carry), http.StatusUnauthorized)
	b.wantError(b.send("DELETE", "/api/security/api_key", `{"ids":["`+key.ID+`"]}`, admin), http.StatusNotFound, "There is no such API key.")
}

func TestKeysThatCannotBeAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	long := strings.Repeat("a", maxKeyName+1)
	for body, want := range map[string]string{
		``:                        "[request body]: expected a plain object value, but found [null] instead.",
		`{"privileges":{}}`:       "[request body.name]: expected value of type [string] but got [undefined]",
		`{"name":" "}`:            "[request body.name]: value '' is not valid",
		`{"name":"` + long + `"}`: "[request body.name]: a name has at most 256 bytes and no NUL character",
		`{"name":"n"}`:            "[request body.privileges]: a key needs at least one of admin, all and read",
		`{"name":"n","x":1}`:      "[request body.x]: definition for this key is missing",
		`{"name":"n","role":"x"}`: "[request body.role]: definition for this key is missing",
		`{"name":"n","privileges":{"admin":true},"expiration":"0d"}`: "[request body.expiration]: types that failed validation:\n- [request body.expiration.0]: \"0d\" is no time such as \"30d\", \"12h\", \"90m\" or \"60s\" (at most 36500 days)\n- [request body.expiration.1]: expected value to equal [null]",
		`{"name":"n","privileges":{"read":["A"]}}`:                   `[request body.privileges.read]: "A" is neither a space id nor *: ` + access.SpaceRule,
		`{"name":"n","privileges":{"all":["a","**"]}}`:               `[request body.privileges.all]: "**" is neither a space id nor *: ` + access.SpaceRule,
		`{"name":"n","privileges":{"admin":true,"indices":["a"]}}`:   "[request body.privileges.indices]: an admin cannot be limited to indices, since he can make a key that is not",
		`{"name":"n","privileges":{"read":["*"],"indices":[]}}`:      "[request body.privileges.indices]: name at least one pattern, or leave it out for no limit",
		`{"name":"n","privileges":{"read":["*"],"indices":[""]}}`:    "[request body.privileges.indices]: an index pattern must not be empty",
		`{"name":"n","privileges":{"read":"ops"}}`:                   "[request body.privileges.read]: could not parse array value from json input",
	} {
		b.wantError(b.sendBad("POST", "/api/security/api_key", body), http.StatusBadRequest, want)
	}
	for _, body := range []string{`{"ids":[]}`, `{"ids":["` + strings.Repeat(`a","`, maxRevoked) + `a"]}`} {
		b.wantError(b.sendBad("DELETE", "/api/security/api_key", body), http.StatusBadRequest, "[request body.ids]: 1 to 1000 ids are expected")
	}
	b.wantAnswer(b.send("GET", "/api/security/api_key", ""), http.StatusOK, `{"api_keys":[]}`)
}

func TestKeysAreLimitedInNumber(t *testing.T) {
	t.Parallel()
	b := setupWith(t, options{maxKeys: 2})
	admin := b.key(access.Privileges{Admin: true})
	const body = `{"name":"n","privileges":{"read":["*"]}}`
	b.must(b.send("POST", "/api/security/api_key", body, admin), http.StatusOK)
	b.wantError(b.send("POST", "/api/security/api_key", body, admin), http.StatusBadRequest,
		"There are as many API keys as there may be; revoke some or raise PATCHBAY_MAX_KEYS.")
}
