package decision_test

import (
	"flag"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/decision"
	"github.com/buildify/core/pkg/decision/naive"
)

var lives = flag.Int("lives", 24, "how many random lives of a tenant to live")

// Every answer is compared with that of package naive, after every step of many
// random lives of a tenant.
func TestAllAnswersAreThoseOfTheNaiveEvaluator(t *testing.T) {
	t.Parallel()
	for worker := range 4 {
		t.Run(fmt.Sprint(worker), func(t *testing.T) {
			t.Parallel()
			for i := worker; i < *lives; i += 4 {
				seed := uint64(i)
				l := &life{world: newWorld(seed, seed%80 == 3), T: t, seed: seed, model: naive.New(), p: decision.New(), seen: decision.New()}
				l.live()
			}
		})
	}
}

// life is one tenant's.
type life struct {
	*world
	*testing.T
	seed  uint64
	model *naive.Model
	p     *decision.Policy
	// seen is what module crm made of what it was told.
	seen *decision.Policy
	past []remembered
	now  int64
}

type remembered struct {
	*decision.Policy
	digest  [32]byte
	holders string
}

// holders tells who holds the first roles.
func holders(p *decision.Policy) (s string) {
	for n := range 6 {
		s += fmt.Sprint(p.Administered(newID(2, n), nil))
	}
	return s
}

func (l *life) live() {
	l.step(l.world.step(l.bindings * 3 / 2))
	for range 25 {
		l.step(l.world.step(1 + l.IntN(6)))
		l.now = int64(l.IntN(12))
		l.questions()
		l.listings()
		l.rebuilt()
		l.module()
		if l.chance(10) {
			l.p = decision.Pack(l.p)
		}
	}
	for _, old := range l.past {
		if old.Digest() != old.digest || holders(old.Policy) != old.holders {
			l.fail("revision %d changed after it was made", old.Revision())
		}
	}
}

func (l *life) step(changes []contract.PolicyChange) {
	l.model.Apply(changes)
	l.past = append(l.past, remembered{l.p, l.p.Digest(), holders(l.p)})
	l.p = l.p.Apply(l.p.Revision()+1, changes)
	cut, reset := l.p.ForModule(changes, "crm")
	l.minimal(cut)
	if reset {
		l.seen = l.parts("crm")
	} else {
		l.seen = l.seen.Apply(l.p.Revision(), cut)
	}
}

func (l *life) clock() int64 { return l.now }

func (l *life) fail(format string, args ...any) {
	l.Helper()
	l.Fatalf("seed %d: %s, at second %d with\n%s", l.seed, fmt.Sprintf(format, args...), l.now, show(l.model.Changes()))
}

func show(changes []contract.PolicyChange) (s string) {
	for _, c := range changes {
		v := reflect.ValueOf(c)
		for i := range v.NumField() {
			if f := v.Field(i); !f.IsNil() {
				s += fmt.Sprintf("  %s %+v\n", v.Type().Field(i).Name, f.Elem())
			}
		}
	}
	return s
}

func (l *life) questions() {
	for range 60 {
		q := l.question()
		want := l.model.Check(q, l.now)
		if got := l.p.Check(q, l.clock); got != want {
			l.fail("%+v: %v", q, got)
		}
		x := l.p.Explain(q, l.clock, nil)
		if x.Allowed != want || x.Revision != l.p.Revision() || (x.Reason == "allowed") != want ||
			(x.Deciding != nil) != (x.Reason == "allowed" || x.Reason == "denied") {
			l.fail("%+v: %+v", q, x)
		}
	}
	users := l.model.Users()
	for n := range l.users {
		if user := newID(1, n); l.p.Knows(user) != slices.Contains(users, user) {
			l.fail("knows %s: %v", user, l.p.Knows(user))
		}
	}
	for range min(l.roles, 6) {
		role := l.role()
		if got, want := l.p.Administered(role, l.clock), l.model.Administered(role, l.now); got != want {
			l.fail("administered by %s: %v", role, got)
		}
	}
}

func (l *life) listings() {
	for range 10 {
		q := l.question()
		var all []string
		for cursor := ""; ; {
			users, next := l.p.WhoCan(q, l.clock, cursor, 1+l.users/4)
			all = append(all, users...)
			if cursor = next; next == "" {
				break
			}
		}
		slices.Sort(all)
		if want := l.model.WhoCan(q, l.now); !slices.Equal(all, want) {
			l.fail("%+v: %v can, really %v", q, all, want)
		}
		l.permissions(q)
		l.holds(q)
	}
}

// What is listed is allowed, and what is declared or stands in a bound role and
// is allowed is listed.
func (l *life) permissions(q decision.Question) {
	declared := l.codes[:len(l.codes)/2]
	known := slices.Clone(declared)
	for _, b := range l.model.Bindings {
		known = append(known, l.model.Roles[b.RoleID].Permissions...)
	}
	listed := l.p.Permissions(q.User, q, l.clock, slices.Values(declared))
	if !slices.IsSorted(listed) {
		l.fail("%v", listed)
	}
	for _, code := range append(slices.Clone(l.codes), "unknown:a:x", "keys:b") {
		q.Permission = code
		held := slices.ContainsFunc(listed, func(grant string) bool { return naive.Matches(grant, code) })
		allowed := l.model.Check(q, l.now)
		if held && !allowed || allowed && !held && slices.Contains(known, code) {
			l.fail("%+v: allowed %v, but %v is listed", q, allowed, listed)
		}
	}
}

// Who holds a grant is allowed all that it matches, with all modules, in the
// scope and below it.
func (l *life) holds(q decision.Question) {
	grant := l.grant()
	if held := l.p.Effective(q.User, l.clock); len(held) > 0 && l.chance(80) {
		grant = held[l.IntN(len(held))].Permission
	}
	if l.chance(40) {
		q.Unit, q.ResourceType, q.ResourceID = "", "", ""
	}
	holds := l.p.Holds(q.User, grant, q, l.clock)
	enabled := l.model.Clone()
	for _, module := range []string{"crm", "fin", "off", "unknown"} {
		enabled.Modules[module] = true
	}
	denies := slices.ContainsFunc(l.model.Changes(), func(c contract.PolicyChange) bool { return c.Binding != nil && c.Binding.Deny })
	if !holds && !denies && !slices.Contains([]byte(grant), '*') {
		if q.Permission = grant; enabled.Check(q, l.now) {
			l.fail("%+v is allowed, but not held", q)
		}
	}
	for range 30 {
		if !holds {
			return
		}
		narrow := l.question()
		narrow.User, narrow.Permission = q.User, l.pick(append(slices.Clone(l.codes), "unknown:a:x", "keys:b")...)
		if q.Unit != "" && !slices.Contains(l.model.Above(narrow.Unit), q.Unit) {
			narrow.Unit = q.Unit
		}
		if q.ResourceType != "" {
			narrow.ResourceType, narrow.ResourceID = q.ResourceType, q.ResourceID
		}
		if naive.Matches(grant, narrow.Permission) && !enabled.Check(narrow, l.now) {
			l.fail("%s holds %s in %+v, but may not %+v", q.User, grant, q, narrow)
		}
	}
}

// However a policy came about, it is the same.
func (l *life) rebuilt() {
	all := l.model.Changes()
	l.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	half := l.IntN(len(all))
	again := decision.New().Apply(7, all[:half]).Apply(7, all[half:])
	if again.Digest() != l.p.Digest() {
		l.fail("built anew it differs\nhas %swants %s", show(pages(l.p, "")), show(pages(again, "")))
	}
	if l.parts("").Digest() != l.p.Digest() {
		l.fail("its parts differ\n%s", show(pages(l.p, "")))
	}
	if decision.Pack(l.p).Digest() != l.p.Digest() {
		l.fail("packed it differs")
	}
}

// parts puts the policy together from pages of random size.
func (l *life) parts(module string) *decision.Policy {
	p := decision.New()
	for cursor := ""; ; {
		limit := 1 + l.IntN(l.bindings/4)
		changes, next := l.p.Part(cursor, limit, module)
		if len(changes) > limit || len(changes) == 0 {
			l.fail("a page of %d has %d", limit, len(changes))
		}
		p = p.Apply(l.p.Revision(), changes)
		if cursor = next; next == "" {
			return p
		}
	}
}

func pages(p *decision.Policy, module string) []contract.PolicyChange {
	all, _ := p.Part("", 0, module)
	return all
}

// What a module was told decides like the whole, about the module's codes and
// users it knows, and holds nothing else.
func (l *life) module() {
	fresh := l.parts("crm")
	for _, cut := range []*decision.Policy{l.seen, fresh} {
		for range 60 {
			q := l.question()
			q.Permission = l.pick(l.codes[13:26]...)
			if !cut.Knows(q.User) {
				if cut == fresh && l.p.Check(q, l.clock) {
					l.fail("%+v is allowed, but the module does not know the user", q)
				}
				continue
			}
			if got, want := cut.Check(q, l.clock), l.p.Check(q, l.clock); got != want {
				l.fail("%+v: the module decides %v, the core %v\n%s", q, got, want, show(pages(cut, "")))
			}
		}
		if cut == fresh {
			l.minimal(pages(cut, ""))
		}
		for _, c := range pages(cut, "") {
			if c.Module != nil && c.Module.Name != "crm" || c.Role != nil && c.Role.Name != "" || c.Group != nil && c.Group.Name != "" {
				l.fail("the module sees %s", show([]contract.PolicyChange{c}))
			}
			if c.Role != nil && slices.ContainsFunc(c.Role.Permissions, func(code string) bool {
				return contract.PermissionNamespace(code) != "*" && contract.PermissionNamespace(code) != "crm"
			}) {
				l.fail("the module sees %s", show([]contract.PolicyChange{c}))
			}
		}
	}
}

// A module is told of nobody who does not matter to it.
func (l *life) minimal(told []contract.PolicyChange) {
	for _, c := range told {
		switch {
		case c.Member != nil && !c.Member.Removed && !l.matters("", c.Member.GroupID),
			c.Group != nil && !c.Group.Removed && !l.matters("", c.Group.ID),
			c.User != nil && c.User.Suspended && !l.matters(c.User.ID, ""),
			c.Binding != nil && !c.Binding.Removed && !l.concerns(*c.Binding):
			l.fail("the module is told %s", show([]contract.PolicyChange{c}))
		}
	}
}

func (l *life) matters(user, group string) bool {
	for _, b := range l.model.Bindings {
		if l.concerns(b) && (b.UserID == user && user != "" || b.GroupID != "" &&
			(b.GroupID == group || l.model.Members[contract.PolicyMember{GroupID: b.GroupID, UserID: user}])) {
			return true
		}
	}
	return false
}

func (l *life) concerns(b contract.PolicyBinding) bool {
	return slices.ContainsFunc(l.model.Roles[b.RoleID].Permissions, func(code string) bool {
		first := contract.PermissionNamespace(code)
		return first == "*" || first == "crm"
	})
}
