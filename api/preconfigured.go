package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync/atomic"

	"sigs.k8s.io/yaml"

	"patchbay.dev/shared/schema"
	"patchbay.dev/shared/seal"
)

// preconfigured is a connector from the configuration file: in every space,
// read-only, its config not shown unless it says so.
type preconfigured struct {
	ID, Type, Name string
	Config         json.RawMessage
	ExposeConfig   bool

	secrets atomic.Pointer[[]byte] // see Secrets
}

// Secrets returns the sealed secrets, nil for none. A rotation replaces them while
// requests carry them: the bytes themselves never change.
func (p *preconfigured) Secrets() []byte { return *p.secrets.Load() }

var quoted = regexp.MustCompile("`[^`]*`|'[^']*'|\"[^\"]*\"")

type configFile struct {
	Preconfigured schema.Record `json:"preconfigured" default:"{}"`
}

// preconfiguredEntry is one entry of the file, with Kibana's keys.
type preconfiguredEntry struct {
	Name         connectorName `json:"name" blank:"no"`
	TypeID       string        `json:"actionTypeId" blank:"no"`
	Config       schema.Record `json:"config" default:"{}"`
	Secrets      schema.Record `json:"secrets" default:"{}"`
	ExposeConfig bool          `json:"exposeConfig" default:"false"`
}

// loadPreconfigured reads the configuration file; an error names the file, the
// connector and the field. No file name means no connectors. Secrets like
// "${JIRA_TOKEN}" come from the environment.
func (k keeper) loadPreconfigured(file string) (map[string]*preconfigured, error) {
	if file == "" {
		return nil, nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("PATCHBAY_CONFIG: %w", err)
	}
	all, err := k.parsePreconfigured(data)
	if err != nil {
		return nil, fmt.Errorf("PATCHBAY_CONFIG: %s: %w", file, err)
	}
	return all, nil
}

func (k keeper) parsePreconfigured(data []byte) (map[string]*preconfigured, error) {
	data, err := yaml.YAMLToJSONStrict(data)
	if err != nil && !strings.Contains(err.Error(), "already set in map") { // that one quotes a key
		err = errors.New(quoted.ReplaceAllString(err.Error(), "…")) // and others a value, perhaps a secret
	}
	if err != nil {
		return nil, err
	}
	if err := schema.Check(data, schema.MaxDepth); err != nil {
		return nil, err
	}
	if string(data) == "null" {
		return nil, nil // nothing but comments
	}
	var f configFile
	if err := schema.Decode(data, &f); err != nil {
		return nil, err
	}
	all := make(map[string]*preconfigured)
	for id, raw := range schema.Members(f.Preconfigured) {
		if !connectorID.MatchString(id) {
			return nil, fmt.Errorf("[preconfigured.%s]: %s", id, idRule)
		}
		if all[id], err = k.parseEntry(id, raw); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (k keeper) parseEntry(id string, raw []byte) (*preconfigured, error) {
	path := "preconfigured." + id
	var entry preconfiguredEntry
	err := schema.Decode(raw, &entry)
	if refusal, ok := errors.AsType[*schema.Error](err); ok {
		return nil, errors.New(refusal.In(path))
	}
	if err != nil {
		return nil, err
	}
	p := &preconfigured{ID: id, Type: entry.TypeID, Name: string(entry.Name), ExposeConfig: entry.ExposeConfig}
	secrets, err := k.resolve(entry.Secrets)
	var sealed []byte
	if err == nil {
		p.Config, sealed, err = k.keep(seal.EverySpace, id, entry.TypeID, entry.Config, secrets)
	}
	p.secrets.Store(&sealed)
	if err != nil {
		return nil, fmt.Errorf("[%s]: %w", path, err)
	}
	return p, nil
}
