package api

import (
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"patchbay.dev/api/access"
)

// need is what a route asks of its caller, and what the audit log calls it.
type need struct {
	level access.Level
	// refusal is the message of the 403; %s is the type in that of a create, and the
	// space where a space is what it is about.
	refusal  string
	event    event
	optional bool // credentials are looked at where there are some
	several  bool // the body, a [scoped], says in which spaces
}

// What routes need, in Kibana 8.19's words.
var (
	toKnowNothing = need{level: access.Anyone}
	toKnowStatus  = need{level: access.Anyone, optional: true}
	toBeKnown     = need{level: access.Authenticated}

	toGet     = need{level: access.Read, refusal: "Unauthorized to get actions", event: event{"connector_get", "access", "action"}}
	toList    = need{level: access.Read, refusal: "Unauthorized to get actions", event: event{"connector_find", "access", "action"}}
	toExecute = need{level: access.Read, refusal: "Unauthorized to execute actions", event: event{"connector_execute", "access", "action"}}
	toCreate  = need{level: access.All, refusal: `Unauthorized to create a "%s" action`, event: event{"connector_create", "creation", "action"}}
	toUpdate  = need{level: access.All, refusal: "Unauthorized to update actions", event: event{"connector_update", "change", "action"}}
	toDelete  = need{level: access.All, refusal: "Unauthorized to delete actions", event: event{"connector_delete", "deletion", "action"}}

	// Executions that are kept.
	toGetExecution      = need{level: access.Read, refusal: "Unauthorized to get executions", event: event{"execution_get", "access", "execution"}}
	toListExecutions    = need{level: access.Read, refusal: "Unauthorized to get executions", event: event{"execution_find", "access", "execution"}}
	toDiscardExecution  = need{level: access.All, refusal: "Unauthorized to discard executions", event: event{"execution_discard", "deletion", "execution"}}
	toReplayExecutions  = need{level: access.All, refusal: "Unauthorized to replay executions", event: event{"execution_replay", "change", "execution"}}
	toReadExecutionLogs = need{level: access.Read, refusal: "Unauthorized to get executions", event: event{"execution_find", "access", "execution"}, several: true}

	// The space of a route about spaces is the one that its path names last.
	toListSpaces  = need{level: access.Authenticated, refusal: "", event: event{"space_find", "access", "space"}}
	toGetSpace    = need{level: access.Read, refusal: "Unauthorized to get %s space", event: event{"space_get", "access", "space"}}
	toCreateSpace = need{level: access.Admin, refusal: "Unauthorized to create spaces", event: event{"space_create", "creation", "space"}}
	toUpdateSpace = need{level: access.Admin, refusal: "Unauthorized to update spaces", event: event{"space_update", "change", "space"}}
	toDeleteSpace = need{level: access.Admin, refusal: "Unauthorized to delete spaces", event: event{"space_delete", "deletion", "space"}}

	toRotate = need{level: access.Admin, refusal: "Unauthorized to rotate secrets", event: event{"secrets_rotate", "change", "secrets"}}

	toCreateKey  = need{level: access.Admin, refusal: "Unauthorized to create API keys", event: event{"api_key_create", "creation", "api_key"}}
	toListKeys   = need{level: access.Admin, refusal: "Unauthorized to get API keys", event: event{"api_key_find", "access", "api_key"}}
	toRevokeKeys = need{level: access.Admin, refusal: "Unauthorized to invalidate API keys", event: event{"api_key_invalidate", "deletion", "api_key"}}
)

// handle is the one way in which a route gets a handler, and the one place that
// decides who may use it. Kibana's order: who is it (401), is the request well
// formed (400), may he (403), and only then what it is about (404 and the rest).
// read returns what the request says, act does it.
func handle[B any](s *server, n need, read func(echo.Context) (B, error), act func(echo.Context, B) error) echo.HandlerFunc {
	return func(c echo.Context) error {
		if n.level != access.Anyone || n.optional && c.Request().Header.Get("Authorization") != "" {
			done, err := s.admit(c, n)
			if err != nil {
				return err
			}
			defer done()
		}
		if err := checkSpace(c); err != nil {
			return err
		}
		body, err := read(c)
		if err != nil {
			return err
		}
		if n.level != access.Anyone {
			if err := s.readmit(c); err != nil { // a body may take its time
				return err
			}
		}
		if !allowed(c, n, body) {
			err := n.forbidden(c, body)
			s.audit.refused(c, n.event, err)
			return err
		}
		return s.audit.follow(c, n.event, func() error { return act(c, body) })
	}
}

// scoped is a body that names the spaces that it is about, none for that of the path.
type scoped interface{ spaces() []string }

// allowed reports whether the caller has the privilege in every space that the
// request is about.
func allowed[B any](c echo.Context, n need, body B) bool {
	if n.several {
		spaces := any(body).(scoped).spaces() //nolint:forcetypeassert // the route table has it so
		for _, each := range spaces {
			if !callerOf(c).may(n.level, each) {
				return false
			}
		}
		if len(spaces) > 0 {
			return true
		}
	}
	return callerOf(c).may(n.level, n.space(c))
}

// nothing reads a request that has no body.
func nothing(echo.Context) (struct{}, error) { return struct{}{}, nil }

// bare is handle for routes without a body.
func bare(s *server, n need, act echo.HandlerFunc) echo.HandlerFunc {
	return handle(s, n, nothing, func(c echo.Context, _ struct{}) error { return act(c) })
}

// admit learns who calls and counts the request against his limits and those of the
// process. Call done when it is over.
func (s *server) admit(c echo.Context, n need) (done func(), err error) {
	caller, err := s.guard.authenticate(c.Request())
	if err != nil {
		s.audit.refused(c, event{"user_login", "start", ""}, err)
		return nil, err
	}
	ended := func() {}
	if caller != nil {
		c.Set(callerKey, caller)
		if err := caller.usage.request(time.Now()); err != nil {
			return nil, err
		}
	}
	if n.event != toExecute.event {
		return ended, nil
	}
	if caller != nil {
		if ended, err = caller.usage.execution(); err != nil {
			return nil, err
		}
	}
	ticket, err := s.admitExecution(c)
	if err != nil {
		ended()
		return nil, err
	}
	done = func() { ticket.done(time.Now()); ended() }
	if c.Request().Header[headerPrefer] != nil { // it may go on without running anything
		done = sync.OnceFunc(done)
		c.Set(releaseKey, done)
	}
	return done, nil
}

// releaseKey is where a request carries what ends its part in the limits.
const releaseKey = "release"

// release ends the part that a request has in the limits on executions: from now on
// it only waits.
func release(c echo.Context) {
	if done, ok := c.Get(releaseKey).(func()); ok {
		done()
	}
}

// readmit looks again at who calls.
func (s *server) readmit(c echo.Context) error {
	before := callerOf(c)
	caller, err := s.guard.still(c.Request(), before)
	if err != nil {
		s.audit.refused(c, event{"user_login", "start", ""}, err)
		return err
	}
	if caller != before {
		c.Set(callerKey, caller)
	}
	return nil
}

const callerKey = "caller"

// callerOf returns who calls, nil when keys are not asked for.
func callerOf(c echo.Context) *holder {
	caller, _ := c.Get(callerKey).(*holder)
	return caller
}

// space returns the space in which the caller needs the privilege.
func (n need) space(c echo.Context) string {
	if n.event == toGetSpace.event {
		return param(c, "id")
	}
	return space(c)
}

// forbidden is the answer to who may not.
func (n need) forbidden(c echo.Context, body any) *problem {
	message := n.refusal
	if create, ok := body.(createBody); ok {
		message = fmt.Sprintf(n.refusal, create.TypeID)
	}
	if n.event == toGetSpace.event {
		message = fmt.Sprintf(n.refusal, n.space(c))
	}
	return &problem{status: http.StatusForbidden, message: message}
}
