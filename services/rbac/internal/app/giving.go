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

// holds answers permission_denied unless the giver holds the code within reach,
// all below it included. field is what the answer is about.
func (g giver) holds(p *decision.Policy, code string, to reach, field string) error {
	held := func(now decision.Clock) bool {
		return p.Holds(g.user, code, decision.Question{}, now) || p.Holds(g.user, code, to.where, now)
	}
	now := decision.Now()
	last := max(now, to.until-1)
	if g.holdsEverything() || held(func() int64 { return now }) && held(func() int64 { return last }) {
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
	role  string
	codes []string
	reach reach
}

// gifts lists what the bindings of a group, or to a role, give, or with deny
// take away.
func (t *turn) gifts(ctx context.Context, of ending, deny bool) ([]gift, error) {
	rows, err := t.Q.GivenBy(ctx, db.GivenByParams{
		TenantID: t.Tenant, Deny: deny, Now: time.Now(), GroupID: optional(of.group), RoleID: optional(of.role),
	})
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	var ids []string
	for _, row := range rows {
		ids = append(ids, row.RoleID)
	}
	codes, err := codesOf(ctx, t.Q, t.Tenant, ids)
	if err != nil {
		return nil, err
	}
	var all []gift
	for _, row := range rows {
		all = append(all, gift{row.RoleID, codes[row.RoleID], reachOf(row.UnitID, row.ResourceType, row.ResourceID, row.ExpiresAt)})
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
