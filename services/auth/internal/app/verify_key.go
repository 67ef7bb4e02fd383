package app

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/auth/internal/store/db"
)

var errKey = &contract.Error{
	Code: contract.Unauthenticated, Field: contract.HeaderAPIKey, Message: "the API key is not valid",
}

// VerifyKey answers auth.verify_key. One answer stands for malformed, unknown,
// wrong, expired and revoked.
func (a *App) VerifyKey(ctx context.Context, r *contract.VerifyKeyRequest) (*contract.VerifyKeyResponse, error) {
	key, err := contract.ParseAPIKey(r.APIKey)
	if err != nil {
		return nil, errKey
	}
	var row db.KeyByIDRow
	err = a.DB.Read(ctx, database.Everything, func(tx pgx.Tx) (err error) {
		row, err = db.New(tx).KeyByID(ctx, key.ID)
		return err
	})
	if err != nil && !database.Missing(err) {
		return nil, err
	}
	// An unknown id compares too, against nothing.
	match := a.Box.Matches(key.Reveal(), row.SecretHmac)
	if !match || row.RevokedAt != nil || (row.ExpiresAt != nil && !row.ExpiresAt.After(time.Now())) {
		return nil, errKey
	}
	operations := row.Operations
	if len(operations) == 0 {
		operations = contract.ModuleOperations()
	}
	return &contract.VerifyKeyResponse{ID: row.ID, Module: row.Module, Operations: operations, ExpiresAt: row.ExpiresAt}, nil
}

// AnswerKeyInfo answers auth.key_info.
func (a *App) AnswerKeyInfo(ctx context.Context, r *contract.KeyInfoRequest) (*contract.KeyInfoResponse, error) {
	return a.KeyInfo(ctx, r.ID)
}

// KeyInfo implements kit.KeySource for this service itself. [agent D]
func (a *App) KeyInfo(_ context.Context, id string) (*contract.KeyInfoResponse, error) {
	module, ok := contract.KeyModule(id)
	if !ok {
		return nil, contract.Missing("API key")
	}
	return &contract.KeyInfoResponse{ID: id, Module: module}, nil
}
