package api

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// checkTimeout bounds [CheckReady].
const checkTimeout = 2 * time.Second

// CheckReady returns nil if an api that listens on addr says that it is ready,
// and otherwise what it says.
func CheckReady(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/readyz", nil)
	if err != nil {
		return fmt.Errorf("PATCHBAY_HTTP_ADDR: %w", err)
	}
	// Not the default client, which would ask a proxy of the environment.
	response, err := (&http.Client{Transport: &http.Transport{}}).Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 4096))
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, answer)
	}
	return err
}
