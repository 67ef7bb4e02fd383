package app

import (
	"context"
	"fmt"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/decision"
	"github.com/buildify/core/pkg/kit"
)

// CheckBatch answers rbac.check_batch.
func (a *App) CheckBatch(ctx context.Context, r *contract.CheckBatchRequest) (*contract.CheckBatchResponse, error) {
	tenant, err := a.batchTenant(ctx, r)
	if err != nil {
		return nil, err
	}
	p, err := a.policy(ctx, tenant, r.AtLeast)
	if err != nil {
		return nil, err
	}
	return a.checkBatch(p, tenant, r)
}

// CheckBatchFast is CheckBatch from memory.
func (a *App) CheckBatchFast(ctx context.Context, r *contract.CheckBatchRequest) (*contract.CheckBatchResponse, bool, error) {
	tenant, err := a.batchTenant(ctx, r)
	if err != nil {
		return nil, true, err
	}
	p, ok := a.held(tenant, r.AtLeast)
	if !ok {
		return nil, false, nil
	}
	response, err := a.checkBatch(p, tenant, r)
	return response, true, err
}

// batchTenant is the tenant that the whole batch is about.
func (a *App) batchTenant(ctx context.Context, r *contract.CheckBatchRequest) (string, error) {
	if tenant := kit.UUID(r.TenantID); tenant != "" {
		if !a.Directory.VisibleTenant(ctx, tenant) {
			return "", contract.Missing("tenant")
		}
		return tenant, nil
	}
	first := kit.UUID(r.UserID)
	if first == "" {
		first = kit.UUID(contract.ID(r.Checks[0].UserID))
	}
	home, err := a.Directory.VisibleUser(ctx, first, "")
	return home.ID, err
}

// checkBatch answers about a tenant that the caller sees.
func (a *App) checkBatch(p *decision.Policy, tenant string, r *contract.CheckBatchRequest) (*contract.CheckBatchResponse, error) {
	response := &contract.CheckBatchResponse{Allowed: make([]bool, len(r.Checks)), Revision: p.Revision()}
	common := decision.Question{
		User: kit.UUID(r.UserID), Permission: r.Permission, Unit: lowest(r.CompanyID, r.BranchID, r.DepartmentID),
		ResourceType: r.ResourceType,
	}
	var written, user string // of the check before: its user as written there, and as known
	var about string         // whom was looked up last
	var seen, platform bool
	for i := range r.Checks {
		c := &r.Checks[i]
		q := common
		if c.UserID != "" {
			if c.UserID != written {
				written, user = c.UserID, kit.UUID(contract.ID(c.UserID))
			}
			q.User = user
		}
		if c.Permission != "" {
			q.Permission = c.Permission
		}
		if c.UnitID != "" {
			q.Unit = kit.UUID(contract.ID(c.UnitID))
		}
		if c.ResourceType != "" {
			q.ResourceType = c.ResourceType
		}
		q.ResourceID = c.ResourceID
		switch {
		case q.User == "":
			return nil, contract.Invalid(fmt.Sprintf("checks[%d].user_id", i), "is required, here or beside checks")
		case q.Permission == "":
			return nil, contract.Invalid(fmt.Sprintf("checks[%d].permission", i), "is required, here or beside checks")
		}
		if q.User != about {
			_, seen = a.Directory.MemberOf(q.User, tenant)
			about, platform = q.User, a.Directory.Platform(q.User)
		}
		if seen && !platform {
			response.Allowed[i], _ = p.Decide(&q, decision.Now)
		} else {
			response.Allowed[i] = seen
		}
	}
	return response, nil
}
