package index

import (
	"fmt"
	"net/http"

	"patchbay.dev/shared/wire"
)

// maxRefusals is how many documents are refused one by one: their reasons are
// already more text than the pool passes on, and there may be millions.
const maxRefusals = 128

// checkAccess returns nil if the caller may write n documents to target, and
// otherwise what comes of a cluster's answer that refuses each of them.
func checkAccess(access *wire.Access, target string, n int) error {
	if access.Allows(target) {
		return nil
	}
	// The words of Elasticsearch 8.19 (AuthorizationDenialMessages) for an API key
	// that has no privilege on the index, but for the user: our keys have none.
	by := &cause{Type: "security_exception", Reason: fmt.Sprintf("action [indices:data/write/bulk[s]] is unauthorized "+
		"for API key id [%s] on indices [%s], "+
		"this action is granted by the index privileges [create_doc,create,delete,index,write,all]", access.Key, target)}
	answer := bulkAnswer{Errors: new(true)}
	for range min(max(n, 1), maxRefusals) { // without documents the reason is told all the same
		answer.Items = append(answer.Items, map[string]item{"create": {Status: http.StatusForbidden, Error: by}})
	}
	return answer.check(n)
}
