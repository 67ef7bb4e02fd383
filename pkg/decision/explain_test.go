package decision_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/decision"
)

const at = 1_000_000

func noon() int64 { return at }

// office is a tenant with a clerk (user 1) and a company (unit 1) with a branch (unit 2).
func office(more ...contract.PolicyChange) *decision.Policy {
	return decision.New().Apply(1, append([]contract.PolicyChange{
		{Tenant: &contract.PolicyTenant{Active: true}},
		{Module: &contract.PolicyModule{Name: "crm", Enabled: true}},
		{Unit: &contract.PolicyUnit{ID: newID(4, 1)}},
		{Unit: &contract.PolicyUnit{ID: newID(4, 2), ParentID: newID(4, 1)}},
		{Unit: &contract.PolicyUnit{ID: newID(4, 3)}},
		{Role: &contract.PolicyRole{ID: newID(2, 1), Name: "clerk", Permissions: []string{"crm:people:*", "fin:**"}}},
		{Role: &contract.PolicyRole{ID: newID(2, 2), Name: "chief", Permissions: []string{"crm:people:delete", "crm:**"}}},
		{Role: &contract.PolicyRole{ID: newID(2, 3), Name: "other", Permissions: []string{"crm:orders:read"}}},
		{Group: &contract.PolicyGroup{ID: newID(3, 1), Name: "staff"}},
		{Member: &contract.PolicyMember{GroupID: newID(3, 1), UserID: newID(1, 1)}},
	}, more...))
}

func grant(n int, change func(*contract.PolicyBinding)) contract.PolicyChange {
	b := &contract.PolicyBinding{ID: newID(5, n), UserID: newID(1, 1), RoleID: newID(2, 1)}
	change(b)
	return contract.PolicyChange{Binding: b}
}

func TestExplanationsNameWhatDecidedAndWhatWouldHelp(t *testing.T) {
	t.Parallel()
	past := time.Unix(at, 0)
	candidates := []contract.PolicyRole{
		{ID: newID(2, 2), Name: "chief", Permissions: []string{"crm:**"}},
		{ID: newID(2, 1), Name: "clerk", Permissions: []string{"crm:people:*"}},
		{ID: newID(2, 3), Name: "other", Permissions: []string{"crm:orders:read"}},
	}
	whole := func(*contract.PolicyBinding) {}
	for name, c := range map[string]struct {
		changes  []contract.PolicyChange
		code     string
		unit     string
		reason   string
		deciding string
		trace    []string // outcomes
		misses   []string
	}{
		"allowed": {
			changes: []contract.PolicyChange{grant(1, whole)},
			reason:  "allowed", deciding: newID(5, 1), trace: []string{"applies"},
		},
		"by a group": {
			changes: []contract.PolicyChange{grant(1, func(b *contract.PolicyBinding) { b.UserID, b.GroupID = "", newID(3, 1) })},
			reason:  "allowed", deciding: newID(5, 1), trace: []string{"applies"},
		},
		"nothing": {
			reason: "not_granted", misses: []string{"role chief", "role clerk"},
		},
		"another role": {
			changes: []contract.PolicyChange{grant(1, func(b *contract.PolicyBinding) { b.RoleID = newID(2, 3) })},
			reason:  "not_granted", trace: []string{"no_match"}, misses: []string{"role chief", "role clerk"},
		},
		"elsewhere": {
			changes: []contract.PolicyChange{grant(1, func(b *contract.PolicyBinding) { b.UnitID = newID(4, 3) })}, unit: newID(4, 2),
			reason: "not_granted", trace: []string{"other_scope"}, misses: []string{"scope clerk", "role chief"},
		},
		"above": {
			changes: []contract.PolicyChange{grant(1, func(b *contract.PolicyBinding) { b.UnitID = newID(4, 1) })}, unit: newID(4, 2),
			reason: "allowed", deciding: newID(5, 1), trace: []string{"applies"},
		},
		"expired": {
			changes: []contract.PolicyChange{grant(1, func(b *contract.PolicyBinding) { b.ExpiresAt = &past })},
			reason:  "not_granted", trace: []string{"expired"}, misses: []string{"expired clerk", "role chief"},
		},
		"denied": {
			changes: []contract.PolicyChange{grant(1, whole), grant(2, func(b *contract.PolicyBinding) { b.RoleID, b.Deny = newID(2, 2), true })},
			reason:  "denied", deciding: newID(5, 2), trace: []string{"applies", "applies"}, misses: []string{"deny chief"},
		},
		"denied elsewhere": {
			changes: []contract.PolicyChange{grant(1, whole), grant(2, func(b *contract.PolicyBinding) { b.Deny, b.ResourceType, b.ResourceID = true, "x", "1" })},
			reason:  "allowed", deciding: newID(5, 1), trace: []string{"other_scope", "applies"},
		},
		"module off": {
			changes: []contract.PolicyChange{grant(1, whole)}, code: "fin:a:b",
			reason: "module_disabled", trace: []string{"applies"}, misses: []string{"module fin"},
		},
		"suspended": {
			changes: []contract.PolicyChange{grant(1, whole), {User: &contract.PolicyUser{ID: newID(1, 1), Suspended: true}}},
			reason:  "user_suspended", trace: []string{"applies"}, misses: []string{"user "},
		},
		"tenant suspended": {
			changes: []contract.PolicyChange{grant(1, whole), {Tenant: &contract.PolicyTenant{}}},
			reason:  "tenant_suspended", trace: []string{"applies"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := decision.Question{User: newID(1, 1), Permission: "crm:people:read", Unit: c.unit}
			if c.code != "" {
				q.Permission = c.code
			}
			p := office(c.changes...)
			x := p.Explain(q, noon, candidates)
			deciding, trace, misses := "", []string{}, []string{}
			if x.Deciding != nil {
				deciding = x.Deciding.BindingID
			}
			for _, s := range x.Trace {
				trace = append(trace, s.Outcome)
			}
			for _, m := range x.Misses {
				misses = append(misses, m.Kind+" "+m.Role+m.Module)
				if m.Hint == "" {
					t.Errorf("%+v", m)
				}
			}
			if x.Reason != c.reason || deciding != c.deciding || !slices.Equal(trace, c.trace) || !slices.Equal(misses, c.misses) {
				t.Errorf("%s by %s, %v, %v", x.Reason, deciding, trace, misses)
			}
			if x.Allowed != p.Check(q, noon) {
				t.Error(x.Allowed)
			}
		})
	}
}

func TestEffectivePermissionsTellWhereTheyComeFrom(t *testing.T) {
	t.Parallel()
	past := time.Unix(at, 0)
	p := office(
		grant(1, func(b *contract.PolicyBinding) { b.UnitID = newID(4, 2) }),
		grant(2, func(b *contract.PolicyBinding) { b.UserID, b.GroupID = "", newID(3, 1) }),
		grant(3, func(b *contract.PolicyBinding) {
			b.RoleID, b.Deny, b.ResourceType, b.ResourceID = newID(2, 3), true, "order", "7"
		}),
		grant(4, func(b *contract.PolicyBinding) { b.RoleID, b.ExpiresAt = newID(2, 2), &past }),
	)
	var got []string
	for _, e := range p.Effective(newID(1, 1), noon) {
		for _, s := range e.Sources {
			got = append(got, fmt.Sprintln(e.Permission, s.Effect, s.Role, s.Group, s.Scope, s.Code, s.Outcome))
		}
	}
	want := []string{
		fmt.Sprintln("crm:orders:read", "deny", "other", "", "resource:order:7", "crm:orders:read", "applies"),
		fmt.Sprintln("crm:people:*", "allow", "clerk", "staff", "tenant", "crm:people:*", "applies"),
		fmt.Sprintln("crm:people:*", "allow", "clerk", "", "unit:"+newID(4, 2), "crm:people:*", "applies"),
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Error(got)
	}
}
