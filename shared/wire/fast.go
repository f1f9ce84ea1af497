package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"patchbay.dev/shared/schema"
)

// This file has the two bodies of an execution by hand, since each is written and
// read once per execution: encoding/json would look through the raw parts once more,
// which somebody else checks. Tests hold it to encoding/json.

// Append appends the request as [Encode] writes it, but for white space in the
// raw parts, which stays, and large params, which come last and framed.
func (r *Request) Append(b []byte) []byte {
	b = AppendString(append(open(b, len(r.Params)), `"execution_id":`...), r.ExecutionID)
	if r.Given {
		b = append(b, `,"given":true`...)
	}
	if r.Attempt != 0 {
		b = strconv.AppendInt(append(b, `,"attempt":`...), int64(r.Attempt), 10)
	}
	b = AppendString(append(b, `,"space":`...), r.Space)
	b = r.Connector.append(append(b, `,"connector":`...))
	b = append(b, `,"time_left_ms":`...)
	b = strconv.AppendInt(b, time.Duration(r.TimeLeft).Milliseconds(), 10)
	framed := len(r.Params) >= framedSize
	if len(r.Params) > 0 && !framed {
		b = append(append(b, `,"params":`...), r.Params...)
	}
	if len(r.SealedParams) > 0 {
		b = appendBytes(append(b, `,"sealed_params":`...), r.SealedParams)
	}
	if r.Access != nil {
		access, _ := Encode(r.Access) // strings always encode
		b = append(append(b, `,"access":`...), access...)
	}
	if framed {
		b = append(append(b, `,"params":`...), r.Params...)
	}
	return append(b, '}')
}

func (c *Connector) append(b []byte) []byte {
	b = AppendString(append(b, `{"id":`...), c.ID)
	b = AppendString(append(b, `,"type":`...), c.Type)
	b = AppendString(append(b, `,"name":`...), c.Name)
	b = append(b, `,"version":`...)
	b = strconv.AppendInt(b, c.Version, 10)
	b = appendRaw(append(b, `,"config":`...), c.Config)
	if len(c.Secrets) > 0 {
		b = appendBytes(append(b, `,"secrets":`...), c.Secrets)
	}
	if c.Preconfigured {
		b = append(b, `,"preconfigured":true`...)
	}
	return append(b, '}')
}

func appendRaw(b []byte, raw json.RawMessage) []byte {
	if raw == nil {
		return append(b, "null"...)
	}
	return append(b, raw...)
}

func appendBytes(b, data []byte) []byte {
	return append(base64.StdEncoding.AppendEncode(append(b, '"'), data), '"')
}

// AppendString appends s as a JSON string as [Encode] writes it.
func AppendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c > '~' {
			encoded, _ := Encode(s) // a string always encodes
			return append(b, encoded...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

// DecodeRequest reads a request. Raw parts alias data. Nobody may have looked at the
// params: who reads them checks them.
func DecodeRequest(data []byte) (Request, error) {
	var r Request
	head, params := unframe(data, "params")
	err := checkedObject(head, schema.MaxDepth+envelope, func(key, raw []byte) error {
		switch string(key) {
		case "execution_id":
			return readString(raw, &r.ExecutionID)
		case "given":
			return json.Unmarshal(raw, &r.Given)
		case "attempt":
			return readInt(raw, &r.Attempt)
		case "space":
			return readString(raw, &r.Space)
		case "connector":
			return r.Connector.decode(raw)
		case "time_left_ms":
			return r.TimeLeft.UnmarshalJSON(raw)
		case "params":
			r.Params = raw
		case "sealed_params":
			return readBytes(raw, &r.SealedParams)
		case "access":
			return json.Unmarshal(raw, &r.Access)
		}
		return nil
	})
	if params != nil {
		r.Params = params
	}
	return r, err
}

// envelope is how much deeper the raw parts stand in a request.
const envelope = 2

func (c *Connector) decode(data []byte) error {
	return object(data, func(key, raw []byte) error {
		switch string(key) {
		case "id":
			return readString(raw, &c.ID)
		case "type":
			return readString(raw, &c.Type)
		case "name":
			return readString(raw, &c.Name)
		case "version":
			return readInt(raw, &c.Version)
		case "config":
			c.Config = raw
		case "secrets":
			return readBytes(raw, &c.Secrets)
		case "preconfigured":
			return json.Unmarshal(raw, &c.Preconfigured)
		}
		return nil
	})
}

// DecodeReply reads a reply. Its data alias data. Large ones are not looked at: see
// [Reply.Append].
func DecodeReply(data []byte) (Reply, error) {
	var r Reply
	head, answer := unframe(data, "data")
	err := checkedObject(head, maxReplyDepth, func(key, raw []byte) error {
		switch string(key) {
		case "data":
			r.Data = raw
		case "failure":
			return json.Unmarshal(raw, &r.Failure)
		case "worker":
			return readString(raw, &r.Worker)
		case "run_us":
			return readInt(raw, &r.RunMicros)
		}
		return nil
	})
	if answer != nil {
		r.Data = answer
	}
	return r, err
}

// Append appends the reply as [Encode] writes it, but for white space in the data,
// which stays, and large data, which come last and framed. The data must be
// [WellFormed]: who decodes the reply may pass them on as they are.
func (r *Reply) Append(b []byte) ([]byte, error) {
	framed := len(r.Data) >= framedSize
	b = open(b, len(r.Data))
	start := len(b)
	if len(r.Data) > 0 && !framed {
		b = append(append(b, `"data":`...), r.Data...)
	}
	if r.Failure != nil {
		failure, err := Encode(r.Failure)
		if err != nil {
			return nil, err
		}
		b = append(append(next(b, start), `"failure":`...), failure...)
	}
	if r.Worker != "" {
		b = AppendString(append(next(b, start), `"worker":`...), r.Worker)
	}
	if r.RunMicros != 0 {
		b = strconv.AppendInt(append(next(b, start), `"run_us":`...), r.RunMicros, 10)
	}
	if framed {
		b = append(append(next(b, start), `"data":`...), r.Data...)
	}
	return append(b, '}'), nil
}

// next appends a comma unless b ends where the members start.
func next(b []byte, start int) []byte {
	if len(b) == start {
		return b
	}
	return append(b, ',')
}

// WellFormed returns nil if data are what a reply may have: JSON that nests no deeper
// than encoding/json reads.
func WellFormed(data []byte) error { return schema.Check(data, maxReplyDepth) }

// maxReplyDepth is encoding/json's limit: what a destination answers may nest as
// it likes.
const maxReplyDepth = 10_000

var errNoObject = errors.New("an object is expected")

// object calls read with every member of an object that was checked.
func object(data []byte, read func(key, raw []byte) error) error {
	if !opensObject(data) {
		return errNoObject
	}
	return schema.Each(data, read)
}

// checkedObject is [schema.Check] and then object.
func checkedObject(data []byte, maxDepth int, read func(key, raw []byte) error) error {
	if opensObject(data) {
		return schema.CheckEach(data, maxDepth, read)
	}
	if err := schema.Check(data, maxDepth); err != nil {
		return err
	}
	return errNoObject
}

func opensObject(data []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("{"))
}

func readString(raw []byte, s *string) error {
	if raw[0] != '"' || bytes.IndexByte(raw, '\\') >= 0 {
		return json.Unmarshal(raw, s)
	}
	*s = string(raw[1 : len(raw)-1])
	return nil
}

func readInt[T int | int64](raw []byte, n *T) error {
	i, err := strconv.ParseInt(string(raw), 10, 64)
	if *n = T(i); err == nil && int64(*n) != i { // an int may have 32 bits
		err = strconv.ErrRange
	}
	return err
}

func readBytes(raw []byte, b *[]byte) (err error) {
	if raw[0] != '"' || bytes.IndexByte(raw, '\\') >= 0 {
		return json.Unmarshal(raw, b)
	}
	*b, err = base64.StdEncoding.AppendDecode(nil, raw[1:len(raw)-1])
	return err
}
