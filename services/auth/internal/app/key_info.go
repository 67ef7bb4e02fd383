package app

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// AnswerKeyInfo answers auth.key_info.
func (a *App) AnswerKeyInfo(ctx context.Context, r *contract.KeyInfoRequest) (*contract.KeyInfoResponse, error) {
	return a.KeyInfo(ctx, r.ID)
}

// KeyInfo implements kit.KeySource for this service itself. It tells of ended
// keys too: whether a key is valid is another question.
func (a *App) KeyInfo(ctx context.Context, id string) (*contract.KeyInfoResponse, error) {
	var row db.AuthApiKey
	err := a.read(ctx, func(q *db.Queries) (err error) {
		row, err = q.KeyByID(ctx, id)
		return err
	})
	if database.Missing(err) {
		return nil, errNoKey
	}
	if err != nil {
		return nil, err
	}
	return &contract.KeyInfoResponse{ID: row.ID, Module: row.Module, Tenants: row.Tenants}, nil
}
