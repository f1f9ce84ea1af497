package pool_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"patchbay.dev/shared/seal"
	"patchbay.dev/shared/wire"
)

func TestAnEmptyResealRequestIsAnsweredWithTheNewestKey(t *testing.T) {
	t.Parallel()
	ring, err := seal.Generate()
	if err != nil {
		t.Fatal(err)
	}
	nothing, err := ring.Public().Seal(nil, seal.Binding{})
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		result wire.Resealed
		want   string
	}{
		"with a key":    {wire.Resealed{Secrets: nothing}, ring.Public().ID().String()},
		"without a key": {wire.Resealed{Error: "no key"}, ""},
	} {
		b := setupReseal(t, 1, func(items []wire.Sealed) []wire.Resealed {
			if diff := cmp.Diff([]wire.Sealed{{}}, items); diff != "" {
				t.Errorf("items (-want +got):\n%s", diff)
			}
			return []wire.Resealed{test.result}
		})
		got, _ := b.reseal(t, `{"items":[]}`)
		if diff := cmp.Diff(wire.ResealReply{Items: []wire.Resealed{}, Key: test.want}, got); diff != "" {
			t.Errorf("answer %s (-want +got):\n%s", name, diff)
		}
	}
}
