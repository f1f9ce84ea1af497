package elastictest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
)

// answer is a whole response.
type answer struct {
	status int
	header map[string]string
	body   []byte
}

func (a *answer) write(w http.ResponseWriter) {
	for name, value := range a.header {
		w.Header().Set(name, value)
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(a.body)))
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // a client that went away is its own affair
}

// with returns a with another header, "" to leave it out.
func (a *answer) with(name, value string) *answer {
	if value == "" {
		delete(a.header, name)
	} else {
		a.header[name] = value
	}
	return a
}

func ofElasticsearch(status int, body any) *answer {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // Elasticsearch does not
	if err := enc.Encode(body); err != nil {
		panic(err) // only types of this package come here
	}
	return &answer{
		status: status,
		header: map[string]string{"X-Elastic-Product": "Elasticsearch", "Content-Type": "application/json"},
		body:   bytes.TrimRight(b.Bytes(), "\n"),
	}
}

func ofProxy(status int) *answer {
	title := fmt.Sprintf("%d %s", status, http.StatusText(status))
	return &answer{
		status: status,
		header: map[string]string{"Server": "nginx", "Content-Type": "text/html"},
		body: []byte("<html>\r\n<head><title>" + title + "</title></head>\r\n<body>\r\n<center><h1>" + title +
			"</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"),
	}
}

// cause is how Elasticsearch tells of an error, in the order of its members.
type cause struct {
	Root     []cause        `json:"root_cause,omitempty"`
	Type     string         `json:"type"`
	Reason   string         `json:"reason,omitempty"`
	Header   map[string]any `json:"header,omitempty"`
	UUID     string         `json:"index_uuid,omitempty"`
	Shard    string         `json:"shard,omitempty"`
	Index    string         `json:"index,omitempty"`
	CausedBy *cause         `json:"caused_by,omitempty"`
}

func failed(status int, kind, reason string) *answer {
	return failedBy(status, cause{Type: kind, Reason: reason})
}

// failedBy is the answer to a request that failed as a whole.
func failedBy(status int, by cause) *answer {
	by.Root = []cause{by}
	return ofElasticsearch(status, struct {
		Error  cause `json:"error"`
		Status int   `json:"status"`
	}{by, status})
}

func unauthenticated(reason string) *answer {
	challenge := []string{`Basic realm="security", charset="UTF-8"`, `Bearer realm="security"`, "ApiKey"}
	a := failedBy(http.StatusUnauthorized, cause{
		Type: "security_exception", Reason: reason, Header: map[string]any{"WWW-Authenticate": challenge},
	})
	return a.with("WWW-Authenticate", challenge[0])
}

// bulkAnswer has its members in the order of Elasticsearch 8.
type bulkAnswer struct {
	Errors bool   `json:"errors"`
	Took   int    `json:"took"`
	Items  []item `json:"items"`
}

// item tells how one document fared; op_type create names it.
type item struct {
	Create result `json:"create"`
}

type result struct {
	Index         string  `json:"_index"`
	ID            string  `json:"_id"`
	Version       int     `json:"_version,omitempty"`
	Result        string  `json:"result,omitempty"`
	ForcedRefresh bool    `json:"forced_refresh,omitempty"`
	Shards        *shards `json:"_shards,omitempty"`
	SeqNo         *int64  `json:"_seq_no,omitempty"`
	PrimaryTerm   int     `json:"_primary_term,omitempty"`
	Status        int     `json:"status"`
	Error         *cause  `json:"error,omitempty"`
}

type shards struct {
	Total      int `json:"total"`
	Successful int `json:"successful"`
	Failed     int `json:"failed"`
}

func success(items []item) *answer {
	errors := false
	for _, i := range items {
		errors = errors || i.Create.Error != nil
	}
	return ofElasticsearch(http.StatusOK, bulkAnswer{Errors: errors, Took: 3, Items: items})
}

// created is the result of the nth document that the server wrote.
func created(index, id string, n int64, refresh string) result {
	seqNo := n - 1
	return result{
		Index:         index,
		ID:            id,
		Version:       1,
		Result:        "created",
		ForcedRefresh: refresh == "true",
		Shards:        &shards{Total: 2, Successful: 1},
		SeqNo:         &seqNo,
		PrimaryTerm:   1,
		Status:        http.StatusCreated,
	}
}
