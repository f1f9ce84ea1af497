package api

import (
	"fmt"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"patchbay.dev/api/access"
)

// need is what a route asks of its caller, and what the audit log calls it.
type need struct {
	level access.Level
	// refusal is the message of the 403; %s is the type in that of a create, and the
	// space where a space is what it is about.
	refusal string
	event   event
}

// What routes need, in Kibana 8.19's words.
var (
	toKnowNothing = need{level: access.Anyone}
	toBeKnown     = need{level: access.Authenticated}

	toGet     = need{access.Read, "Unauthorized to get actions", event{"connector_get", "access", "action"}}
	toList    = need{access.Read, "Unauthorized to get actions", event{"connector_find", "access", "action"}}
	toExecute = need{access.Read, "Unauthorized to execute actions", event{"connector_execute", "access", "action"}}
	toCreate  = need{access.All, `Unauthorized to create a "%s" action`, event{"connector_create", "creation", "action"}}
	toUpdate  = need{access.All, "Unauthorized to update actions", event{"connector_update", "change", "action"}}
	toDelete  = need{access.All, "Unauthorized to delete actions", event{"connector_delete", "deletion", "action"}}

	// The space of a route about spaces is the one that its path names last.
	toListSpaces  = need{access.Authenticated, "", event{"space_find", "access", "space"}}
	toGetSpace    = need{access.Read, "Unauthorized to get %s space", event{"space_get", "access", "space"}}
	toCreateSpace = need{access.Admin, "Unauthorized to create spaces", event{"space_create", "creation", "space"}}
	toUpdateSpace = need{access.Admin, "Unauthorized to update spaces", event{"space_update", "change", "space"}}
	toDeleteSpace = need{access.Admin, "Unauthorized to delete spaces", event{"space_delete", "deletion", "space"}}

	toRotate = need{access.Admin, "Unauthorized to rotate secrets", event{"secrets_rotate", "change", "secrets"}}

	toCreateKey  = need{access.Admin, "Unauthorized to create API keys", event{"api_key_create", "creation", "api_key"}}
	toListKeys   = need{access.Admin, "Unauthorized to get API keys", event{"api_key_find", "access", "api_key"}}
	toRevokeKeys = need{access.Admin, "Unauthorized to invalidate API keys", event{"api_key_invalidate", "deletion", "api_key"}}
)

// handle is the one way in which a route gets a handler, and the one place that
// decides who may use it. Kibana's order: who is it (401), is the request well
// formed (400), may he (403), and only then what it is about (404 and the rest).
// read returns what the request says, act does it.
func handle[B any](s *server, n need, read func(echo.Context) (B, error), act func(echo.Context, B) error) echo.HandlerFunc {
	return func(c echo.Context) error {
		var caller *holder
		if n.level != access.Anyone {
			done, err := s.admit(c, n)
			if err != nil {
				return err
			}
			defer done()
			caller = callerOf(c)
		}
		if err := checkSpace(c); err != nil {
			return err
		}
		body, err := read(c)
		if err != nil {
			return err
		}
		if err := authorize(c, caller, n, body); err != nil {
			s.audit.refused(c, n.event, err)
			return err
		}
		err = act(c, body)
		s.audit.done(c, n.event, err)
		return err
	}
}

// nothing reads a request that has no body.
func nothing(echo.Context) (struct{}, error) { return struct{}{}, nil }

// bare is handle for routes without a body.
func bare(s *server, n need, act echo.HandlerFunc) echo.HandlerFunc {
	return handle(s, n, nothing, func(c echo.Context, _ struct{}) error { return act(c) })
}

// admit learns who calls and counts the request against his limits. Call done
// when it is over.
func (s *server) admit(c echo.Context, n need) (done func(), err error) {
	caller, err := s.guard.authenticate(c.Request())
	if err != nil {
		s.audit.refused(c, event{"user_login", "start", ""}, err)
		return nil, err
	}
	if caller == nil {
		return func() {}, nil
	}
	c.Set(callerKey, caller)
	if err := caller.usage.request(time.Now()); err != nil {
		return nil, err
	}
	if n.event != toExecute.event {
		return func() {}, nil
	}
	return caller.usage.execution()
}

const callerKey = "caller"

// callerOf returns who calls, nil when keys are not asked for.
func callerOf(c echo.Context) *holder {
	caller, _ := c.Get(callerKey).(*holder)
	return caller
}

// authorize refuses what the caller may not do. Without keys everyone may do
// everything.
func authorize(c echo.Context, caller *holder, n need, body any) error {
	in, message := space(c), n.refusal
	if n.event == toGetSpace.event {
		in = param(c, "id")
		message = fmt.Sprintf(n.refusal, in)
	}
	if create, ok := body.(createBody); ok {
		message = fmt.Sprintf(n.refusal, create.TypeID)
	}
	if caller.may(n.level, in) {
		return nil
	}
	return &problem{status: http.StatusForbidden, message: message}
}
