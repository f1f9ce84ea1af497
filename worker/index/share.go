package index

import (
	"fmt"
	"slices"
)

// share is what one execution gets of the answer to a bulk: the answer that it
// would have got alone.
type share struct {
	answer   []byte
	written  bool  // every document was
	rejected []int // documents that the cluster had no room for
}

// shares cuts the answer to a bulk: counts are the numbers of documents of its
// executions. It returns an error if it cannot tell whose is what.
func (s *scanned) shares(counts []int) ([]share, error) {
	total := 0
	for _, n := range counts {
		total += n
	}
	if len(s.each) != total {
		return nil, fmt.Errorf("the cluster answered for %d documents, %d were sent", len(s.each), total)
	}
	// An error that is no document's may be anyone's.
	unclaimed := s.failed && !slices.ContainsFunc(s.each, itemPlace.failed)
	all := make([]share, len(counts))
	first := 0
	for i, n := range counts {
		items := s.each[first : first+n]
		failed := unclaimed || slices.ContainsFunc(items, itemPlace.failed)
		var between []byte
		if n > 0 {
			between = s.answer[items[0].start:items[n-1].end]
		}
		all[i] = share{answer: s.with(failed, between), written: !failed, rejected: rejected(items)}
		first += n
	}
	return all, nil
}

// whole is the share of an execution that was alone.
func (s *scanned) whole() share {
	failed := s.failed || slices.ContainsFunc(s.each, itemPlace.failed)
	return share{answer: s.answer, written: !failed, rejected: rejected(s.each)}
}

func (i itemPlace) failed() bool { return i.status < 200 || i.status > 299 }

// rejected returns which items say that the cluster had no room.
func rejected(items []itemPlace) []int {
	var which []int
	for i, place := range items {
		if (item{Status: place.status}).rejected() {
			which = append(which, i)
		}
	}
	return which
}

// with returns the answer with another value of errors and other items.
func (s *scanned) with(failed bool, items []byte) []byte {
	flag := "false"
	if failed {
		flag = "true"
	}
	b := make([]byte, 0, len(s.answer)-(s.items.end-s.items.start)+len(items)+len(flag))
	if s.errors.start < s.items.start {
		b = append(b, s.answer[:s.errors.start]...)
		b = append(b, flag...)
		b = append(b, s.answer[s.errors.end:s.items.start]...)
		b = append(b, items...)
		return append(b, s.answer[s.items.end:]...)
	}
	b = append(b, s.answer[:s.items.start]...)
	b = append(b, items...)
	b = append(b, s.answer[s.items.end:s.errors.start]...)
	b = append(b, flag...)
	return append(b, s.answer[s.errors.end:]...)
}

// merge returns the answer again, to the documents which of an earlier one, with
// the items of all the others from there.
func merge(earlier []byte, which []int, again []byte) (scanned, error) {
	before, err := scan(earlier, 0)
	if err != nil {
		return scanned{}, err
	}
	after, err := scan(again, len(which))
	if err != nil {
		return scanned{}, err
	}
	if len(after.each) != len(which) {
		return scanned{}, fmt.Errorf("the cluster answered for %d documents, %d were sent", len(after.each), len(which))
	}
	var items []byte
	failed := false
	for i, p := range before.each {
		from := before.answer
		if len(which) > 0 && which[0] == i {
			p, from = after.each[len(after.each)-len(which)], after.answer
			which = which[1:]
		}
		if i > 0 {
			items = append(items, ',')
		}
		items = append(items, from[p.start:p.end]...)
		failed = failed || p.failed()
	}
	return scan(after.with(failed, items), len(before.each))
}
