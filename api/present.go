package api

import (
	"encoding/json"

	"patchbay.dev/api/store"
	"patchbay.dev/shared/connector"
	"patchbay.dev/shared/wire"
)

// dialect is the spelling of keys: Kibana's current routes use snake_case, its
// deprecated ones camelCase.
type dialect int

const (
	modern dialect = iota
	legacy
)

// connectorBody is a connector as it is answered: it has no field for secrets.
// Source: Kibana 8.19.
type connectorBody struct {
	ID                string          `json:"id"`
	Name              string          `json:"name"`
	TypeID            string          `json:"connector_type_id"`
	Config            json.RawMessage `json:"config,omitempty"`             // not of preconfigured ones
	IsMissingSecrets  *bool           `json:"is_missing_secrets,omitempty"` // not of preconfigured ones
	IsPreconfigured   bool            `json:"is_preconfigured"`
	IsDeprecated      bool            `json:"is_deprecated"`
	IsSystemAction    bool            `json:"is_system_action"`
	ReferencedByCount *int            `json:"referenced_by_count,omitempty"` // only in lists
}

type legacyConnectorBody struct {
	ID                string          `json:"id"`
	Name              string          `json:"name"`
	TypeID            string          `json:"actionTypeId"`
	Config            json.RawMessage `json:"config,omitempty"`
	IsMissingSecrets  *bool           `json:"isMissingSecrets,omitempty"`
	IsPreconfigured   bool            `json:"isPreconfigured"`
	IsDeprecated      bool            `json:"isDeprecated"`
	IsSystemAction    bool            `json:"isSystemAction"`
	ReferencedByCount *int            `json:"referencedByCount,omitempty"`
}

func (d dialect) connector(b connectorBody) any {
	if d == legacy {
		return legacyConnectorBody(b)
	}
	return b
}

func present(c *store.Connector) connectorBody {
	return connectorBody{ID: c.ID, Name: c.Name, TypeID: c.Type, Config: c.Config, IsMissingSecrets: new(bool)}
}

func (p *preconfigured) present() connectorBody {
	body := connectorBody{ID: p.ID, Name: p.Name, TypeID: p.Type, IsPreconfigured: true}
	if p.ExposeConfig {
		body.Config = p.Config
	}
	return body
}

// typeBody is a connector type as it is answered.
type typeBody struct {
	ID                 string   `json:"id"`
	Name               string   `json:"name"`
	Enabled            bool     `json:"enabled"`
	EnabledInConfig    bool     `json:"enabled_in_config"`
	EnabledInLicense   bool     `json:"enabled_in_license"`
	MinimumLicense     string   `json:"minimum_license_required"`
	SupportedFeatures  []string `json:"supported_feature_ids"`
	IsSystemActionType bool     `json:"is_system_action_type"`
}

type legacyTypeBody struct {
	ID                 string   `json:"id"`
	Name               string   `json:"name"`
	Enabled            bool     `json:"enabled"`
	EnabledInConfig    bool     `json:"enabledInConfig"`
	EnabledInLicense   bool     `json:"enabledInLicense"`
	MinimumLicense     string   `json:"minimumLicenseRequired"`
	SupportedFeatures  []string `json:"supportedFeatureIds"`
	IsSystemActionType bool     `json:"isSystemActionType"`
}

func (d dialect) connectorType(a connector.About) any {
	body := typeBody{
		ID: a.ID, Name: a.Name,
		Enabled: true, EnabledInConfig: true, EnabledInLicense: true,
		MinimumLicense: a.License, SupportedFeatures: a.Features,
	}
	if d == legacy {
		return legacyTypeBody(body)
	}
	return body
}

// resultBody is what came of an execution that failed. errorSource is camelCase in Kibana's
// current routes too.
type resultBody struct {
	ConnectorID    string      `json:"connector_id"`
	Status         string      `json:"status"`
	Message        string      `json:"message,omitempty"`
	ServiceMessage string      `json:"service_message,omitempty"`
	Retry          wire.Retry  `json:"retry,omitzero"`
	ErrorSource    wire.Source `json:"errorSource,omitempty"`
}

type legacyResultBody struct {
	ConnectorID    string      `json:"actionId"`
	Status         string      `json:"status"`
	Message        string      `json:"message,omitempty"`
	ServiceMessage string      `json:"serviceMessage,omitempty"`
	Retry          wire.Retry  `json:"retry,omitzero"`
	ErrorSource    wire.Source `json:"errorSource,omitempty"`
}

// appendOK appends the result of an execution that went well. Its data were checked
// when they came, and encoding/json would look through them once more.
func (d dialect) appendOK(b []byte, connectorID string, data json.RawMessage) []byte {
	key := `{"connector_id":`
	if d == legacy {
		key = `{"actionId":`
	}
	b = wire.AppendString(append(b, key...), connectorID)
	b = append(b, `,"status":"ok"`...)
	if len(data) > 0 {
		b = append(append(b, `,"data":`...), data...)
	}
	return append(b, '}')
}

func (d dialect) failure(connectorID string, f *wire.Failure) any {
	body := resultBody{
		ConnectorID: connectorID, Status: "error",
		Message: f.Message, ServiceMessage: f.ServiceMessage, Retry: f.Retry, ErrorSource: f.Source,
	}
	if d == legacy {
		return legacyResultBody(body)
	}
	return body
}
