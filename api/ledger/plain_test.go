package ledger

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSealedParamsLeaveNoPlainText(t *testing.T) {
	t.Parallel()
	const secret = "TOPSECRET"
	for name, repeated := range map[string]int{"small": 10, "large": 10_000} {
		l := setup(t, Options{SealParams: func(_, _, _, _ string, params []byte) ([]byte, error) {
			return make([]byte, len(params)+40), nil // of the same length it would be written over them
		}})
		s := example("a")
		s.Params = json.RawMessage(`"` + strings.Repeat(secret, repeated) + `"`)
		l.kill(t, s)
		if err := l.Close(); err != nil { // copies the WAL
			t.Fatal(err)
		}
		data, err := os.ReadFile(filepath.Join(l.dir, FileName))
		if n := bytes.Count(data, []byte(secret)); n > 0 || err != nil {
			t.Errorf("%s: %d times in plain text, %v", name, n, err)
		}
	}
}
