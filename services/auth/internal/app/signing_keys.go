package app

import (
	"context"
	"errors"

	"github.com/buildify/core/pkg/kit/token"
)

// SigningKeys are the keys that this replica verifies with, and signs with. It
// implements revocation.Keys, whose events keep them.
type SigningKeys struct {
	*token.KeySet
	Signer *Signer
}

// Refresh implements revocation.Keys.
func (k SigningKeys) Refresh(ctx context.Context) error {
	return errors.Join(k.KeySet.Refresh(ctx), k.Signer.Reload(ctx))
}
