package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"patchbay.dev/api/dispatch"
)

// rotation is what a rotation of keys needs to know of everybody else.
type rotation struct {
	running   sync.Mutex
	saving    passage // from reading the key to the commit
	executing passage // from reading secrets to the worker's answer
}

var (
	errRotating    = errors.New("a rotation is running")
	errRotationCut = errors.New("the api was stopped while a rotation was running")
)

// rotationBody has the keys and the meaning of Kibana 8.19's answer to
// POST /api/encrypted_saved_objects/_rotate_key.
type rotationBody struct {
	Total      int `json:"total"`      // connectors with secrets and dead letters with params, whatever key they are sealed to
	Successful int `json:"successful"` // now sealed to the current key, and before to another
	Failed     int `json:"failed"`     // still sealed to another, or no worker confirms the key; the log says why
}

// readRotate takes any body and looks at none; what matters is that the limit on
// reading goes.
func (s *server) readRotate(c echo.Context) (struct{}, error) {
	_, err := s.readAll(c)
	return struct{}{}, err
}

// rotateSecrets has the workers seal to the current key what is sealed to another.
// It answers when no execution carries anything else any more, so that after one
// without failures the workers can do without their older keys.
func (s *server) rotateSecrets(c echo.Context, _ struct{}) error {
	// It takes as long as there are connectors.
	if err := http.NewResponseController(c.Response()).SetWriteDeadline(time.Time{}); err != nil {
		return fmt.Errorf("clear write deadline: %w", err)
	}
	if !s.rotation.running.TryLock() {
		return errRotating
	}
	defer s.rotation.running.Unlock()
	if s.keeper.key == nil {
		return errNoKey
	}
	key, err := s.keeper.key.Reload()
	if err != nil { // to the key from before would be to no avail, or worse
		return fmt.Errorf("%w: %w", errKeyFile, err)
	}
	// Who still saves with the key from before must be seen below.
	s.rotation.saving.wait()
	ctx := c.Request().Context()
	r := &rotator{server: s, key: key.ID(), batches: make(map[string]*batch)}
	err = r.run(ctx)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	s.log.Info("secrets were rotated", "key", key.ID().String(),
		"total", r.body.Total, "successful", r.body.Successful, "failed", r.body.Failed, "complete", err == nil)
	if errors.Is(err, dispatch.ErrStopping) {
		return errRotationCut
	}
	if err != nil {
		return err
	}
	s.rotation.executing.wait()
	return writeJSON(c, http.StatusOK, r.body)
}
