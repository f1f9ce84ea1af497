package elastictest

import (
	"fmt"
	"net"
	"net/http"
	"strings"
)

// fault answers the requests to an index in its own way.
type fault func(s *Server, w http.ResponseWriter, r *http.Request, operations []operation, refresh string)

// faults has a line for each row of the package's table, but for per-item,
// crowded and no-reason: those are faults of documents, see applyOne.
var faults = map[string]fault{
	"status-400":      always(malformed),
	"status-401":      status401,
	"status-403":      always(forbidden),
	"status-413":      always(tooLarge),
	"status-429":      always(rejected),
	"status-500":      always(noIngestNode),
	"status-502":      always(func() *answer { return ofProxy(http.StatusBadGateway) }),
	"status-503":      always(noMaster),
	"status-504":      always(func() *answer { return ofProxy(http.StatusGatewayTimeout) }),
	"status-429-in-5": always(func() *answer { return rejected().with("Retry-After", "5") }),
	"status-503-in-5": always(func() *answer { return noMaster().with("Retry-After", "5") }),
	"errors-no-items": always(func() *answer {
		return ofElasticsearch(http.StatusOK, bulkAnswer{Errors: true, Took: 3, Items: []item{}})
	}),
	"crowded-whole": crowded,
	"ingest":        ingest,
	"html":          always(html),
	"wrong-count":   wrongCount,
	"cut":           cut,
	"reset":         reset,
	"reset-first":   resetFirst,
	"silent":        silent,
	"large":         large,
	"large-late":    largeLate,
	"not-elastic":   notElastic,
}

// always is a fault that drops the documents.
func always(answer func() *answer) fault {
	return func(_ *Server, w http.ResponseWriter, _ *http.Request, _ []operation, _ string) { answer().write(w) }
}

func status401(_ *Server, w http.ResponseWriter, r *http.Request, _ []operation, _ string) {
	unauthenticated("unable to authenticate user [patchbay] for REST request [" + r.RequestURI + "]").write(w)
}

func malformed() *answer {
	return failed(http.StatusBadRequest, "illegal_argument_exception", "Malformed action/metadata line [1], found [VALUE_STRING]")
}

func crowded(s *Server, w http.ResponseWriter, _ *http.Request, operations []operation, refresh string) {
	if s.isNew(operations[0]) {
		rejected().write(w)
		return
	}
	success(s.apply(operations, refresh)).write(w)
}

func ingest(s *Server, w http.ResponseWriter, _ *http.Request, operations []operation, refresh string) {
	a := success(s.apply(operations, refresh))
	a.body = []byte(strings.Replace(string(a.body), `"took":3`, `"took":3,"ingest_took":1`, 1))
	a.write(w)
}

func forbidden() *answer {
	return failed(http.StatusForbidden, "security_exception",
		"action [indices:data/write/bulk] is unauthorized for user [patchbay] with effective roles [viewer], "+
			"this action is granted by the index privileges [create_doc,create,index,write,all]")
}

func tooLarge() *answer {
	return &answer{status: http.StatusRequestEntityTooLarge, header: map[string]string{"X-Elastic-Product": "Elasticsearch"}}
}

func rejected() *answer { return failedBy(http.StatusTooManyRequests, rejection()) }

func noIngestNode() *answer {
	return failed(http.StatusInternalServerError, "illegal_state_exception",
		"There are no ingest nodes in this cluster, unable to forward request to an ingest node.")
}

func noMaster() *answer {
	return failed(http.StatusServiceUnavailable, "cluster_block_exception",
		"blocked by: [SERVICE_UNAVAILABLE/1/state not recovered / initialized];[SERVICE_UNAVAILABLE/2/no master];")
}

func html() *answer {
	return &answer{
		status: http.StatusOK,
		header: map[string]string{"X-Elastic-Product": "Elasticsearch", "Content-Type": "text/html"},
		body:   []byte("<html><body>Sign in</body></html>"),
	}
}

func wrongCount(s *Server, w http.ResponseWriter, _ *http.Request, operations []operation, refresh string) {
	success(s.apply(operations, refresh)[1:]).write(w)
}

func cut(s *Server, w http.ResponseWriter, _ *http.Request, operations []operation, refresh string) {
	a := success(s.apply(operations, refresh))
	conn := hijack(w)
	defer conn.Close()
	_, _ = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nX-Elastic-Product: Elasticsearch\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		len(a.body), a.body[:len(a.body)/2])
}

func reset(s *Server, w http.ResponseWriter, _ *http.Request, operations []operation, refresh string) {
	s.apply(operations, refresh)
	conn := hijack(w)
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // closing resets
	}
	_ = conn.Close()
}

func resetFirst(s *Server, w http.ResponseWriter, r *http.Request, operations []operation, refresh string) {
	if s.isNew(operations[0]) {
		reset(s, w, r, operations, refresh)
		return
	}
	success(s.apply(operations, refresh)).write(w)
}

func hijack(w http.ResponseWriter) net.Conn {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err) // HTTP/1 always can
	}
	return conn
}

func silent(s *Server, _ http.ResponseWriter, r *http.Request, operations []operation, refresh string) {
	s.apply(operations, refresh)
	s.wait(r, nil)
	panic(http.ErrAbortHandler) // nothing is answered
}

// padding is a member that makes an answer larger than 2 MiB.
func padding() string { return `"padding":"` + strings.Repeat("x", 2<<20) + `"` }

func large(s *Server, w http.ResponseWriter, _ *http.Request, operations []operation, refresh string) {
	a := success(s.apply(operations, refresh))
	a.body = []byte(strings.TrimSuffix(string(a.body), "}") + "," + padding() + "}")
	a.write(w)
}

func largeLate(s *Server, w http.ResponseWriter, _ *http.Request, operations []operation, refresh string) {
	a := success(s.apply(operations, refresh))
	a.body = []byte("{" + padding() + "," + strings.TrimPrefix(string(a.body), "{"))
	a.write(w)
}

func notElastic(_ *Server, w http.ResponseWriter, _ *http.Request, operations []operation, refresh string) {
	items := make([]item, len(operations))
	for i, op := range operations {
		items[i].Create = created(op.index, fmt.Sprintf("not-elastic-%d", i+1), int64(i+1), refresh)
	}
	success(items).with("X-Elastic-Product", "").write(w)
}
