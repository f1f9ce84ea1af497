package wire_test

import (
	"testing"

	"patchbay.dev/shared/wire"
)

var pauses = map[string]wire.Pause{
	"pause": {Host: "example.atlassian.net:443", Seconds: 30},
}

func TestPauseBytesAreFrozen(t *testing.T) {
	t.Parallel()
	for name, pause := range pauses {
		freeze(t, name, pause)
	}
	if got, err := wire.PauseSubject(".server-log"); got != "patchbay.v1.pause.server-log" || err != nil {
		t.Errorf("subject %q, %v", got, err)
	}
}
