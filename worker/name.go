package worker

import (
	"crypto/rand"
	"os"
	"strings"
)

// processName names this process among all workers: a container has its host's
// name, and its process id is often the same as the one's before it.
func processName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "worker"
	}
	return host + "-" + strings.ToLower(rand.Text()[:6])
}
