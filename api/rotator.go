package api

import (
	"context"
	"errors"
	"fmt"

	"patchbay.dev/api/store"
	"patchbay.dev/shared/seal"
	"patchbay.dev/shared/wire"
)

// What is read of the database at once, and sent to a worker at once.
const (
	rotateCount = 100
	rotateBytes = 1 << 20
	// Params may be large, up to PATCHBAY_MAX_BODY each.
	deadLetterCount = 16
)

// rotator is one rotation. Its batches gather connectors by type.
type rotator struct {
	*server
	key     seal.KeyID
	batches map[string]*batch
	body    rotationBody
}

// sealedConnector is a connector with secrets, stored or preconfigured, or one with a
// dead letter, whose params are sealed.
type sealedConnector struct {
	space, id, typeID string
	wire.Sealed
	// replace puts secrets in the place of those here, and reports whether it did:
	// someone else may have replaced them first.
	replace func(secrets []byte) (bool, error)
}

// batch gathers what is sent to the workers of a type.
type batch struct {
	unconfirmed error // why nothing is sent, and a prune would not be safe
	connectors  []sealedConnector
	bytes       int
}

// run returns an error if it could not go through all connectors.
func (r *rotator) run(ctx context.Context) error {
	for last := ""; ; {
		page, err := r.store.Sealed(ctx, last, rotateCount, rotateBytes)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			break
		}
		for _, stored := range page {
			if err := r.add(ctx, r.stored(stored)); err != nil {
				return err
			}
		}
		last = page[len(page)-1].ID
	}
	for _, p := range r.preconfigured {
		if p.Secrets() == nil {
			continue
		}
		if err := r.add(ctx, p.sealed()); err != nil {
			return err
		}
	}
	if err := r.addDeadLetters(ctx); err != nil {
		return err
	}
	for typeID := range r.batches {
		if err := r.send(ctx, typeID); err != nil {
			return err
		}
	}
	return nil
}

// addDeadLetters adds the params of executions that may be replayed.
func (r *rotator) addDeadLetters(ctx context.Context) error {
	r.ledger.AwaitSealed() // to the key from before
	for last := int64(0); ; {
		page, err := r.ledger.SealedParams(ctx, last, deadLetterCount)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, dead := range page {
			binding := seal.ParamsBinding(dead.Space, dead.ConnectorID, dead.Type, dead.ID)
			err := r.add(ctx, sealedConnector{dead.Space, dead.ConnectorID, dead.Type, wire.Sealed{Binding: binding.Bytes(), Secrets: dead.Params},
				func(params []byte) (bool, error) {
					return r.ledger.ReplaceParams(context.Background(), dead.Seq, dead.Params, params)
				}})
			if err != nil {
				return err
			}
		}
		last = page[len(page)-1].Seq
	}
}

func (r *rotator) stored(c *store.Connector) sealedConnector {
	binding := seal.Binding{Space: c.Space, ConnectorID: c.ID, Type: c.Type, Config: c.Config}
	id, before := c.ID, c.Secrets // and not c, which may have a large config
	return sealedConnector{c.Space, id, c.Type, wire.Sealed{Binding: binding.Bytes(), Secrets: before},
		func(secrets []byte) (bool, error) {
			// Without the caller's context: what is sealed is worth keeping.
			return r.store.ReplaceSecrets(context.Background(), id, before, secrets)
		}}
}

func (p *preconfigured) sealed() sealedConnector {
	before := p.secrets.Load()
	binding := seal.Binding{Space: seal.EverySpace, ConnectorID: p.ID, Type: p.Type, Config: p.Config}
	return sealedConnector{seal.EverySpace, p.ID, p.Type, wire.Sealed{Binding: binding.Bytes(), Secrets: *before},
		func(secrets []byte) (bool, error) { return p.secrets.CompareAndSwap(before, &secrets), nil }}
}

// add counts a connector and, if it is not sealed to the key, puts it into the
// batch of its type, which leaves when it is full.
func (r *rotator) add(ctx context.Context, c sealedConnector) error {
	r.body.Total++
	b := r.batches[c.typeID]
	if b == nil {
		b = &batch{unconfirmed: r.confirm(ctx, c.typeID)}
		if b.unconfirmed != nil && ctx.Err() != nil {
			return b.unconfirmed
		}
		r.batches[c.typeID] = b
	}
	id, err := seal.KeyOf(c.Secrets)
	if err = errors.Join(err, b.unconfirmed); err != nil {
		r.fail(c, err)
		return nil
	}
	if id == r.key {
		return nil
	}
	size := 2 * (len(c.Binding) + len(c.Secrets)) // more than in JSON
	// Half of what the broker takes, so that there is room for what errors say.
	if limit := min(rotateBytes, int(r.nc.MaxPayload()/2)); len(b.connectors) == rotateCount || b.bytes+size > limit {
		if err := r.send(ctx, c.typeID); err != nil {
			return err
		}
	}
	b.connectors = append(b.connectors, c)
	b.bytes += size
	return nil
}

// confirm asks a worker of a type whether the key is its newest. If it is not, what
// is sealed to the key opens no more once the workers' older keys are removed.
func (r *rotator) confirm(ctx context.Context, typeID string) error {
	newest, err := r.dispatch.NewestKey(ctx, typeID, r.config.ExecuteTimeout)
	if err == nil && newest == "" {
		err = errors.New("the worker tells no key: set PATCHBAY_SEAL_KEY_FILE for it, or give it the version of the api")
	}
	if err != nil {
		return fmt.Errorf("no worker to confirm that a prune is safe: %w", err)
	}
	if newest != r.key.String() {
		return r.otherKey(newest)
	}
	return nil
}

func (r *rotator) otherKey(newest string) error {
	return fmt.Errorf("the newest key of the worker is %s and the key of the api is %s: "+
		"give every worker the same keys, publish the newest of them to the api (worker keys publish), and rotate again", newest, r.key)
}

// send has a batch sealed anew. Its error says that nobody waits for more.
func (r *rotator) send(ctx context.Context, typeID string) error {
	b := r.batches[typeID]
	if len(b.connectors) == 0 {
		return nil
	}
	connectors := b.connectors
	b.connectors, b.bytes = nil, 0
	items := make([]wire.Sealed, len(connectors))
	for i, c := range connectors {
		items[i] = c.Sealed
	}
	results, err := r.dispatch.Reseal(ctx, typeID, items, r.config.ExecuteTimeout)
	if err != nil && ctx.Err() != nil {
		return err
	}
	for i, c := range connectors {
		if err != nil {
			r.fail(c, err)
			continue
		}
		r.take(c, results[i])
	}
	return nil
}

// take keeps what a worker made of a connector's secrets.
func (r *rotator) take(c sealedConnector, result wire.Resealed) {
	if result.Error != "" {
		r.fail(c, errors.New(result.Error))
		return
	}
	id, err := seal.KeyOf(result.Secrets)
	if err == nil && id != r.key {
		err = r.otherKey(id.String())
	}
	// Sealing keeps the length. Whatever else says that it is secrets would destroy
	// those that are there.
	if err == nil && len(result.Secrets) != len(c.Secrets) {
		err = fmt.Errorf("the worker's answer is no secrets: it is of %d bytes in the place of %d", len(result.Secrets), len(c.Secrets))
	}
	replaced := false
	if err == nil {
		replaced, err = c.replace(result.Secrets)
	}
	if err != nil {
		r.fail(c, err)
		return
	}
	if replaced { // or it was updated, which seals to the key too, or deleted
		r.body.Successful++
	}
}

func (r *rotator) fail(c sealedConnector, err error) {
	r.body.Failed++
	r.log.Error("secrets were not rotated", "space", c.space, "connector", c.id, "type", c.typeID, "reason", err)
}
