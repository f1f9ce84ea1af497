package pool

import (
	"patchbay.dev/shared/connector"
	"patchbay.dev/shared/schema"
	"patchbay.dev/shared/wire"
)

// openParams opens the sealed params of a request and puts them where the others
// are. Nobody has looked at them yet: whoever has the public key can seal anything.
func (p *Pool) openParams(req *wire.Request) error {
	params, err := p.options.OpenParams(req)
	if err != nil {
		return sealed(err)
	}
	if err := schema.Check(params, schema.MaxDepth); err != nil {
		return invalid(&connector.Invalid{Part: "params", Err: err}, wire.User)
	}
	req.Params = params
	return nil
}
