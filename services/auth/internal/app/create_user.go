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
	home, err := a.homeOf(ctx, r)
	if err != nil {
		return nil, err
	}
	email, err := newAddress(r.Email)
	if err != nil {
		return nil, err
	}
	wanted := db.AuthUser{ID: kit.NewID(), TenantID: nullable(home), Email: email, Username: strings.TrimSpace(r.Username), Name: strings.TrimSpace(r.Name)}
	if wanted.Username == "" {
		wanted.Username, _, _ = strings.Cut(email, "@")
	}
	if r.Password != "" {
		if wanted.PasswordHash, err = a.newPassword(ctx, wanted, "password", r.Password); err != nil {
			return nil, err
		}
	}
	var detail *contract.UserDetail
	var member contract.Member
	err = a.change(ctx, scopeOf(home), func(q *db.Queries) ([]events.Event, error) {
		if home != "" {
			if err := a.withinUsers(ctx, q, home); err != nil {
				return nil, err
			}
		}
		user, err := q.CreateUser(ctx, db.CreateUserParams{
			ID: wanted.ID, TenantID: wanted.TenantID, Platform: r.Platform, Email: email, Username: wanted.Username, Name: wanted.Name,
			PasswordHash: wanted.PasswordHash, MustChangePassword: r.MustChangePassword,
		})
		if err != nil {
			return nil, err
		}
		if r.Password == "" {
			if err := a.sendLink(ctx, q, user, "invite"); err != nil {
				return nil, err
			}
		}
		var told []events.Event
		if member, told, err = a.administered(ctx, q, user.ID, "created"); err != nil {
			return nil, err
		}
		detail, err = userDetail(ctx, q, user.ID)
		return told, err
	})
	if err != nil {
		return nil, duplicateAddress(err)
	}
	a.applied(member)
	return detail, nil
}

// homeOf is the home tenant of a user to be made, empty for a platform
// administrator.
func (a *App) homeOf(ctx context.Context, r *contract.CreateUserRequest) (string, error) {
	caller := kit.UserFrom(ctx)
	if r.Platform {
		if caller.ID != "" && !caller.Platform {
			return "", contract.Errorf(contract.PermissionDenied, "only platform administrators make platform administrators")
		}
		if r.TenantID != "" {
			return "", contract.Invalid("tenant_id", "a platform administrator has no home tenant; leave it out")
		}
		return "", nil
	}
	tenant, err := a.Directory.ActingTenant(ctx, r.TenantID)
	if err != nil {
		return "", err
	}
	return tenant, a.Directory.AwaitTenant(ctx, tenant)
}

// scopeOf is the scope in which a row of the tenant is seen.
func scopeOf(tenant string) string {
	if tenant == "" {
		return database.Everything
	}
	return tenant
}
