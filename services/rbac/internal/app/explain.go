package app

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/decision"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/services/rbac/internal/store/db"
)

// Explain answers rbac.explain.
func (a *App) Explain(ctx context.Context, r *contract.ExplainRequest) (*contract.Explanation, error) {
	tenant, err := a.questionTenant(ctx, r.UserID, r.TenantID)
	if err != nil {
		return nil, err
	}
	p, err := a.policy(ctx, tenant, r.AtLeast)
	if err != nil {
		return nil, err
	}
	return a.explain(ctx, p, tenant, decision.Question{
		User: kit.UUID(r.UserID), Permission: r.Permission, Unit: lowest(r.CompanyID, r.BranchID, r.DepartmentID),
		ResourceType: r.ResourceType, ResourceID: string(r.ResourceID),
	})
}

// questionTenant is the tenant that an administrator's question about a user is
// about. A user who does not belong to it is not_found.
func (a *App) questionTenant(ctx context.Context, user, named contract.ID) (string, error) {
	if member, ok := a.Directory.Member(kit.UUID(user)); named == "" && kit.UserFrom(ctx).TenantID == "" && ok {
		named = contract.ID(member.TenantID)
	}
	tenant, err := a.Directory.ActingTenant(ctx, named)
	if err != nil {
		return "", err
	}
	if member, ok := a.Directory.Member(kit.UUID(user)); !ok || !belongs(member, tenant) {
		return "", contract.Missing("user")
	}
	return tenant, nil
}

// belongs reports whether a user, active or not, is of the tenant, as a platform
// administrator is of each.
func belongs(m contract.Member, tenant string) bool {
	return !m.Deleted && (m.Platform || m.TenantID == tenant || slices.Contains(m.Tenants, tenant))
}

func (a *App) explain(ctx context.Context, p *decision.Policy, tenant string, q decision.Question) (*contract.Explanation, error) {
	declared, err := a.declared(ctx)
	if err != nil {
		return nil, err
	}
	known := slices.Contains(declared, q.Permission)
	if a.Directory.Platform(q.User) {
		return &contract.Explanation{
			Allowed: true, Revision: p.Revision(), Reason: "platform_administrator", Declared: known,
			Trace: []contract.TraceStep{}, Misses: []contract.NearMiss{},
		}, nil
	}
	var candidates []contract.PolicyRole
	err = a.DB.Read(ctx, tenant, func(tx pgx.Tx) error {
		rows, err := db.New(tx).CandidateRoles(ctx, tenant)
		for _, row := range rows {
			candidates = append(candidates, contract.PolicyRole{ID: row.ID, Name: row.Name, Permissions: row.Permissions})
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	explanation := p.Explain(q, decision.Now, candidates)
	explanation.Declared = known
	return &explanation, nil
}
