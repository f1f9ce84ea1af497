package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"

	"patchbay.dev/shared/connector"
	"patchbay.dev/shared/schema"
	"patchbay.dev/shared/seal"
	"patchbay.dev/shared/setting"
)

// keeper turns the config and secrets of a connector, as someone wrote them,
// into what is kept: checked, defaults filled in, secrets sealed.
type keeper struct {
	hosts connector.Hosts
	key   *setting.File[*seal.PublicKey] // nil: connectors with secrets are refused
	log   *slog.Logger                   // told when the key's file cannot be read any more
	// lookup returns an environment variable, for preconfigured secrets; nil for an
	// empty environment.
	lookup func(string) (string, bool)
}

// errNoKey tells the operator what to do before a secret can be kept.
var errNoKey = errors.New("secrets cannot be kept without a key to seal them to: set PATCHBAY_SEAL_PUBLIC_KEY_FILE for the api")

// errKeyFile says that the file of the key has changed and cannot be read: what the
// workers' key is by now, nobody here knows.
var errKeyFile = errors.New("the current key is not known: PATCHBAY_SEAL_PUBLIC_KEY_FILE (in the all-in-one PATCHBAY_SEAL_KEY_FILE)")

// keep returns the config and the sealed secrets, nil for a type without any. The
// error is a *[problem], a *[connector.Invalid] or [errNoKey].
func (k keeper) keep(space, id, typeID string, config, secrets schema.Record) (json.RawMessage, []byte, error) {
	definition, err := connector.Find(typeID)
	if errors.Is(err, connector.ErrUnknown) {
		return nil, nil, unknownType(typeID)
	}
	if err != nil {
		return nil, nil, err
	}
	normalConfig, normalSecrets, err := definition.Normalize(config, secrets, k.hosts)
	if err != nil {
		return nil, nil, err
	}
	if !definition.HasSecrets() {
		return normalConfig, nil, nil
	}
	if k.key == nil {
		return nil, nil, errNoKey
	}
	binding := seal.Binding{Space: space, ConnectorID: id, Type: typeID, Config: normalConfig}
	sealed, err := k.logged(k.key.Get()).Seal(normalSecrets, binding)
	return normalConfig, sealed, err
}

func (k keeper) logged(key *seal.PublicKey, err error) *seal.PublicKey {
	if err != nil {
		k.log.Error("public key of the seal cannot be read", "error", err)
	}
	return key
}

// reference is a secret that stands in the environment: "${JIRA_TOKEN}".
var reference = regexp.MustCompile(`^\$\{([A-Za-z_][A-Za-z0-9_]*)\}$`)

// resolve replaces the members of secrets that refer to the environment.
func (k keeper) resolve(secrets schema.Record) (schema.Record, error) {
	resolved := make(map[string]any)
	for name, raw := range schema.Members(secrets) {
		resolved[name] = json.RawMessage(raw)
		var text string
		if json.Unmarshal(raw, &text) != nil {
			continue
		}
		found := reference.FindStringSubmatch(text)
		if found == nil && strings.Contains(text, "${") {
			return nil, fmt.Errorf("[secrets.%s]: a variable of the environment must stand alone, as in ${JIRA_TOKEN}", name)
		}
		if found != nil {
			value, ok := "", false
			if k.lookup != nil {
				value, ok = k.lookup(found[1])
			}
			if !ok {
				return nil, fmt.Errorf("[secrets.%s]: the environment has no %s", name, found[1])
			}
			resolved[name] = value
		}
	}
	data, err := json.Marshal(resolved)
	return data, err
}
