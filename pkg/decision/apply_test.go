package decision_test

import (
	"slices"
	"testing"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/decision"
)

func TestWhatIsMalformedIsSkipped(t *testing.T) {
	t.Parallel()
	p := office(grant(1, func(*contract.PolicyBinding) {}))
	for _, c := range []contract.PolicyChange{
		{},
		{Module: &contract.PolicyModule{}},
		{Module: &contract.PolicyModule{Name: "users", Enabled: false}},
		{Unit: &contract.PolicyUnit{ID: "x"}},
		{Unit: &contract.PolicyUnit{ID: newID(4, 1), ParentID: "x"}},
		{Role: &contract.PolicyRole{ID: "x"}},
		{Group: &contract.PolicyGroup{ID: ""}},
		{Member: &contract.PolicyMember{GroupID: newID(3, 1), UserID: "x"}},
		{Member: &contract.PolicyMember{GroupID: "x", UserID: newID(1, 1)}},
		{User: &contract.PolicyUser{ID: "x", Removed: true}},
		{Binding: &contract.PolicyBinding{ID: "x"}},
		grant(1, func(b *contract.PolicyBinding) { b.UserID = "" }),
		grant(1, func(b *contract.PolicyBinding) { b.GroupID = newID(3, 1) }),
		grant(1, func(b *contract.PolicyBinding) { b.UserID = "x" }),
		grant(1, func(b *contract.PolicyBinding) { b.RoleID = "" }),
		grant(1, func(b *contract.PolicyBinding) { b.UnitID = "x" }),
		grant(1, func(b *contract.PolicyBinding) { b.ResourceType = "x" }),
		grant(1, func(b *contract.PolicyBinding) { b.ResourceID = "x" }),
		grant(1, func(b *contract.PolicyBinding) { b.UnitID, b.ResourceType, b.ResourceID = newID(4, 1), "x", "x" }),
	} {
		if after := p.Apply(2, []contract.PolicyChange{c}); after.Digest() != p.Digest() {
			t.Errorf("something came of %s", show([]contract.PolicyChange{c}))
		}
	}
}

func TestMalformedQuestionsAreAnsweredWithNo(t *testing.T) {
	t.Parallel()
	p := office(grant(1, func(*contract.PolicyBinding) {}), grant(2, func(b *contract.PolicyBinding) { b.RoleID = newID(2, 2) }))
	for _, q := range []decision.Question{
		{}, {User: newID(1, 1)}, {User: newID(1, 1), Permission: "crm:**"}, {User: newID(1, 1), Permission: "crm:people:*"},
		{User: newID(1, 1), Permission: "crm:people:"}, {User: newID(1, 1), Permission: "crm"}, {User: "x", Permission: "crm:people:read"},
		{User: newID(1, 1), Permission: "*:people:read"}, {User: newID(1, 1), Permission: "crm:a:b:c:d:e"},
	} {
		users, next := p.WhoCan(q, noon, "", 10)
		if p.Check(q, noon) || p.Explain(q, noon, nil).Allowed || q.User != "x" && len(users) > 0 || next != "" {
			t.Errorf("%+v is allowed", q)
		}
	}
	if p.Knows("x") || p.Holds("x", "a:b", decision.Question{}, noon) || p.Holds(newID(1, 1), "crm", decision.Question{}, noon) ||
		len(p.Permissions("x", decision.Question{}, noon, nil))+len(p.Effective("x", noon)) > 0 || p.Administered("x", noon) {
		t.Error("something is known of nobody")
	}
	for _, cursor := range []string{"x", "zz", "f" + newID(1, 1), "f0000000000000000000000000000000g200000000000000000000000000000000"} {
		changes, next := p.Part(cursor, 10, "")
		users, more := p.WhoCan(decision.Question{Permission: "crm:people:read"}, noon, cursor, 10)
		if len(changes) > 0 || next != "" || len(users) > 0 || more != "" {
			t.Errorf("%q is taken for a cursor", cursor)
		}
	}
}

func TestTheClockIsAskedOnlyWhenItMatters(t *testing.T) {
	t.Parallel()
	end := time.Unix(at, 0)
	never := func() int64 { t.Error("the clock was asked"); return 0 }
	p := office(
		grant(1, func(*contract.PolicyBinding) {}),
		grant(2, func(b *contract.PolicyBinding) { b.RoleID, b.ExpiresAt = newID(2, 3), &end }),
	)
	if !p.Check(decision.Question{User: newID(1, 1), Permission: "crm:people:read"}, never) {
		t.Error("denied")
	}
	q := decision.Question{User: newID(1, 1), Permission: "crm:orders:read"}
	for second, want := range map[int64]bool{at - 1: true, at: false, at + 1: false} {
		if got := p.Check(q, func() int64 { return second }); got != want {
			t.Errorf("at %d: %v", second, got)
		}
	}
	if p.Check(q, nil) {
		t.Error("allowed long after")
	}
}

func TestAJoiningSuspendedUserStaysSuspendedForModules(t *testing.T) {
	t.Parallel()
	toGroup := func(b *contract.PolicyBinding) { b.UserID, b.GroupID = "", newID(3, 1) }
	p := office(grant(1, toGroup), contract.PolicyChange{User: &contract.PolicyUser{ID: newID(1, 2), Suspended: true}})
	all, _ := p.Part("", 0, "crm")
	seen := decision.New().Apply(1, all)
	if seen.Knows(newID(1, 2)) {
		t.Fatal("the module knows of somebody who does not matter")
	}
	join := []contract.PolicyChange{{Member: &contract.PolicyMember{GroupID: newID(3, 1), UserID: newID(1, 2)}}}
	p = p.Apply(2, join)
	cut, reset := p.ForModule(join, "crm")
	seen = seen.Apply(2, cut)
	if q := (decision.Question{User: newID(1, 2), Permission: "crm:people:read"}); reset || !seen.Knows(q.User) || seen.Check(q, noon) {
		t.Errorf("%s", show(cut))
	}
}

func TestModulesAreTheEnabledOnes(t *testing.T) {
	t.Parallel()
	p := office(
		contract.PolicyChange{Module: &contract.PolicyModule{Name: "stock", Enabled: true}},
		contract.PolicyChange{Module: &contract.PolicyModule{Name: "audit-log", Enabled: true}},
		contract.PolicyChange{Module: &contract.PolicyModule{Name: "crm"}},
	)
	if got := slices.Collect(p.Modules()); !slices.Equal(got, []string{"audit-log", "stock"}) {
		t.Error(got)
	}
}

// More namespaces than a policy has bits for.
func TestAnyNumberOfModulesCanBeEnabled(t *testing.T) {
	t.Parallel()
	var changes []contract.PolicyChange
	for n := range 400 {
		changes = append(changes, contract.PolicyChange{Module: &contract.PolicyModule{Name: "m" + newID(6, n)[:8], Enabled: n%2 == 0}})
	}
	p := office(append(changes,
		contract.PolicyChange{Role: &contract.PolicyRole{ID: newID(2, 1), Permissions: []string{"*:**"}}},
		grant(1, func(*contract.PolicyBinding) {}))...)
	for n := range 400 {
		if got := p.Check(decision.Question{User: newID(1, 1), Permission: "m" + newID(6, n)[:8] + ":a"}, noon); got != (n%2 == 0) {
			t.Errorf("module %d: %v", n, got)
		}
	}
}

// Names that somebody makes up are kept with the policy that has them, and no
// longer: the process does not number more than policies have bits for.
func TestModulesThatAreMadeUpAreForgotten(t *testing.T) {
	t.Parallel()
	const many = 2000
	name := func(n int) string { return "up" + newID(7, n)[:8] }
	for n := range many {
		decision.New().Apply(1, []contract.PolicyChange{{Module: &contract.PolicyModule{Name: name(n), Enabled: true}}})
	}
	numbered := 0
	for n := range many {
		if decision.HasNamespace(name(n)) {
			numbered++
		}
	}
	if numbered > decision.Bits {
		t.Errorf("%d of %d names are kept", numbered, many)
	}
}

// One that is enabled before anything numbers it, and one that is numbered only
// then, decide alike, enabled and disabled again.
func TestModulesBeyondTheBitsAreDecidedAlike(t *testing.T) {
	t.Parallel()
	for n := range 2 * decision.Bits { // from here on nothing gets a bit
		decision.New().Apply(1, []contract.PolicyChange{{Module: &contract.PolicyModule{Name: "full" + newID(8, n)[:8], Enabled: true}}})
	}
	module := func(enabled bool) contract.PolicyChange {
		return contract.PolicyChange{Module: &contract.PolicyModule{Name: "latecomer", Enabled: enabled}}
	}
	on := office(module(true),
		contract.PolicyChange{Role: &contract.PolicyRole{ID: newID(2, 1), Permissions: []string{"*:**"}}},
		grant(1, func(*contract.PolicyBinding) {}))
	off := on.Apply(2, []contract.PolicyChange{module(false)})
	check := func(when string) {
		t.Helper()
		again := off.Apply(3, []contract.PolicyChange{module(true)})
		for _, code := range []string{"latecomer:a", "latecomer:b"} { // the second is never numbered
			q := decision.Question{User: newID(1, 1), Permission: code}
			if !on.Check(q, noon) || off.Check(q, noon) || !again.Check(q, noon) {
				t.Errorf("%s, %s: on %v, off %v, again %v", when, code, on.Check(q, noon), off.Check(q, noon), again.Check(q, noon))
			}
		}
		if held := on.Permissions(newID(1, 1), decision.Question{}, noon, nil); !slices.Contains(held, "latecomer:**") {
			t.Errorf("%s: %v", when, held)
		}
	}
	check("not numbered")
	decision.Declare("latecomer:a")
	check("numbered")
}

func TestSlotsOfWhatIsGoneAreGivenAnew(t *testing.T) {
	t.Parallel()
	p := office(grant(1, func(*contract.PolicyBinding) {}))
	want := p.Digest()
	for n := range 6000 {
		role := &contract.PolicyRole{ID: newID(7, n), Permissions: []string{"a:b"}}
		gone := &contract.PolicyRole{ID: newID(7, n), Removed: true}
		step := []contract.PolicyChange{{Role: role}, {Role: gone}}
		p = p.Apply(p.Revision()+1, step)
		if cut, reset := p.ForModule(step, "crm"); !reset && len(cut) != 2 {
			t.Fatalf("step %d: %s", n, show(cut))
		}
	}
	if p.Digest() != want || !p.Check(decision.Question{User: newID(1, 1), Permission: "crm:people:read"}, noon) {
		t.Error("it is not what it was")
	}
}
