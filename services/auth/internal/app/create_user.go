package app

import (
	"context"
	"strings"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// CreateUser answers auth.create_user.
func (a *App) CreateUser(ctx context.Context, r *contract.CreateUserRequest) (*contract.CreateUserResponse, error) {
	tenant := kit.UUID(r.TenantID)
	if err := a.Directory.AwaitTenant(ctx, tenant); err != nil {
		return nil, err
	}
	email := normaliseEmail(r.Email)
	if strings.ContainsAny(email, "<>\" ") {
		return nil, contract.Invalid("email", "must be a bare address such as anna@example.com")
	}
	hash, err := a.Hasher.Hash(ctx, r.Password)
	if err != nil {
		return nil, busy(err)
	}
	username := r.Username
	if username == "" {
		username, _, _ = strings.Cut(email, "@")
	}
	member := contract.Member{UserID: kit.NewID(), TenantID: tenant, Active: true}
	err = a.change(ctx, tenant, func(q *db.Queries) (events.Event, error) {
		member.Revision, err = q.CreateUser(ctx, db.CreateUserParams{
			ID: member.UserID, TenantID: tenant, Email: email, Username: username, PasswordHash: hash,
		})
		if err != nil {
			return events.Event{}, err
		}
		return events.New(events.UserChanged, tenant, member.Revision, member)
	})
	if _, duplicate := database.Duplicate(err); duplicate {
		return nil, &contract.Error{Code: contract.AlreadyExists, Field: "email", Message: "a user of this address exists"}
	}
	if err != nil {
		return nil, err
	}
	a.Directory.PutMember(member)
	return &contract.CreateUserResponse{ID: member.UserID}, nil
}
