package app

import (
	"context"
	"slices"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// SwitchTenant answers auth.switch_tenant. The token of before stays good for
// the tenant of before until it expires.
func (a *App) SwitchTenant(ctx context.Context, r *contract.SwitchTenantRequest) (*contract.AccessTokenResponse, error) {
	caller := kit.UserFrom(ctx)
	policy, err := a.signInPolicy(ctx, kit.UUID(r.TenantID))
	if err != nil {
		return nil, err
	}
	response := &contract.AccessTokenResponse{TokenType: "Bearer", ExpiresIn: int(a.Signer.Lifetime.Seconds())}
	err = a.change(ctx, database.Everything, func(q *db.Queries) ([]events.Event, error) {
		locked, err := q.LockSession(ctx, caller.SessionID)
		if err != nil && !database.Missing(err) {
			return nil, err
		}
		if err != nil || !locked.Open || locked.AuthSession.UserID != caller.ID {
			return nil, contract.Errorf(contract.Unauthenticated, "the session has ended; log in again")
		}
		user, err := q.UserByID(ctx, caller.ID)
		if err != nil {
			return nil, err
		}
		tenant, ok, err := a.belongs(ctx, q, user, kit.UUID(r.TenantID))
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, contract.Missing("tenant")
		}
		if policy.SecondFactor == "required" && !twoFactors(locked.AuthSession.Methods) {
			return nil, contract.Errorf(contract.PermissionDenied,
				"this tenant requires a second factor: enrol one if you have none, and log in with it")
		}
		if err := q.SwitchSession(ctx, db.SwitchSessionParams{ID: caller.SessionID, ActingTenant: &tenant.ID}); err != nil {
			return nil, err
		}
		response.TenantID = tenant.ID
		if response.AccessToken, err = a.Signer.Sign(user.ID, tenant.ID, caller.SessionID); err != nil {
			return nil, err
		}
		return a.switched(ctx, user, tenant.ID)
	})
	if database.Missing(err) {
		return nil, contract.Missing("user")
	}
	if err != nil {
		return nil, err
	}
	return response, nil
}

// twoFactors reports whether a session began with two factors; a passkey alone
// is two: the device, and its unlocking.
func twoFactors(methods []string) bool {
	return len(methods) > 1 || slices.Contains(methods, "passkey")
}

// switched makes the event that the person acts in the tenant from now on. It
// belongs to that tenant's trail: they are who sees a platform administrator
// come.
func (a *App) switched(ctx context.Context, user db.AuthUser, tenant string) ([]events.Event, error) {
	e, err := kit.NewEvent(ctx, events.TenantSwitched, tenant, user.Revision, events.Login{
		UserID: user.ID, SessionID: kit.UserFrom(ctx).SessionID, TenantID: tenant,
		Address: clientAddress(ctx), Agent: kit.ClientFrom(ctx).Agent,
	})
	return []events.Event{e}, err
}
