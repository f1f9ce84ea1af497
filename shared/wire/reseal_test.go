package wire_test

import (
	"testing"

	"patchbay.dev/shared/wire"
)

var resealRequests = map[string]wire.ResealRequest{
	"reseal_request": {Items: []wire.Sealed{
		{Binding: []byte{0x00, 0x00, 0x00, 0x07, 'd'}, Secrets: []byte{0x01, 0xff, 0xfe, 'a'}},
		{Binding: []byte("b"), Secrets: []byte("s")},
	}},
	"reseal_request_key": {Items: []wire.Sealed{}},
}

var resealReplies = map[string]wire.ResealReply{
	"reseal_reply": {Items: []wire.Resealed{
		{Secrets: []byte{0x01, 0xff, 0xfe, 'b'}},
		{Error: `the secrets are sealed to the key <0011223344556677>, & "more"`},
	}},
	"reseal_reply_key": {Items: []wire.Resealed{}, Key: "0011223344556677"},
}

func TestResealBytesAreFrozen(t *testing.T) {
	t.Parallel()
	for name, request := range resealRequests {
		freeze(t, name, request)
	}
	for name, reply := range resealReplies {
		freeze(t, name, reply)
	}
}
