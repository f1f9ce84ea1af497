package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
)

// index writes the documents of a job with one _bulk request.
func index(cluster string) executor {
	client := &http.Client{Timeout: timeout, Transport: &http.Transport{
		MaxIdleConns: 256, MaxIdleConnsPerHost: 256, DisableCompression: true, // connections stay open, as Patchbay's do
	}}
	return func(j *job) (json.RawMessage, error) {
		var config struct{ Index string }
		var params struct{ Documents []json.RawMessage }
		if err := errors.Join(json.Unmarshal(j.Config, &config), json.Unmarshal(j.Params, &params)); err != nil {
			return nil, err
		}
		var body bytes.Buffer
		for _, document := range params.Documents {
			body.WriteString(`{"index":{"op_type":"create"}}` + "\n")
			body.Write(document)
			body.WriteByte('\n')
		}
		response, err := client.Post(cluster+"/"+config.Index+"/_bulk?refresh=false", "application/x-ndjson", &body)
		if err != nil {
			return nil, err
		}
		defer response.Body.Close()
		answer, err := io.ReadAll(response.Body)
		if err != nil {
			return nil, err
		}
		var told struct{ Errors bool }
		if err := json.Unmarshal(answer, &told); err != nil {
			return nil, err
		}
		if told.Errors || response.StatusCode != http.StatusOK {
			return nil, errors.New("the cluster refused it")
		}
		return answer, nil
	}
}
