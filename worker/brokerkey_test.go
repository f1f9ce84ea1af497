package worker_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"patchbay.dev/shared/connector"
	"patchbay.dev/worker"
)

func generateBrokerKeys(t *testing.T, dir string) []worker.BrokerUser {
	t.Helper()
	users, err := worker.GenerateBrokerKeys(dir, filepath.Join(dir, "users.conf"))
	if err != nil {
		t.Fatal(err)
	}
	return users
}

func TestEveryBrokerUserGetsASeedThatOnlyItsOwnerReads(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	users := generateBrokerKeys(t, dir)
	var names []string
	for _, user := range users {
		names = append(names, user.Name)
		info, err := os.Stat(user.Seed)
		if err != nil || info.Mode().Perm() != 0o600 || !user.New || user.Seed != filepath.Join(dir, user.Name, user.Name+".nk") {
			t.Errorf("%+v: %v, %v, want a new seed with mode 0600", user, info, err)
		}
	}
	want := []string{"api", "producer", "worker"}
	for _, c := range connector.All {
		want = append(want, "worker-"+c.Describe().ID[1:])
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("users (-want +got):\n%s", diff)
	}
	text, err := os.ReadFile(filepath.Join(dir, "users.conf"))
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range users {
		if !strings.Contains(string(text), "\n"+user.Name+": "+user.Public+"\n") {
			t.Errorf("users.conf lacks %s: %s", user.Name, text)
		}
	}
	if regexp.MustCompile(`\bSU[A-Z2-7]{40,}`).Match(text) {
		t.Errorf("users.conf has a seed: %s", text)
	}
}

func TestBrokerKeysThatAreThereStay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	want := generateBrokerKeys(t, dir)
	for i := range want {
		want[i].New = false
	}
	// A seed may have been taken to the machine of its worker.
	if err := os.Remove(want[1].Seed); err != nil {
		t.Fatal(err)
	}
	want[1].Seed = ""
	if diff := cmp.Diff(want, generateBrokerKeys(t, dir)); diff != "" {
		t.Errorf("users (-want +got):\n%s", diff)
	}
	// Without both halves there is a new one.
	if err := os.Remove(filepath.Join(dir, "users.conf")); err != nil {
		t.Fatal(err)
	}
	if got := generateBrokerKeys(t, dir)[1]; !got.New || got.Public == want[1].Public {
		t.Errorf("user: %+v, want a new key", got)
	}
}

func TestSeedThatIsNoneIsRefusedAndStays(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := generateBrokerKeys(t, dir)[0].Seed
	for _, text := range []string{"", "garbage", "SAAEGZFHDKUFKQWMMZBHQ4VV2HZLOLZTSVMHAQKYIOTCKXC2ICJKDJWDKU"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := worker.GenerateBrokerKeys(dir, filepath.Join(dir, "users.conf"))
		if err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%q: %v, want an error that names the file", text, err)
		}
		if got, err := os.ReadFile(file); err != nil || string(got) != text {
			t.Errorf("the file has become %q, %v", got, err)
		}
	}
}
