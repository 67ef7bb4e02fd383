package app

import (
	"bytes"
	"context"
	"encoding/base64"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// ListUsers answers auth.list_users.
func (a *App) ListUsers(ctx context.Context, r *contract.ListUsersRequest) (*contract.ListUsersResponse, error) {
	tenant, err := a.listed(ctx, r)
	if err != nil {
		return nil, err
	}
	limit := r.Limit
	if limit == 0 {
		limit = 50
	}
	params := db.ListUsersParams{
		TenantID: nullable(tenant), Status: r.Status, Patterns: patterns(r.Search), AfterID: uuid.Nil.String(), Page: int32(limit) + 1,
	}
	if r.Cursor != "" {
		if params.AfterEmail, params.AfterID, err = readUserCursor(r.Cursor); err != nil {
			return nil, err
		}
	}
	response := &contract.ListUsersResponse{Items: []contract.UserDetail{}}
	err = a.DB.Read(ctx, scopeOf(tenant), func(tx pgx.Tx) error {
		rows, err := db.New(tx).ListUsers(ctx, params)
		for _, row := range rows[:min(len(rows), limit)] {
			response.Items = append(response.Items, detailOf(ctx, row))
		}
		if len(rows) > limit {
			last := rows[limit-1]
			response.NextCursor = base64.RawURLEncoding.EncodeToString([]byte(last.ID + last.Email))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return response, nil
}

// listed is whose people are listed: a tenant's, or with an empty tenant the
// platform administrators.
func (a *App) listed(ctx context.Context, r *contract.ListUsersRequest) (string, error) {
	if !r.Platform {
		return a.Directory.ActingTenant(ctx, r.TenantID)
	}
	if caller := kit.UserFrom(ctx); caller.ID != "" && !caller.Platform {
		return "", contract.Errorf(contract.PermissionDenied, "only platform administrators list platform administrators")
	}
	return "", nil
}

// readUserCursor takes apart what ListUsers gave out: the last id and address.
func readUserCursor(cursor string) (email, id string, err error) {
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	const length = 36
	if err == nil && len(raw) > length && utf8.Valid(raw) && !bytes.ContainsRune(raw, 0) {
		if parsed, parseErr := uuid.ParseBytes(raw[:length]); parseErr == nil {
			return string(raw[length:]), parsed.String(), nil
		}
	}
	return "", "", contract.Invalid("cursor", "is not a cursor that this operation gave out")
}
