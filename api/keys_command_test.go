package api

import (
	"bytes"
	"errors"
	"flag"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"patchbay.dev/api/access"
	"patchbay.dev/api/store"
)

func TestKeysCommandWorksWhileTheServerRuns(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.newKey(access.Privileges{Admin: true})
	encoded, said, err := b.keys("create", "-name", "producer of a", "-read", "a, b", "-indices", "alerts-*,logs-?", "-expires", "12h")
	if err != nil {
		t.Fatal(err)
	}
	credential, err := access.ParseAuthorization([]string{"ApiKey " + strings.TrimSpace(encoded)})
	if err != nil || strings.Count(encoded, "\n") != 1 {
		t.Fatalf("stdout %q, %v: want the credential alone", encoded, err)
	}
	if !strings.Contains(said, "Key "+credential.ID+" (producer of a) is made.") || strings.Contains(said, credential.Secret) {
		t.Errorf("stderr %q", said)
	}
	carry := authorization("ApiKey " + strings.TrimSpace(encoded))
	b.must(b.send("GET", "/s/a/api/actions/connectors", "", carry), http.StatusOK)
	b.must(b.send("GET", "/api/actions/connectors", "", carry), http.StatusForbidden)

	list, _, err := b.keys("list")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(credential.ID + ` +"producer of a" +read=a,b indices=alerts-\*,logs-\? +\S+Z +\S+Z +never`)
	if !line.MatchString(list) || strings.Contains(list, credential.Secret) {
		t.Errorf("list:\n%s", list)
	}
	if _, said, err := b.keys("revoke", credential.ID); err != nil || said != "Key "+credential.ID+" is revoked.\n" {
		t.Errorf("revoke: %q, %v", said, err)
	}
	b.forgetTime()
	b.must(b.send("GET", "/s/a/api/actions/connectors", "", carry), http.StatusUnauthorized)
	if _, _, err := b.keys("revoke", credential.ID); err == nil || err.Error() != "no API key has the id "+credential.ID {
		t.Errorf("revoke again: %v", err)
	}
}

func TestKeysCommandMakesTheFirstKeyBeforeTheFirstStart(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	environ := []string{"PATCHBAY_DATA_DIR=" + dir, "PATCHBAY_NAME=no", "PATCHBAY_ADMIN=no setting", "PATCHBAY_READ=*"}
	var out, said bytes.Buffer
	if err := Keys(t.Context(), "api", []string{"list"}, environ, &out, &said); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("list of nothing: %v", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("list made the directory: %v", err)
	}
	if err := Keys(t.Context(), "api", []string{"create", "-name", "admin", "-admin"}, environ, &out, &said); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	keys, err := s.Keys(t.Context())
	if err != nil || len(keys) != 1 {
		t.Fatalf("keys %v, %v", keys, err)
	}
	if diff := cmp.Diff(access.Privileges{Admin: true}, keys[0].Privileges); diff != "" || keys[0].Name != "admin" {
		t.Errorf("key %q, privileges (-want +got):\n%s", keys[0].Name, diff)
	}
}

func TestKeysCommandRefusesWhatCannotBe(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for args, want := range map[string]string{
		"create -admin":                     "-name: say what the key is for, in at most 256 bytes",
		"create -name n":                    "a key needs at least one of admin, all and read",
		"create -name n -read A":            `-read: "A" is neither a space id nor *: ` + access.SpaceRule,
		"create -name n -admin -expires 1y": `-expires: "1y" is no time such as "30d", "12h", "90m" or "60s" (at most 36500 days)`,
		"create -name n -admin -indices a":  "-indices: an admin cannot be limited to indices, since he can make a key that is not",
		"revoke":                            `keys revoke: name the ids of the keys, see "keys list"`,
		"remove x":                          `keys: unknown command "remove"`,
		"list x":                            `unexpected argument "x": settings are flags or environment variables, see -help`,
	} {
		if out, _, err := b.keys(strings.Fields(args)...); err == nil || err.Error() != want || out != "" {
			t.Errorf("%s: %v, want %s", args, err, want)
		}
	}
	var said bytes.Buffer
	if err := Keys(t.Context(), "api", nil, nil, &said, &said); !errors.Is(err, flag.ErrHelp) || !strings.Contains(said.String(), "api keys create") {
		t.Errorf("no command: %v, %s", err, said.String())
	}
}
