package decision

import (
	"cmp"
	"slices"
	"time"

	"github.com/buildify/core/pkg/contract"
)

// maxMisses bounds how many roles are proposed.
const maxMisses = 50

// Explain decides as Check does, and says why. The candidates are the roles
// that may be proposed to a user who lacks the permission. Declared is left to
// the caller.
func (p *Policy) Explain(q Question, now Clock, candidates []contract.PolicyRole) contract.Explanation {
	x := explanation{p: p, ask: ask{Question: q, now: now}}
	x.out = contract.Explanation{Revision: p.revision, Trace: []contract.TraceStep{}, Misses: []contract.NearMiss{}}
	effective := p.prepare(&x.ask)
	h := &holder{}
	if u, ok := parseID(q.User); ok {
		if known := p.holder(u); known != nil {
			h = known
		}
	}
	for _, s := range p.sources(h) {
		x.look(s)
	}
	switch {
	case !p.active:
		x.out.Reason = "tenant_suspended"
	case h.suspended:
		x.out.Reason = "user_suspended"
		x.miss(contract.NearMiss{Kind: "user", Hint: "The user is suspended; enable them."})
	case !effective && concrete(q.Permission):
		x.out.Reason = "module_disabled"
		module := contract.PermissionNamespace(q.Permission)
		x.miss(contract.NearMiss{Kind: "module", Module: module, Hint: "The tenant has no module " + module + " enabled; enable it."})
	case x.denied != nil:
		x.out.Reason, x.out.Deciding = "denied", x.denied
	case x.allowed != nil:
		x.out.Reason, x.out.Deciding = "allowed", x.allowed
		x.out.Allowed = true
		return x.out
	default:
		x.out.Reason = "not_granted"
	}
	x.lacking(candidates)
	return x.out
}

// explanation is one being written.
type explanation struct {
	ask
	p               *Policy
	out             contract.Explanation
	denied, allowed *contract.TraceStep // the first of each that applies
	misses          []contract.NearMiss
	roles           []string // with an allow that matches, whatever keeps it from applying
}

// look traces one binding.
func (x *explanation) look(s source) {
	step := x.p.step(s)
	if concrete(x.Permission) {
		step.Code = x.p.grants[s.role].match(x.Permission)
	}
	switch {
	case step.Code == "":
		step.Outcome = "no_match"
	case !x.p.inScope(s, &x.ask):
		step.Outcome = "other_scope"
	case x.ended(s.binding):
		step.Outcome = "expired"
	}
	x.out.Trace = append(x.out.Trace, step)
	miss := contract.NearMiss{RoleID: step.RoleID, Role: step.Role, BindingID: step.BindingID, Scope: step.Scope}
	switch {
	case step.Outcome == "no_match", s.deny && step.Outcome != "applies":
		return
	case s.deny:
		x.denied = cmp.Or(x.denied, &step)
		miss.Kind, miss.Hint = "deny", "A deny of role "+step.Role+" takes it away; remove the binding."
	case step.Outcome == "applies":
		x.allowed = cmp.Or(x.allowed, &step)
		x.roles = append(x.roles, step.RoleID)
		return
	case step.Outcome == "expired":
		miss.Kind, miss.Hint = "expired", "The binding to role "+step.Role+" ended "+ended(s.binding)+"; prolong it."
		x.roles = append(x.roles, step.RoleID)
	default:
		miss.Kind, miss.Hint = "scope", "Role "+step.Role+" grants it, but in another scope ("+step.Scope+")."
		x.roles = append(x.roles, step.RoleID)
	}
	x.misses = append(x.misses, miss)
}

func ended(b binding) string { return time.Unix(b.expires, 0).UTC().Format(time.RFC3339) }

func (x *explanation) miss(m contract.NearMiss) { x.out.Misses = append(x.out.Misses, m) }

// lacking adds what stands between the user and the permission: denies, and if
// nothing allows it bindings that nearly do, and roles that would.
func (x *explanation) lacking(candidates []contract.PolicyRole) {
	for _, m := range x.misses {
		if m.Kind == "deny" || x.allowed == nil {
			x.miss(m)
		}
	}
	if x.allowed != nil || !concrete(x.Permission) {
		return
	}
	candidates = slices.SortedFunc(slices.Values(candidates), func(a, b contract.PolicyRole) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	proposed := 0
	for _, role := range candidates {
		grants := func(code string) bool { return grantable(code) && matches(code, x.Permission) }
		if proposed < maxMisses && !slices.Contains(x.roles, role.ID) && slices.ContainsFunc(role.Permissions, grants) {
			x.miss(contract.NearMiss{Kind: "role", RoleID: role.ID, Role: role.Name, Hint: "Role " + role.Name + " grants it; bind the user to it."})
			proposed++
		}
	}
}

// Effective lists the codes that a user has granted or denied in any scope,
// each as it stands in the role, with the bindings it comes from. What has
// expired or is of a disabled module is left out, as is all of a user or tenant
// that is suspended.
func (p *Policy) Effective(user string, now Clock) []contract.EffectivePermission {
	all := []contract.EffectivePermission{}
	u, ok := parseID(user)
	h := p.holder(u)
	if !ok || h == nil || h.suspended || !p.active {
		return all
	}
	a := ask{now: now}
	at := map[string]int{}
	for _, s := range p.sources(h) {
		if a.ended(s.binding) {
			continue
		}
		step := p.step(s)
		for _, code := range p.grants[s.role].codes {
			if first := contract.PermissionNamespace(code); first != "*" && !p.inEffect(code) {
				continue
			}
			if _, listed := at[code]; !listed {
				at[code] = len(all)
				all = append(all, contract.EffectivePermission{Permission: code})
			}
			step.Code = code
			all[at[code]].Sources = append(all[at[code]].Sources, step)
		}
	}
	slices.SortFunc(all, func(a, b contract.EffectivePermission) int { return cmp.Compare(a.Permission, b.Permission) })
	return all
}
