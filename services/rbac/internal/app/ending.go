package app

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/decision"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/rbac/internal/store/db"
)

const (
	// maxLosses is how many users a removal names.
	maxLosses = 100
	// maxEnded is up to how many bindings are told as removed one by one; beyond
	// it the end of their role or group says it all.
	maxEnded = 5000
)

// ending is a role or a group with its bindings, which end together: one of the
// two ids is set.
type ending struct{ role, group string }

// endBindings lists the bindings that end, for the policy.
func (t *turn) endBindings(ctx context.Context, of ending) ([]contract.PolicyChange, error) {
	ended, err := t.Q.BindingsOf(ctx, db.BindingsOfParams{
		TenantID: t.Tenant, RoleID: optional(of.role), GroupID: optional(of.group), Page: maxEnded + 1,
	})
	if err != nil || len(ended) > maxEnded {
		return nil, err
	}
	changes := make([]contract.PolicyChange, 0, len(ended))
	for _, b := range ended {
		changes = append(changes, contract.PolicyChange{Binding: &contract.PolicyBinding{ID: b.ID, RoleID: b.RoleID, Removed: true}})
	}
	return changes, t.Q.DeleteBindingsOf(ctx, db.DeleteBindingsOfParams{TenantID: t.Tenant, RoleID: optional(of.role), GroupID: optional(of.group)})
}

// add adds to a removal what the end takes from the users of one tenant: codes
// in effect that they are allowed by what ends, and by nothing that stays. It is
// asked before the end. Users with the same bindings are looked at together, so
// that a role of a whole tenant costs little more than one of a few.
func (of ending) add(ctx context.Context, q *db.Queries, tenant string, to *contract.Removal) error {
	bindings, err := q.CountBindingsOf(ctx, db.CountBindingsOfParams{TenantID: tenant, RoleID: optional(of.role), GroupID: optional(of.group)})
	if err != nil {
		return err
	}
	to.Bindings += int(bindings)
	if to.Losses == nil {
		to.Losses = []contract.Loss{}
	}
	active, err := q.PolicyTenant(ctx, tenant)
	if database.Missing(err) || err == nil && !active {
		return nil
	}
	if err != nil {
		return err
	}
	alike, err := q.Losers(ctx, db.LosersParams{TenantID: tenant, RoleID: optional(of.role), GroupID: optional(of.group), Now: time.Now()})
	if err != nil {
		return err
	}
	w, err := newWeighing(ctx, q, tenant, alike)
	if err != nil {
		return err
	}
	for _, users := range alike {
		lost := w.lost(users.Bindings)
		if len(lost) == 0 {
			continue
		}
		to.Users += int(users.Users)
		for _, user := range users.First {
			to.Losses = append(to.Losses, contract.Loss{UserID: user, Permissions: lost})
		}
	}
	slices.SortFunc(to.Losses, func(a, b contract.Loss) int { return cmp.Compare(a.UserID, b.UserID) })
	to.Losses = to.Losses[:min(len(to.Losses), maxLosses)]
	return nil
}

// weighing finds out what of an end is really lost.
type weighing struct {
	codes   map[string][]string // of the roles
	enabled map[string]bool     // modules
}

func newWeighing(ctx context.Context, q *db.Queries, tenant string, alike []db.LosersRow) (weighing, error) {
	w := weighing{enabled: map[string]bool{}}
	modules, err := q.PolicyModules(ctx, tenant)
	if err != nil {
		return w, err
	}
	for _, m := range modules {
		w.enabled[m.Name] = m.Enabled
	}
	var roles []string
	for _, users := range alike {
		for _, element := range users.Bindings {
			roles = append(roles, element[:len(Platform)])
		}
	}
	slices.Sort(roles)
	w.codes, err = codesOf(ctx, q, tenant, slices.Compact(roles))
	return w, err
}

// lost lists, sorted, the codes that are lost with those of the bindings that
// end. Bindings are as the query Losers tells them.
func (w weighing) lost(bindings []string) []string {
	var ends, stays, denied []string
	for _, element := range bindings {
		role, flags := element[:len(Platform)], element[len(Platform):]
		deny, wide, going := flags[0] == 't', flags[1] == 't', flags[2] == 't'
		switch codes := w.codes[role]; {
		case deny && wide:
			denied = append(denied, codes...)
		case deny:
		case going:
			ends = append(ends, codes...)
		default:
			stays = append(stays, codes...)
		}
	}
	slices.Sort(ends)
	return slices.DeleteFunc(slices.Compact(ends), func(code string) bool {
		return !w.inEffect(code) || covered(code, stays) || covered(code, denied)
	})
}

func (w weighing) inEffect(code string) bool {
	namespace := contract.PermissionNamespace(code)
	return namespace == "*" || contract.PlatformNamespace(namespace) || w.enabled[namespace]
}

func covered(code string, by []string) bool {
	return slices.ContainsFunc(by, func(wide string) bool { return decision.Covers(wide, code) })
}
