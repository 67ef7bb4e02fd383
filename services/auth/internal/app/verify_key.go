package app

import (
	"context"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/auth/internal/store/db"
)

var errKey = &contract.Error{
	Code: contract.Unauthenticated, Field: contract.HeaderAPIKey, Message: "the API key is not valid",
}

// VerifyKey answers auth.verify_key. One answer stands for malformed, unknown,
// wrong, of another environment, expired, revoked, of a suspended module and
// used from where it must not be: a key that is bound to networks is refused where the address is not
// known.
func (a *App) VerifyKey(ctx context.Context, r *contract.VerifyKeyRequest) (*contract.VerifyKeyResponse, error) {
	key, err := contract.ParseAPIKey(r.APIKey)
	if err != nil {
		return nil, errKey
	}
	var row db.AuthApiKey
	err = a.read(ctx, func(q *db.Queries) (err error) {
		row, err = q.KeyByID(ctx, key.ID)
		return err
	})
	if err != nil && !database.Missing(err) {
		return nil, err
	}
	now := time.Now()
	// An unknown id compares too, against nothing. The environment is part of
	// what is compared.
	match := a.Box.Matches(key.Reveal(), row.SecretHmac)
	if !match || keyStatus(row, now) != "active" || !usableFrom(row.Cidrs, r.Address) || a.Directory.Suspended(row.Module) {
		return nil, errKey
	}
	a.keyUses.record(row.ID, keyUse{now, r.Address})
	operations := row.Operations
	if len(operations) == 0 {
		operations = contract.ModuleOperations()
	}
	return &contract.VerifyKeyResponse{
		ID: row.ID, Module: row.Module, Operations: operations, Tenants: row.Tenants, CIDRs: row.Cidrs,
		RateClass: row.RateClass, ExpiresAt: row.ExpiresAt,
	}, nil
}
