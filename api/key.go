package api

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"patchbay.dev/api/access"
	"patchbay.dev/api/store"
)

// keyBody asks for a new key. Names and answers are those of Elasticsearch's API
// of the same name, privileges are Kibana's.
type keyBody struct {
	Name       keyName        `json:"name" blank:"no"`
	Expiration *keyExpiration `json:"expiration"` // "30d"; null for never
	Privileges struct {
		Admin   bool      `json:"admin" default:"false"`
		All     []string  `json:"all" default:"[]"`
		Read    []string  `json:"read" default:"[]"`
		Indices *[]string `json:"indices"`
	} `json:"privileges"`
}

func (b *keyBody) privileges() access.Privileges {
	p := access.Privileges{Admin: b.Privileges.Admin, All: b.Privileges.All, Read: b.Privileges.Read}
	if b.Privileges.Indices != nil {
		p.Indices = *b.Privileges.Indices
	}
	return p
}

// maxKeyName is in bytes.
const maxKeyName = 256

type keyName string

// Check implements [schema.Checker].
func (n keyName) Check() string {
	if len(n) > maxKeyName || strings.ContainsRune(string(n), 0) {
		return fmt.Sprintf("a name has at most %d bytes and no NUL character", maxKeyName)
	}
	return ""
}

type keyExpiration string

// Check implements [schema.Checker].
func (e keyExpiration) Check() string {
	if _, err := access.ParseExpiration(string(e)); err != nil {
		return err.Error()
	}
	return ""
}

func (s *server) readKey(c echo.Context) (keyBody, error) {
	var body keyBody
	if err := s.readBody(c, &body); err != nil {
		return keyBody{}, err
	}
	privileges := body.privileges()
	if refusal, ok := errors.AsType[*access.FieldError](privileges.Check()); ok {
		path := "request body.privileges"
		if refusal.Field != "" {
			path += "." + refusal.Field
		}
		return keyBody{}, badRequest("[" + path + "]: " + refusal.Reason)
	}
	return body, nil
}

// createKey makes a key and shows its secret, this once.
func (s *server) createKey(c echo.Context, body keyBody) error {
	now := time.Now()
	var expires time.Time
	if body.Expiration != nil {
		duration, err := access.ParseExpiration(string(*body.Expiration))
		if err != nil {
			return err
		}
		expires = now.Add(duration)
	}
	key, secret := access.NewKey(string(body.Name), body.privileges(), now, expires)
	if err := s.store.CreateKey(c.Request().Context(), key); err != nil {
		return err
	}
	s.guard.close()
	about(c, object{toCreateKey.event, space(c), key.ID})
	c.Response().Header().Set("Cache-Control", "no-store")
	return writeJSON(c, http.StatusOK, struct {
		ID         string `json:"id"`
		Name       string `json:"name"`
		Expiration int64  `json:"expiration,omitempty"` // Unix milliseconds
		Secret     string `json:"api_key"`
		Encoded    string `json:"encoded"`
	}{key.ID, key.Name, millis(key.Expires), secret, access.Credential{ID: key.ID, Secret: secret}.Encoded()})
}

// keyAnswer is a key as it is listed: it has no field for its secret or hash.
type keyAnswer struct {
	ID         string            `json:"id"`
	Name       string            `json:"name"`
	Creation   int64             `json:"creation"`             // Unix milliseconds, as the next two
	Expiration int64             `json:"expiration,omitempty"` // not of keys that never expire
	LastUsed   int64             `json:"last_used,omitempty"`  // not of keys that were never used
	Privileges access.Privileges `json:"privileges"`
}

// listKeys answers with all keys.
func (s *server) listKeys(c echo.Context) error {
	if err := s.guard.writeUsed(c.Request().Context()); err != nil {
		return err
	}
	keys, err := s.store.Keys(c.Request().Context())
	if err != nil {
		return err
	}
	answer := make([]keyAnswer, len(keys))
	for i, key := range keys {
		answer[i] = keyAnswer{key.ID, key.Name, millis(key.Created), millis(key.Expires), millis(key.LastUsed), key.Privileges}
	}
	return writeJSON(c, http.StatusOK, map[string]any{"api_keys": answer})
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

type revokeBody struct {
	IDs []string `json:"ids"`
}

// maxRevoked is how many keys one request may revoke.
const maxRevoked = 1000

// maxKeyID is more than an id of ours has, in bytes.
const maxKeyID = 64

func (s *server) readRevoke(c echo.Context) (revokeBody, error) {
	var body revokeBody
	if err := s.readBody(c, &body); err != nil {
		return revokeBody{}, err
	}
	if len(body.IDs) == 0 || len(body.IDs) > maxRevoked {
		return revokeBody{}, badRequest(fmt.Sprintf("[request body.ids]: 1 to %d ids are expected", maxRevoked))
	}
	for i, id := range body.IDs {
		if len(id) > maxKeyID {
			return revokeBody{}, badRequest(fmt.Sprintf("[request body.ids.%d]: an id has at most %d bytes", i, maxKeyID))
		}
	}
	return body, nil
}

// revokeKeys removes keys. It takes effect at once; ids that there are not are
// told and do not save the others.
func (s *server) revokeKeys(c echo.Context, body revokeBody) error {
	revoked, err := s.store.DeleteKeys(c.Request().Context(), body.IDs)
	s.guard.forget(body.IDs...)
	if err != nil {
		return err
	}
	if len(revoked) == 0 {
		about(c, object{toRevokeKeys.event, space(c), strings.Join(body.IDs, ",")})
		return store.ErrNoKey
	}
	objects := make([]object, len(revoked))
	for i, id := range revoked {
		objects[i] = object{toRevokeKeys.event, space(c), id}
	}
	about(c, objects...)
	type detail struct {
		Type   string `json:"type"`
		Reason string `json:"reason"`
	}
	unknown := []detail{}
	for _, id := range body.IDs {
		if !slices.Contains(revoked, id) {
			unknown = append(unknown, detail{"resource_not_found_exception", "no API key with the id [" + id + "]"})
		}
	}
	return writeJSON(c, http.StatusOK, struct {
		Revoked    []string `json:"invalidated_api_keys"`
		Before     []string `json:"previously_invalidated_api_keys"` // a revoked key is gone
		ErrorCount int      `json:"error_count"`
		Errors     []detail `json:"error_details,omitempty"`
	}{revoked, []string{}, len(unknown), unknown})
}
