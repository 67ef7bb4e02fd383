package app

import (
	"context"
	"strings"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/decision"
	"github.com/buildify/core/pkg/kit"
)

// MayAdminister answers rbac.may_administer.
func (a *App) MayAdminister(ctx context.Context, r *contract.MayAdministerRequest) (*contract.Empty, error) {
	tenant, user, by := kit.UUID(r.TenantID), kit.UUID(r.UserID), kit.UUID(r.ByUserID)
	policy := a.Engine.Policy(tenant)
	if policy == nil {
		var err error
		if policy, err = a.Load(ctx, tenant); err != nil {
			return nil, err
		}
	}
	for _, held := range policy.Effective(user, decision.Now) {
		for _, source := range held.Sources {
			if source.Effect == "allow" && !policy.Holds(by, held.Permission, scopeOf(source.Scope), decision.Now) {
				return nil, contract.Errorf(contract.PermissionDenied,
					"the user holds %s, which you do not; ask a tenant administrator", held.Permission)
			}
		}
	}
	if r.Leaving {
		gone := policy.Apply(policy.Revision(), []contract.PolicyChange{{User: &contract.PolicyUser{ID: user, Suspended: true}}})
		if leftToNobody(policy, gone) {
			return nil, errLastAdministrator
		}
	}
	return &contract.Empty{}, nil
}

// scopeOf reads the scope of a contract.TraceStep.
func scopeOf(text string) decision.Question {
	kind, rest, _ := strings.Cut(text, ":")
	switch kind {
	case "unit":
		return decision.Question{Unit: rest}
	case "resource":
		resource, id, _ := strings.Cut(rest, ":")
		return decision.Question{ResourceType: resource, ResourceID: id}
	}
	return decision.Question{}
}
