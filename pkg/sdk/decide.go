package sdk

import (
	"context"
	"iter"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/decision"
	"github.com/buildify/core/pkg/sdk/internal/fault"
)

// MaxChecks is how many questions [Client.CheckBatch] takes.
const MaxChecks = 1000

// Decision is an answer of [Client.Decide].
type Decision struct {
	Allowed bool
	// Revision is that of the tenant's policy which decided. Keep it with what
	// you derive from the decision, and ask later for [AtLeast] it.
	Revision int64
	// Local says that it was made in this process; see [WithLocalDecisions].
	Local bool
}

// Check reports whether a user holds a concrete permission such as
// "financial:accounts:read", where the options say. It is false with every
// error. [ErrNotFound] means that this module sees no such user.
func (c *Client) Check(ctx context.Context, userID, permission string, options ...About) (bool, error) {
	d, err := c.Decide(ctx, userID, permission, options...)
	return d.Allowed, err
}

// Decide is [Client.Check] that tells how it was decided.
func (c *Client) Decide(ctx context.Context, userID, permission string, options ...About) (Decision, error) {
	a := aboutWhat(options)
	if c.local != nil {
		q := decision.Question{
			User: userID, Permission: permission, Unit: a.unit(), ResourceType: a.resourceType, ResourceID: a.resource,
		}
		if d, ok := c.decideLocally(&a, &q); ok {
			return d, nil
		}
	}
	return c.decideRemotely(ctx, a.check(userID, permission))
}

func (c *Client) decideRemotely(ctx context.Context, request *contract.CheckRequest) (Decision, error) {
	answer, err := Call(ctx, c.transport, contract.CheckPermission, request)
	if err != nil {
		return Decision{}, err
	}
	return Decision{Allowed: answer.Allowed, Revision: answer.Revision}, nil
}

// Question is one of many that [Client.CheckBatch] answers.
type Question struct {
	// UserID and Permission are what is asked.
	UserID, Permission string
	// UnitID is the company, branch or department that it is about; empty takes
	// the options'.
	UnitID string
	// ResourceType and ResourceID are the resource that it is about; an empty
	// type takes the options'.
	ResourceType, ResourceID string
}

// CheckBatch answers up to [MaxChecks] questions about one tenant, all at the
// same revision, in their order. The options say what they have in common;
// without [InTenant] the home tenant of the first user is meant. About a user
// whom this module does not see the answer is no.
func (c *Client) CheckBatch(ctx context.Context, questions []Question, options ...About) ([]bool, error) {
	if len(questions) == 0 {
		return []bool{}, nil
	}
	if len(questions) > MaxChecks {
		return nil, contract.Invalid("checks", "must not be more than %d; ask in several batches", MaxChecks)
	}
	a := aboutWhat(options)
	if c.local != nil {
		if allowed, ok := c.decideAllLocally(&a, questions); ok {
			return allowed, nil
		}
	}
	request := &contract.CheckBatchRequest{
		TenantID: contract.ID(a.tenant), CompanyID: contract.ID(a.company), BranchID: contract.ID(a.branch),
		DepartmentID: contract.ID(a.department), ResourceType: a.resourceType, AtLeast: a.atLeast,
		Checks: make([]contract.BatchItem, len(questions)),
	}
	for i := range questions {
		q := a.complete(&questions[i])
		request.Checks[i] = contract.BatchItem{
			UserID: q.User, Permission: q.Permission, UnitID: questions[i].UnitID, ResourceType: q.ResourceType, ResourceID: q.ResourceID,
		}
	}
	answer, err := Call(ctx, c.transport, contract.CheckPermissions, request)
	if err != nil {
		return nil, err
	}
	if len(answer.Allowed) != len(questions) {
		return nil, fault.Unreadable(contract.CheckPermissions.Spec, "%d questions got %d answers", len(questions), len(answer.Allowed))
	}
	return answer.Allowed, nil
}

// complete adds to a question what the options say about all.
func (a *about) complete(q *Question) decision.Question {
	full := decision.Question{
		User: q.UserID, Permission: q.Permission, Unit: q.UnitID, ResourceType: q.ResourceType, ResourceID: q.ResourceID,
	}
	if full.Unit == "" {
		full.Unit = a.unit()
	}
	if full.ResourceType == "" {
		full.ResourceType = a.resourceType
		if full.ResourceID == "" {
			full.ResourceID = a.resource
		}
	}
	return full
}

// Permissions returns what a user was granted, where the options say, sorted. A
// granted code may hold "*" for one segment and end in "**"; to decide about
// one permission use [Client.Check].
func (c *Client) Permissions(ctx context.Context, userID string, options ...About) ([]string, error) {
	a := aboutWhat(options)
	answer, err := Call(ctx, c.transport, contract.ListPermissions, &contract.PermissionsRequest{
		UserID: contract.ID(userID), TenantID: contract.ID(a.tenant),
		CompanyID: contract.ID(a.company), BranchID: contract.ID(a.branch), DepartmentID: contract.ID(a.department),
		ResourceType: a.resourceType, ResourceID: contract.ID(a.resource), AtLeast: a.atLeast,
	})
	if err != nil {
		return nil, err
	}
	return answer.Permissions, nil
}

// WhoCan yields the ids of the users who hold one of the module's own
// permissions in a tenant, where the options say; [InTenant] is required. It
// asks for a page at a time, so stop when you have enough:
//
//	for userID, err := range client.WhoCan(ctx, "financial:invoices:approve", sdk.InTenant(tenant)) {
//		if err != nil {
//			return err
//		}
//		…
//	}
//
// An error is the last thing it yields. Platform administrators, who hold
// everything, are not among them.
func (c *Client) WhoCan(ctx context.Context, permission string, options ...About) iter.Seq2[string, error] {
	a := aboutWhat(options)
	return func(yield func(string, error) bool) {
		request := &contract.WhoCanRequest{
			Permission: permission, TenantID: contract.ID(a.tenant),
			CompanyID: contract.ID(a.company), BranchID: contract.ID(a.branch), DepartmentID: contract.ID(a.department),
			ResourceType: a.resourceType, ResourceID: contract.ID(a.resource), AtLeast: a.atLeast, Limit: 500,
		}
		for {
			page, err := Call(ctx, c.transport, contract.WhoCan, request)
			if err != nil {
				yield("", err)
				return
			}
			for _, id := range page.UserIDs {
				if !yield(id, nil) {
					return
				}
			}
			switch page.NextCursor {
			case "":
				return
			case request.Cursor:
				yield("", fault.Unreadable(contract.WhoCan.Spec, "the list has no end"))
				return
			}
			request.Cursor = page.NextCursor
		}
	}
}
