package elastictest

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// apply writes the documents and returns their items.
func (s *Server) apply(operations []operation, refresh string) []item {
	items := make([]item, len(operations))
	for i, op := range operations {
		items[i].Create = s.applyOne(op, i, refresh)
	}
	return items
}

func (s *Server) applyOne(op operation, position int, refresh string) result {
	status, by := http.StatusCreated, (*cause)(nil)
	id := op.id
	if id == "" {
		id = fmt.Sprintf("not-written-%08d", position)
	}
	switch op.index {
	case "per-item":
		status, by = s.chosen(op, id)
	case "crowded":
		if s.isNew(op) {
			status, by = http.StatusTooManyRequests, new(rejection())
		}
	case "no-reason":
		status, by = http.StatusBadRequest, &cause{Type: "document_parsing_exception"}
	}
	if by == nil {
		written, n, ok := s.write(op)
		if ok {
			return created(op.index, written, n, refresh)
		}
		status, by = http.StatusConflict, conflict(op.index, id)
	}
	return result{Index: op.index, ID: id, Status: status, Error: by}
}

// chosen returns the status that a document of per-item asks for, and its error.
func (s *Server) chosen(op operation, id string) (int, *cause) {
	var document struct {
		Status any `json:"status"`
	}
	_ = json.Unmarshal(op.document, &document) // it is an object: parse saw to that
	switch document.Status {
	case nil, 201.0:
		return http.StatusCreated, nil
	case 409.0:
		return http.StatusConflict, conflict(op.index, id)
	case 429.0:
		return http.StatusTooManyRequests, new(rejection())
	case 503.0:
		return http.StatusServiceUnavailable, &cause{
			Type: "unavailable_shards_exception",
			Reason: "[" + op.index + "][0] primary shard is not active Timeout: [1m], request: [BulkShardRequest [[" +
				op.index + "][0]] containing [index {[" + op.index + "][" + id + "], source[_na_]}]]",
		}
	default:
		s.violation(fmt.Sprintf("per-item: a document asks for the status %v", document.Status)) // a slip of the script
		fallthrough
	case 400.0:
		return http.StatusBadRequest, &cause{
			Type: "document_parsing_exception",
			Reason: "[1:11] failed to parse field [n] of type [long] in document with id '" + id +
				"'. Preview of field's value: 'abc'",
			CausedBy: &cause{Type: "illegal_argument_exception", Reason: `For input string: "abc"`},
		}
	}
}

func conflict(index, id string) *cause {
	return &cause{
		Type:   "version_conflict_engine_exception",
		Reason: "[" + id + "]: version conflict, document already exists (current version [1])",
		UUID:   "c3RhbmQtaW4gaW5kZXggMQ", Shard: "0", Index: index,
	}
}

func rejection() cause {
	return cause{
		Type: "es_rejected_execution_exception",
		Reason: "rejected execution of coordinating operation [coordinating_and_primary_bytes=107374182, replica_bytes=0, " +
			"all_bytes=107374182, coordinating_operation_bytes=128, max_coordinating_and_primary_bytes=107374182]",
	}
}
