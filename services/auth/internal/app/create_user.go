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
func (a *App) CreateUser(ctx context.Context, r *contract.CreateUserRequest) (*contract.UserDetail, error) {
	tenant, err := a.tenant(ctx, r.TenantID)
	if err != nil {
		return nil, err
	}
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
	var user db.AuthUser
	var member contract.Member
	err = a.change(ctx, tenant, func(q *db.Queries) ([]events.Event, error) {
		user, err = q.CreateUser(ctx, db.CreateUserParams{
			ID: kit.NewID(), TenantID: &tenant, Email: email, Username: username, Name: r.Name, PasswordHash: hash,
		})
		if err != nil {
			return nil, err
		}
		var changed events.Event
		member, changed, err = a.userChanged(ctx, q, user.ID)
		return []events.Event{changed}, err
	})
	if _, duplicate := database.Duplicate(err); duplicate {
		return nil, &contract.Error{Code: contract.AlreadyExists, Field: "email", Message: "a user of this address exists"}
	}
	if err != nil {
		return nil, err
	}
	a.applied(member)
	return &contract.UserDetail{
		ID: user.ID, TenantID: value(user.TenantID), Email: user.Email, Username: user.Username, Name: user.Name,
		Status: "active", CreatedAt: user.CreatedAt, Revision: user.Revision,
	}, nil
}
