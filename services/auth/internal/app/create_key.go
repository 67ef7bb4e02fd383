package app

import (
	"context"
	"encoding/base32"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/auth/internal/secret"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// CreateKey answers auth.create_key.
func (a *App) CreateKey(ctx context.Context, r *contract.CreateKeyRequest) (*contract.CreateKeyResponse, error) {
	for _, name := range r.Operations {
		if !slices.Contains(contract.ModuleOperations(), name) {
			return nil, contract.Invalid("operations", "%q is no operation that modules may call", name)
		}
	}
	if r.ExpiresAt != nil && !r.ExpiresAt.After(time.Now()) {
		return nil, contract.Invalid("expires_at", "must be in the future")
	}
	random := strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret.Random(10)))
	key := contract.NewAPIKey(r.Environment, r.Module+"-"+random, hex.EncodeToString(secret.Random(32)))
	err := a.DB.In(ctx, database.Everything, func(tx pgx.Tx) error {
		return db.New(tx).CreateKey(ctx, db.CreateKeyParams{
			ID: key.ID, Module: r.Module, Environment: r.Environment, SecretHmac: a.Box.MAC(key.Reveal()),
			Operations: append([]string{}, r.Operations...), ExpiresAt: r.ExpiresAt,
		})
	})
	if err != nil {
		return nil, err
	}
	return &contract.CreateKeyResponse{ID: key.ID, APIKey: key.Reveal()}, nil
}
