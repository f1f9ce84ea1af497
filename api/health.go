package api

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"time"
)

// checkTimeout bounds [CheckReady].
const checkTimeout = 2 * time.Second

// CheckReady returns nil if an api that runs on this machine with this
// configuration says that it is ready, and otherwise what it says.
func CheckReady(ctx context.Context, config Config) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, config.scheme()+"://"+config.Addr+"/readyz", nil)
	if err != nil {
		return fmt.Errorf("PATCHBAY_HTTP_ADDR: %w", err)
	}
	// Not the default client, which would ask a proxy of the environment. Whose the
	// certificate is does not matter: we ask our own machine, send no secret and
	// believe one word, and the name in it is seldom the address that we dial.
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true} //nolint:gosec // see above
	response, err := (&http.Client{Transport: transport}).Do(r)
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
