package pool

import "patchbay.dev/shared/wire"

// openParams opens the sealed params of a request and puts them where the others
// are. Nobody has looked at either yet: the type's contract does.
func (p *Pool) openParams(req *wire.Request) error {
	params, err := p.options.OpenParams(req)
	if err != nil {
		return sealed(err)
	}
	req.Params = params
	return nil
}
