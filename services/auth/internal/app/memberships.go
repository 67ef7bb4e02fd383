package app

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// AddMembership answers auth.add_membership.
func (a *App) AddMembership(ctx context.Context, r *contract.MembershipRequest) (*contract.UserDetail, error) {
	tenant := kit.UUID(r.TenantID)
	if err := overTenants(ctx); err != nil {
		return nil, err
	}
	if err := a.Directory.AwaitTenant(ctx, tenant); err != nil {
		return nil, err
	}
	return a.administerIn(ctx, database.Everything, r.UserID, "member_added",
		func(q *db.Queries, user db.AuthUser) ([]string, []events.Event, error) {
			if user.Platform || value(user.TenantID) == tenant {
				return nil, nil, contract.Errorf(contract.Conflict, "the user may act in this tenant already")
			}
			member, err := q.IsMember(ctx, db.IsMemberParams{UserID: user.ID, TenantID: tenant})
			if err == nil && !member {
				err = a.withinUsers(ctx, q, tenant)
			}
			if err != nil {
				return nil, nil, err
			}
			_, err = q.AddMembership(ctx, db.AddMembershipParams{UserID: user.ID, TenantID: tenant})
			return []string{tenant}, nil, err
		})
}

// RemoveMembership answers auth.remove_membership.
func (a *App) RemoveMembership(ctx context.Context, r *contract.MembershipRequest) (*contract.UserDetail, error) {
	if err := overTenants(ctx); err != nil {
		return nil, err
	}
	tenant := kit.UUID(r.TenantID)
	return a.administerIn(ctx, database.Everything, r.UserID, "member_removed",
		func(q *db.Queries, user db.AuthUser) ([]string, []events.Event, error) {
			n, err := q.RemoveMembership(ctx, db.RemoveMembershipParams{UserID: user.ID, TenantID: tenant})
			if err == nil && n == 0 {
				err = contract.Missing("membership")
			}
			return []string{tenant}, nil, err
		})
}

// overTenants lets only those through who act over tenants: a tenant's own
// administrator may hold the permission by a wildcard.
func overTenants(ctx context.Context) error {
	if caller := kit.UserFrom(ctx); caller.ID != "" && !caller.Platform {
		return contract.Errorf(contract.PermissionDenied, "only platform administrators decide who belongs to further tenants")
	}
	return nil
}
