package app

import (
	"context"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/decision"
	"github.com/buildify/core/pkg/kit"
)

// wait bounds how long a question waits for the revision that it asks for.
const wait = time.Second

// held is a tenant's policy if the engine holds it at that revision or later,
// and can be relied on.
func (a *App) held(tenant string, atLeast int64) (*decision.Policy, bool) {
	p := a.Engine.Policy(tenant)
	return p, p != nil && p.Revision() >= atLeast && !a.heldUp()
}

func (a *App) heldUp() bool { return a.HeldUp != nil && a.HeldUp() }

// policy is a tenant's policy at revision atLeast or later, waited for, or else
// read from the database; conflict when there is no such revision in time.
func (a *App) policy(ctx context.Context, tenant string, atLeast int64) (*decision.Policy, error) {
	if p, ok := a.held(tenant, atLeast); ok {
		return p, nil
	}
	if a.Engine.Policy(tenant) != nil && !a.heldUp() {
		soon, cancel := context.WithTimeout(ctx, wait)
		defer cancel()
		if a.Engine.Await(soon, tenant, atLeast) == nil {
			return a.Engine.Policy(tenant), nil
		}
	}
	p, err := a.catchUp(ctx, tenant)
	if err != nil {
		return nil, err
	}
	if p.Revision() < atLeast {
		return nil, &contract.Error{
			Code: contract.Conflict, Field: "at_least", Message: "the tenant's policy has not come to this revision; ask again",
		}
	}
	return p, nil
}

// lowest is the unit that a question is about: of those named the lowest.
func lowest(company, branch, department contract.ID) string {
	for _, unit := range []contract.ID{department, branch, company} {
		if unit != "" {
			return kit.UUID(unit)
		}
	}
	return ""
}
