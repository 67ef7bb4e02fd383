package decision_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/decision"
)

// world draws changes and questions about few enough things that they meet.
type world struct {
	*rand.Rand
	users, roles, groups, units, bindings int
	codes                                 []string // concrete, all that are asked about
}

func newWorld(seed uint64, large bool) *world {
	w := &world{Rand: rand.New(rand.NewPCG(seed, 1)), users: 8, roles: 6, groups: 4, units: 7, bindings: 40}
	if large {
		w.users, w.roles, w.groups, w.units, w.bindings = 150, 40, 20, 40, 1000
	}
	for _, first := range []string{"users", "crm", "fin", "off"} {
		for _, second := range []string{"a", "b", "c"} {
			w.codes = append(w.codes, first+":"+second, first+":"+second+":x", first+":"+second+":y", first+":a:x:"+second)
		}
		w.codes = append(w.codes, first+":a:b:c:d")
	}
	return w
}

// Ids differ in their last digits, and in the first ones so that they spread.
func newID(kind, n int) string {
	return fmt.Sprintf("%08x-%04x-7000-8000-%012x", uint32(n+1)*2654435761, kind, n)
}

func (w *world) user() string    { return newID(1, w.IntN(w.users)) }
func (w *world) role() string    { return newID(2, w.IntN(w.roles)) }
func (w *world) group() string   { return newID(3, w.IntN(w.groups)) }
func (w *world) unit() string    { return newID(4, w.IntN(w.units)) }
func (w *world) binding() string { return newID(5, w.IntN(w.bindings)) }

func (w *world) chance(percent int) bool { return w.IntN(100) < percent }

func (w *world) pick(from ...string) string { return from[w.IntN(len(from))] }

// grant is a granted code.
func (w *world) grant() string {
	s := strings.Split(w.pick(w.codes...), ":")
	for i := range s {
		if w.chance(20) {
			s[i] = "*"
		}
	}
	if w.chance(30) {
		s = append(s[:1+w.IntN(len(s)-1)], "**")
	}
	return strings.Join(s, ":")
}

func (w *world) scope(unit, typ, id *string) {
	switch w.IntN(5) {
	case 0, 1:
		*unit = w.unit()
	case 2:
		*typ, *id = w.resource()
	}
}

func (w *world) resource() (typ, id string) { return w.pick("invoice", "order"), w.pick("1", "2", "3") }

func (w *world) question() decision.Question {
	q := decision.Question{User: w.user(), Permission: w.pick(w.codes...)}
	if w.chance(60) {
		q.Unit = newID(4, w.IntN(w.units+1))
	}
	if w.chance(50) {
		q.ResourceType, q.ResourceID = w.resource()
	}
	return q
}

func (w *world) step(n int) []contract.PolicyChange {
	changes := make([]contract.PolicyChange, n)
	for i := range changes {
		changes[i] = w.change()
	}
	return changes
}

func (w *world) change() (c contract.PolicyChange) {
	switch w.IntN(20) {
	case 0:
		c.Tenant = &contract.PolicyTenant{Active: w.chance(90)}
	case 1:
		c.Module = &contract.PolicyModule{Name: w.pick("crm", "fin", "off", "users"), Enabled: w.chance(70)}
	case 2, 3:
		c.Unit = &contract.PolicyUnit{ID: w.unit(), Removed: w.chance(15)}
		if w.chance(75) {
			c.Unit.ParentID = w.unit()
		}
	case 4, 5:
		c.Role = &contract.PolicyRole{ID: w.role(), Name: w.pick("one", "two"), Removed: w.chance(20)}
		for range w.IntN(4) {
			c.Role.Permissions = append(c.Role.Permissions, w.grant())
		}
	case 6:
		c.Group = &contract.PolicyGroup{ID: w.group(), Name: w.pick("one", "two"), Removed: w.chance(25)}
	case 7, 8, 9:
		c.Member = &contract.PolicyMember{GroupID: w.group(), UserID: w.user(), Removed: w.chance(30)}
	case 10:
		c.User = &contract.PolicyUser{ID: w.user(), Suspended: w.chance(65), Removed: w.chance(20)}
	default:
		c.Binding = w.bound()
	}
	return c
}

func (w *world) bound() *contract.PolicyBinding {
	b := &contract.PolicyBinding{ID: w.binding()}
	if w.chance(25) {
		b.Removed = true
		return b
	}
	b.RoleID, b.Deny = w.role(), w.chance(20)
	if w.chance(70) {
		b.UserID = w.user()
	} else {
		b.GroupID = w.group()
	}
	w.scope(&b.UnitID, &b.ResourceType, &b.ResourceID)
	if w.chance(30) {
		at := time.Unix(int64(1+w.IntN(10)), int64(w.IntN(1e9)))
		b.ExpiresAt = &at
	}
	return b
}
