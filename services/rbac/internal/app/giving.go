package app

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/decision"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/services/rbac/internal/store/db"
)

// giver is who changes what others may do. Nobody gives what they do not hold;
// a giver without a user is a service or a platform administrator, and holds
// everything.
type giver struct{ user string }

func giverOf(ctx context.Context) giver {
	caller := kit.UserFrom(ctx)
	if caller.Platform {
		return giver{}
	}
	return giver{caller.ID}
}

func (g giver) holdsEverything() bool { return g.user == "" }

// reach is how far a gift goes: where, and up to which second.
type reach struct {
	where decision.Question
	until int64
}

// never is the second that nothing ends at.
const never = math.MaxInt64

var (
	everywhere = reach{until: never}
	// while is the tenant for as long as the giver holds it too.
	while = reach{}
)

// reachOf is the reach of a binding.
func reachOf(unit *string, resourceType, resourceID string, ends *time.Time) reach {
	r := reach{decision.Question{Unit: value(unit), ResourceType: resourceType, ResourceID: resourceID}, never}
	if ends != nil {
		r.until = ends.Unix()
	}
	return r
}

// has reports whether the giver holds the code within reach, all below it
// included: now and at its last second, and so all the time between.
func (g giver) has(p *decision.Policy, code string, to reach) bool {
	held := func(now decision.Clock) bool {
		return p.Holds(g.user, code, decision.Question{}, now) || p.Holds(g.user, code, to.where, now)
	}
	now := decision.Now()
	last := max(now, to.until-1)
	return g.holdsEverything() || held(func() int64 { return now }) && held(func() int64 { return last })
}

// holds answers permission_denied unless the giver has the code. field is what
// the answer is about.
func (g giver) holds(p *decision.Policy, code string, to reach, field string) error {
	if g.has(p, code, to) {
		return nil
	}
	return &contract.Error{
		Code: contract.PermissionDenied, Field: field,
		Message: fmt.Sprintf("you cannot give %s, which you do not hold there, or not for so long; ask a tenant administrator", code),
	}
}

// holdsAll is holds for several codes that are given as one.
func (g giver) holdsAll(p *decision.Policy, codes []string, to reach, field string) error {
	for _, code := range codes {
		if err := g.holds(p, code, to, field); err != nil {
			return err
		}
	}
	return nil
}

// gift is codes that come with a binding, within its reach.
type gift struct {
	codes []string
	reach reach
}

// gifts lists what the bindings of a group, or to a role, give, or with deny
// take away.
func (t *turn) gifts(ctx context.Context, of ending, deny bool) ([]gift, error) {
	rows, err := t.Q.GivenBy(ctx, db.GivenByParams{
		TenantID: t.Tenant, Deny: deny, Now: time.Now(), GroupID: optional(of.group), RoleID: optional(of.role),
	})
	if err != nil {
		return nil, err
	}
	return giftsIn(ctx, t.Q, t.Tenant, rows)
}

// giftsIn adds the codes to what bindings give.
func giftsIn(ctx context.Context, q *db.Queries, tenant string, rows []db.GivenByRow) (all []gift, err error) {
	if len(rows) == 0 {
		return nil, nil
	}
	var ids []string
	for _, row := range rows {
		ids = append(ids, row.RoleID)
	}
	codes, err := codesOf(ctx, q, tenant, ids)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		all = append(all, gift{codes[row.RoleID], reachOf(row.UnitID, row.ResourceType, row.ResourceID, row.ExpiresAt)})
	}
	return all, nil
}

// mayGive checks that the giver holds what the bindings of a group, or to a
// role, give. With deny it is what they take away: what their end gives back.
func (t *turn) mayGive(ctx context.Context, g giver, of ending, deny bool, field string) error {
	if g.holdsEverything() {
		return nil
	}
	all, err := t.gifts(ctx, of, deny)
	for _, one := range all {
		if err == nil {
			err = g.holdsAll(t.Policy, one.codes, one.reach, field)
		}
	}
	return err
}

// codesOf reads what roles of the tenant, or of the platform, grant.
func codesOf(ctx context.Context, q *db.Queries, tenant string, roles []string) (map[string][]string, error) {
	rows, err := q.RolesByID(ctx, db.RolesByIDParams{Ids: roles, TenantID: tenant})
	codes := make(map[string][]string, len(rows))
	for _, row := range rows {
		codes[row.ID] = row.Permissions
	}
	return codes, err
}
