package worker

import (
	"errors"
	"fmt"

	"patchbay.dev/shared/seal"
	"patchbay.dev/shared/wire"
)

// openParams returns the sealed params of a request, or an error that the caller
// may read. They are not remembered: each is opened for one attempt.
func (o *opener) openParams(req *wire.Request) ([]byte, error) {
	if o.file == nil {
		return nil, errNoRing
	}
	binding := seal.ParamsBinding(req.Space, req.Connector.ID, req.Connector.Type, req.ExecutionID)
	params, err := o.use(o.file.Get).Open(req.SealedParams, binding)
	if _, ok := errors.AsType[*seal.UnknownKeyError](err); ok {
		params, err = o.look().Open(req.SealedParams, binding)
	}
	switch {
	case errors.Is(err, seal.ErrForeign):
		return nil, errors.New("the sealed params do not belong to this execution")
	case err != nil:
		return nil, fmt.Errorf("open the params: %w", err)
	default:
		return params, nil
	}
}
