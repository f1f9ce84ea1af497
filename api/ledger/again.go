package ledger

func given(r Record) bool { return r.Given }

// logAgain writes over the attempt of an execution that was answered at once.
const logAgain = `
UPDATE execution SET attempt = attempt + 1, max_attempts = attempt + 1, bytes = ?, trace_id = ?, started_at = ?, ended_at = ?,
	queue_us = ?, dispatch_us = ?, run_us = ?, outcome = ?, message = ?, service_message = ?, retry = ?, source = ?, worker = ?
WHERE seq = ?`

// recordAgain writes a record whose id exists as the next attempt of that execution; one
// that was queued or has a key has attempts and an answer of its own, and the record is
// lost. It reports whether the id exists.
func (g *group) recordAgain(r *Record) (known bool, err error) {
	var before row
	if err := g.row(selectByID, r.Space, r.ID).Scan(before.dest()...); err != nil {
		return false, ignoreNoRows(err)
	}
	if before.Durable || before.State != Done || before.Key != "" || before.ConnectorID != r.ConnectorID || before.Type != r.Type {
		g.dropped++
		return true, nil
	}
	if _, err := g.exec(insertAttempt, before.Seq); err != nil {
		return true, err
	}
	a := &r.Attempt
	failure := a.failure()
	_, err = g.exec(logAgain, int64(r.Bytes), text(r.TraceID), micros(a.StartedAt), micros(a.EndedAt), a.Queue.Microseconds(),
		a.Dispatch.Microseconds(), a.Run.Microseconds(), string(a.Outcome), text(failure.Message), text(failure.ServiceMessage),
		adviceText(failure.Retry), string(failure.Source), text(a.Worker), before.Seq)
	return true, err
}
