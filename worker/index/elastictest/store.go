package elastictest

import (
	"bytes"
	"fmt"
	"slices"
)

// Documents returns the documents that were written to an index, each the bytes
// of its line without the line break, in the order of their arrival.
func (s *Server) Documents(index string) [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.documents[index])
}

// IDs returns the ids of those documents, in the same order.
func (s *Server) IDs(index string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.ids[index])
}

// write keeps a document and returns its id and its place among all that were
// written, or false if its index has one with that id.
func (s *Server) write(op operation) (id string, n int64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken[op.index][op.id] {
		return "", 0, false
	}
	s.written++
	id = op.id
	if id == "" {
		id = fmt.Sprintf("stand-in-%011d", s.written)
	}
	if s.options.Discard {
		return id, s.written, true
	}
	s.documents[op.index] = append(s.documents[op.index], bytes.Clone(op.document))
	s.ids[op.index] = append(s.ids[op.index], id)
	if op.id != "" {
		if s.taken[op.index] == nil {
			s.taken[op.index] = make(map[string]bool)
		}
		s.taken[op.index][id] = true
	}
	return id, s.written, true
}

// isNew reports whether a document comes for the first time.
func (s *Server) isNew(op operation) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := op.index + "\n" + string(op.document)
	known := s.seen[key]
	s.seen[key] = true
	return !known
}
