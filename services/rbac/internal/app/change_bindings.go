package app

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/decision"
)

// ChangeBindings answers rbac.change_bindings.
func (a *App) ChangeBindings(ctx context.Context, r *contract.ChangeBindingsRequest) (*contract.ChangeBindingsResponse, error) {
	tenant, err := a.Directory.ActingTenant(ctx, r.TenantID)
	if err != nil {
		return nil, err
	}
	revoke, err := readIDs("revoke", r.Revoke)
	if err != nil {
		return nil, err
	}
	all := make([]grant, len(r.Grant))
	for i, fields := range r.Grant {
		if all[i], err = readGrant(fields, indexed("grant", i)+"."); err != nil {
			return nil, err
		}
	}
	if len(all)+len(revoke) == 0 {
		return nil, contract.Invalid("grant", "name bindings to grant or to revoke")
	}
	if err := a.awaitSubjects(ctx, tenant, all); err != nil {
		return nil, err
	}
	response := &contract.ChangeBindingsResponse{Revoked: len(revoke), Granted: []contract.Binding{}}
	response.Revision, err = a.change(ctx, tenant, "bindings.changed", func(t *turn) ([]contract.PolicyChange, error) {
		if err := t.mayRevoke(ctx, revoke); err != nil {
			return nil, err
		}
		revoked, err := t.revoke(ctx, revoke, func(i int) string { return indexed("revoke", i) })
		if err != nil {
			return nil, err
		}
		var changes []contract.PolicyChange
		if len(all) > 0 {
			if response.Granted, changes, err = a.give(ctx, t, all); err != nil {
				return nil, err
			}
		}
		unbound, err := t.unbound(ctx, rolesIn(revoked))
		return append(append(revoked, changes...), unbound...), err
	})
	if err != nil {
		return nil, err
	}
	return response, nil
}

// mayRevoke checks for the permission to revoke: the operation asks its callers
// for the one to grant.
func (t *turn) mayRevoke(ctx context.Context, revoke []string) error {
	g, permission := giverOf(ctx), contract.DeleteBinding.Permission
	if len(revoke) == 0 || g.holdsEverything() || t.Policy.Check(decision.Question{User: g.user, Permission: permission}, decision.Now) {
		return nil
	}
	return about("revoke", contract.Errorf(contract.PermissionDenied, "the permission %s is required", permission))
}
