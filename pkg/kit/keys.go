package kit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/buildify/core/pkg/contract"
)

// KeySource tells what never changes of an API key. Implementations answer
// not_found for a key that never was, and are safe for concurrent use.
type KeySource interface {
	KeyInfo(ctx context.Context, id string) (*contract.KeyInfoResponse, error)
}

// RemoteKeys asks service auth.
type RemoteKeys struct{ Client *Client }

// KeyInfo implements KeySource.
func (r RemoteKeys) KeyInfo(ctx context.Context, id string) (*contract.KeyInfoResponse, error) {
	return Call(ctx, r.Client, contract.KeyInfo, &contract.KeyInfoRequest{ID: id})
}

// keyTenants remembers which tenants keys are restricted to. That never
// changes, so nothing has to be forgotten; whether a key is still valid is for
// those to say who let it in.
type keyTenants struct {
	source KeySource
	known  sync.Map // key id → []string
	count  atomic.Int64
}

// maxKeys bounds the memory.
const maxKeys = 100_000

// cached completes the principal of a key seen before. It never blocks.
func (k *keyTenants) cached(p *Principal) bool {
	tenants, ok := k.known.Load(p.KeyID)
	if ok {
		p.Tenants, _ = tenants.([]string)
	}
	return ok
}

// complete asks the source about a key not seen before.
func (k *keyTenants) complete(ctx context.Context, p *Principal) error {
	if k.cached(p) {
		return nil
	}
	info, err := k.source.KeyInfo(ctx, p.KeyID)
	switch {
	case errors.Is(err, &contract.Error{Code: contract.NotFound}):
		return &contract.Error{Code: contract.Unauthenticated, Field: contract.HeaderAPIKey, Message: "the API key is not valid"}
	case err != nil:
		return fmt.Errorf("key of the request: %w", err)
	case info.Module != p.Module:
		return fmt.Errorf("key %s is of module %q", p.KeyID, info.Module)
	}
	if k.count.Add(1) > maxKeys {
		k.known.Clear()
		k.count.Store(1)
	}
	p.Tenants = info.Tenants
	k.known.Store(p.KeyID, info.Tenants)
	return nil
}
