package index

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"net/http"

	"patchbay.dev/shared/wire"
)

// The documents of an execution that is on record have ids that are made of the
// execution's own, so that the cluster refuses those that an earlier attempt wrote
// and tells of it. It compares them within one index: if a data stream rolled over
// between two attempts, the later one writes to another index and is not refused.
// A time series makes its own ids and takes no others.

// idBytes is how much of the hash is in an id: as good as all of it.
const idBytes = 20

// idSize is what an id adds to the action before its document, in bytes.
var idSize = len(`,"_id":""`) + base64.RawURLEncoding.EncodedLen(idBytes)

// idsOf returns an id for each document of a job that is on record, else nil.
func idsOf(job bulkJob) []string {
	if job.Attempt == 0 {
		return nil
	}
	var of []byte
	for _, part := range []string{job.Space, job.ConnectorID, job.ExecutionID} {
		of = binary.BigEndian.AppendUint32(of, uint32(len(part))) //nolint:gosec // G115: an id of 4 GiB reaches nobody
		of = append(of, part...)
	}
	ids := make([]string, len(job.Params.Documents))
	for i := range ids {
		sum := sha256.Sum256(binary.BigEndian.AppendUint64(of, uint64(i)))
		ids[i] = base64.RawURLEncoding.EncodeToString(sum[:idBytes])
	}
	return ids
}

// appendAction appends the line action with an id in it.
func appendAction(b []byte, action, id string) []byte {
	const end = "}}\n"
	b = append(b, action[:len(action)-len(end)]...)
	b = append(append(b, `,"_id":"`...), id...)
	return append(b, `"`+end...)
}

// again tells whether some of the documents may be of an earlier attempt.
func (x *execution) again() bool { return x.attempt > 1 }

// settle returns the result of an execution when what an earlier attempt wrote
// counts as written, and what is left may be sent by a later one.
func (e *Executor) settle(x *execution, r result) result {
	if r.err == nil || x.attempt == 0 {
		return r
	}
	if x.again() {
		r = e.known(x, r)
	}
	// Also when others were written: those it does not write again.
	failure, ok := errors.AsType[*wire.Failure](r.err)
	if ok && len(r.rejected) > 0 && failure.Retry.IsZero() {
		failure.Retry = wire.RetryLater()
	}
	return r
}

// known returns r as if the cluster had not minded the documents that it had.
func (e *Executor) known(x *execution, r result) result {
	answer := r.data
	if r.whole != nil {
		answer = r.whole
	}
	s, err := scan(answer, len(x.documents))
	if err != nil || len(s.each) != len(x.documents) {
		return r
	}
	var items []byte
	failed, known := false, false
	for i, p := range s.each {
		if i > 0 {
			items = append(items, ',')
		}
		raw := s.answer[p.start:p.end]
		if p.status == http.StatusConflict {
			if index, ok := alreadyThere(raw, x.ids[i]); ok {
				known = true
				items = appendKnown(items, index, x.ids[i])
				continue
			}
		}
		items = append(items, raw...)
		failed = failed || p.failed()
	}
	if !known {
		return r
	}
	if s, err = scan(s.with(failed, items), len(x.documents)); err != nil {
		return r
	}
	return e.ofShare(s.whole(), len(x.documents))
}

// alreadyThere tells whether an item says that a document with this id is there, and
// in which index.
func alreadyThere(raw []byte, id string) (index string, ok bool) {
	var operations map[string]struct {
		Index string `json:"_index"`
		ID    string `json:"_id"`
		Error *cause `json:"error"`
	}
	if err := json.Unmarshal(raw, &operations); err != nil {
		return "", false
	}
	item := operations["create"]
	return item.Index, item.ID == id && item.Error != nil && item.Error.Type == "version_conflict_engine_exception"
}

// appendKnown appends the item of a document that was there: as Elasticsearch
// tells of an update that changes nothing.
func appendKnown(b []byte, index, id string) []byte {
	b = appendString(append(b, `{"create":{"_index":`...), index)
	return append(append(append(b, `,"_id":"`...), id...), `","status":200,"result":"noop"}}`...)
}
