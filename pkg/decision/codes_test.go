package decision_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/decision"
	"github.com/buildify/core/pkg/decision/naive"
)

func TestPatternsCoverAndOverlap(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		wide, narrow     string
		covers, overlaps bool
	}{
		{"a:b", "a:b", true, true},
		{"a:b", "a:c", false, false},
		{"a:b", "a:b:c", false, false},
		{"a:*", "a:b", true, true},
		{"a:b", "a:*", false, true},
		{"a:*", "a:*", true, true},
		{"a:*", "a:**", false, true},
		{"a:**", "a:*", true, true},
		{"a:**", "a:*:**", true, true},
		{"a:*:**", "a:**", false, true},
		{"a:*:**", "a:b", false, false},
		{"*:**", "a:**", true, true},
		{"*:**", "*:*:c", true, true},
		{"a:**", "*:**", false, true},
		{"*:b", "a:*", false, true},
		{"*:b:c", "a:*", false, false},
		{"a:**", "b:**", false, false},
		{"a:*:c:**", "a:b:**", false, true},
		{"a:b:c:d:*", "a:b:c:d:**", true, true}, // a code has five segments
		{"a:b:c:d:**", "a:b:c:d:*", true, true},
		{"a:b:c:*", "a:b:c:**", false, true},
	} {
		if decision.Covers(c.wide, c.narrow) != c.covers || decision.Overlaps(c.wide, c.narrow) != c.overlaps || decision.Overlaps(c.narrow, c.wide) != c.overlaps {
			t.Errorf("%s and %s: covers %v, overlaps %v", c.wide, c.narrow, decision.Covers(c.wide, c.narrow), decision.Overlaps(c.wide, c.narrow))
		}
	}
}

// FuzzCodes compares the rules about codes with how a person would say them.
func FuzzCodes(f *testing.F) {
	for _, seed := range [][3]string{
		{"a:b", "a:*", "a:b"}, {"*:**", "a:*:c:**", "a:b:c:d"}, {"a:**", "b:c", "a:b:c:d:e"}, {"a:*:**", "*:b", "a::b"}, {"**", "*", ""},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, one, other, code string) {
		if decision.Concrete(code) != contract.ValidPermission(code) || decision.Grantable(code) != contract.ValidGrant(code) {
			t.Fatalf("%q is taken for valid or not: %v, %v", code, decision.Concrete(code), decision.Grantable(code))
		}
		if !contract.ValidGrant(one) || !contract.ValidGrant(other) {
			return
		}
		// A code that the fuzzer finds, and some near the patterns.
		for _, code := range append(near(one), append(near(other), code)...) {
			if !contract.ValidPermission(code) {
				continue
			}
			first, second := decision.Matches(one, code), decision.Matches(other, code)
			if first != naive.Matches(one, code) {
				t.Fatalf("%s matches %s: %v", one, code, first)
			}
			if second && !first && decision.Covers(one, other) {
				t.Fatalf("%s covers %s, but not %s", one, other, code)
			}
			if first && second && !decision.Overlaps(one, other) {
				t.Fatalf("%s and %s do not overlap, but both match %s", one, other, code)
			}
		}
	})
}

// near lists codes that a pattern matches, or nearly.
func near(grant string) (codes []string) {
	stem := strings.ReplaceAll(strings.TrimSuffix(grant, ":**"), "*", "x")
	return []string{stem, stem + ":x", stem + ":x:y", stem + ":x:y:z", stem + "z"}
}

// plain is a policy with one user who has one role with these codes.
func plain(codes ...string) (*decision.Policy, string) {
	user := newID(1, 1)
	return decision.New().Apply(1, []contract.PolicyChange{
		{Tenant: &contract.PolicyTenant{Active: true}},
		{Module: &contract.PolicyModule{Name: "crm", Enabled: true}},
		{Binding: &contract.PolicyBinding{ID: newID(5, 1), UserID: user, RoleID: newID(2, 1)}},
		{Role: &contract.PolicyRole{ID: newID(2, 1), Name: "one", Permissions: codes}},
	}), user
}

func TestCodesThatBecomeKnownLaterAreDecidedAlike(t *testing.T) {
	t.Parallel()
	p, user := plain("crm:late:*", "crm:late-exact:read", "not valid", "crm:late-more:**")
	check := func(code string, want bool) {
		t.Helper()
		for range 2 {
			if got := p.Check(decision.Question{User: user, Permission: code}, nil); got != want {
				t.Errorf("%s: %v", code, got)
			}
		}
	}
	codes := map[string]bool{
		"crm:late:a": true, "crm:late:a:b": false, "crm:late-exact:read": true, "crm:late-more:a:b:c": true, "crm:other:a": false,
		"off:late:a": false, "crm:late:*": false, "not valid": false, "": false, "crm:late": false,
	}
	for code, want := range codes {
		check(code, want)
		if code != "crm:late-exact:read" && decision.HasWord(code) {
			t.Errorf("asking for %s made it known", code)
		}
	}
	for code := range codes {
		decision.Declare(code)
	}
	for i := range 1000 { // the words that bits are kept in grow
		decision.Declare(fmt.Sprintf("crm:late:number-%d", i))
	}
	for code, want := range codes {
		check(code, want)
	}
	check("crm:late:number-999", true)
	if decision.HasWord("not valid") || !decision.HasWord("crm:late:a") {
		t.Error("what is known is not what was declared")
	}
}

func TestEqualRolesAreSharedAndForgotten(t *testing.T) { //nolint:paralleltest // counts the roles of the process
	before := decision.Compiled()
	var held []*decision.Policy
	for range 100 {
		p, _ := plain("crm:shared:*", "crm:shared:read")
		q, _ := plain("crm:shared:read", "crm:shared:*", "crm:shared:read")
		held = append(held, p, q)
	}
	if n := decision.Compiled(); n > before+1 { // fewer when those of other tests are forgotten
		t.Errorf("%d roles more", n-before)
	}
	runtime.KeepAlive(held)
	deadline := time.Now().Add(10 * time.Second)
	for decision.Compiled() > before && time.Now().Before(deadline) {
		runtime.GC() // clean-ups run some time after
	}
	if n := decision.Compiled(); n > before {
		t.Errorf("%d roles are left", n-before)
	}
}
