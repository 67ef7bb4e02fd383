package decision

import (
	"cmp"
	"encoding/hex"
	"slices"
	"time"

	"github.com/buildify/core/pkg/contract"
)

// Part returns a page of the policy as changes, and the cursor of the next one,
// empty after the last. All pages applied to [New] give an equal policy. The
// order is the same at all revisions. With a module, it is what that module
// sees; see [Policy.ForModule]. Without a limit above 0 there is one page; a
// cursor that is none yields nothing.
func (p *Policy) Part(cursor string, limit int, module string) (changes []contract.PolicyChange, next string) {
	after, ok := parseMark(cursor)
	if !ok {
		return nil, ""
	}
	var last mark
	p.walk(after, view{p, module}, func(at mark, c contract.PolicyChange) bool {
		if limit > 0 && len(changes) == limit {
			next = last.String()
			return false
		}
		changes = append(changes, c)
		last = at
		return true
	})
	return changes, next
}

// mark is a position in the order of a policy's entities: by section, in there
// by the hash of a key (modules by name), and for what belongs to the key by
// kind and id.
type mark struct {
	section byte
	name    string // a module's
	key     id
	kind    byte
	sub     id
}

const (
	tenantSection = 'a' + iota
	moduleSection
	unitSection
	roleSection
	groupSection
	userSection
)

// Kinds of what belongs to a user or group, after themselves.
const (
	itself = iota
	membership
	bound
)

func (m mark) String() string {
	if m.section == moduleSection {
		return string(m.section) + m.name
	}
	return string(m.section) + hex.EncodeToString(m.key[:]) + string('0'+m.kind) + hex.EncodeToString(m.sub[:])
}

func parseMark(s string) (m mark, ok bool) {
	if s == "" {
		return m, true
	}
	m.section = s[0]
	if m.section == moduleSection {
		m.name = s[1:]
		return m, true
	}
	if len(s) != 66 || s[33] < '0' || s[33] > '0'+bound || m.section < tenantSection || m.section > userSection {
		return m, false
	}
	m.kind = s[33] - '0'
	_, err := hex.Decode(m.key[:], []byte(s[1:33]))
	if err == nil {
		_, err = hex.Decode(m.sub[:], []byte(s[34:]))
	}
	return m, err == nil
}

// starts tells from where a section is to be read, and whether it is at all.
func (m mark) starts(section byte) (hash uint64, read bool) {
	if m.section == section {
		hash = m.key.hash()
	}
	return hash, m.section <= section
}

// passed reports whether an entity of the section was read before.
func (m mark) passed(at mark) bool {
	if m.section != at.section || m.key != at.key {
		return false
	}
	return cmp.Or(cmp.Compare(at.kind, m.kind), slices.Compare(at.sub[:], m.sub[:])) <= 0
}

// walk yields the entities after a mark that are in view, in order.
func (p *Policy) walk(after mark, v view, yield func(mark, contract.PolicyChange) bool) {
	emit := func(at mark, c contract.PolicyChange) bool { return after.passed(at) || yield(at, c) }
	if _, read := after.starts(tenantSection); read &&
		!emit(mark{section: tenantSection}, contract.PolicyChange{Tenant: &contract.PolicyTenant{Active: p.active}}) {
		return
	}
	if _, read := after.starts(moduleSection); read {
		for _, m := range p.modules {
			if (after.section != moduleSection || m > after.name) && (v.module == "" || v.module == m) &&
				!yield(mark{section: moduleSection, name: m}, contract.PolicyChange{Module: &contract.PolicyModule{Name: m, Enabled: true}}) {
				return
			}
		}
	}
	more := p.walkSlots(&p.unitSlots, unitSection, after, func(at mark, slot uint32) bool {
		return !p.units[slot].known || emit(at, p.unitChange(slot))
	}) && p.walkSlots(&p.roleSlots, roleSection, after, func(at mark, slot uint32) bool {
		return p.grants[slot] == nil || !v.role(slot) || emit(at, v.roleChange(slot))
	}) && p.walkSlots(&p.groupSlots, groupSection, after, func(at mark, slot uint32) bool {
		g := p.groups[slot]
		return !v.group(slot) || (!g.known || emit(at, v.groupChange(slot))) && p.walkBindings(at, &g.holder, v, emit)
	})
	if !more {
		return
	}
	start, _ := after.starts(userSection)
	p.users.from(start, func(u user) bool { return p.walkUser(u, v, emit) })
}

func (p *Policy) walkSlots(t *tree[numbered], section byte, after mark, yield func(mark, uint32) bool) bool {
	start, read := after.starts(section)
	more := true
	if read {
		t.from(start, func(n numbered) bool {
			more = yield(mark{section: section, key: n.id}, n.slot)
			return more
		})
	}
	return more
}

func (p *Policy) walkUser(u user, v view, emit func(mark, contract.PolicyChange) bool) bool {
	at := mark{section: userSection, key: u.id}
	if u.suspended && v.user(u.holder) && !emit(at, userChange(u.id, true)) {
		return false
	}
	at.kind = membership
	for _, slot := range p.byID(u.groups) {
		at.sub = p.groups[slot].id
		if v.group(slot) && !emit(at, p.memberChange(slot, u.id)) {
			return false
		}
	}
	return p.walkBindings(at, u.holder, v, emit)
}

// byID sorts the slots of groups by the groups' ids.
func (p *Policy) byID(groups []uint32) []uint32 {
	return slices.SortedFunc(slices.Values(groups), func(a, b uint32) int {
		return slices.Compare(p.groups[a].id[:], p.groups[b].id[:])
	})
}

func (p *Policy) walkBindings(at mark, h *holder, v view, emit func(mark, contract.PolicyChange) bool) bool {
	at.kind = bound
	for _, b := range h.all() {
		at.sub = b.id
		if v.role(b.role) && !emit(at, p.bindingChange(b, at)) {
			return false
		}
	}
	return true
}

func (p *Policy) unitChange(slot uint32) contract.PolicyChange {
	c := &contract.PolicyUnit{ID: p.units[slot].id.String()}
	if parent := p.units[slot].parent; parent != 0 {
		c.ParentID = p.units[parent-1].id.String()
	}
	return contract.PolicyChange{Unit: c}
}

func (p *Policy) memberChange(group uint32, user id) contract.PolicyChange {
	return contract.PolicyChange{Member: &contract.PolicyMember{GroupID: p.groups[group].id.String(), UserID: user.String()}}
}

func userChange(u id, suspended bool) contract.PolicyChange {
	return contract.PolicyChange{User: &contract.PolicyUser{ID: u.String(), Suspended: suspended}}
}

// bindingChange is a binding of the user or group that of is a mark of.
func (p *Policy) bindingChange(b binding, of mark) contract.PolicyChange {
	c := &contract.PolicyBinding{ID: b.id.String(), RoleID: p.roles[b.role].id.String(), Deny: b.deny}
	if of.section == groupSection {
		c.GroupID = of.key.String()
	} else {
		c.UserID = of.key.String()
	}
	switch at := b.scope; {
	case at.unit != 0:
		c.UnitID = p.units[at.unit-1].id.String()
	case at.resource.typ != "":
		c.ResourceType, c.ResourceID = at.resource.typ, at.resource.id
	}
	if b.expires != never {
		at := time.Unix(b.expires, 0).UTC()
		c.ExpiresAt = &at
	}
	return contract.PolicyChange{Binding: c}
}

// pack builds the policy anew, without the slots that nothing uses any more.
func (p *Policy) pack() *Policy {
	e := New().edit(p.revision)
	p.walk(mark{}, view{policy: p}, func(_ mark, c contract.PolicyChange) bool {
		e.change(&c)
		return true
	})
	e.finish()
	e.packed = len(e.roles) + len(e.groups) + len(e.units)
	e.before = before{lost: true}
	return &e.Policy
}

// view is what is seen of a policy: all of it, or what a module sees.
type view struct {
	policy *Policy
	module string // empty for all
}

// role reports whether the role has codes that may match one of the module's.
func (v view) role(slot uint32) bool {
	return v.module == "" || v.policy.grants[slot].concerns(v.module)
}

// group reports whether the group is bound to a role in view.
func (v view) group(slot uint32) bool {
	return v.module == "" || v.bound(&v.policy.groups[slot].holder)
}

func (v view) bound(h *holder) bool {
	return slices.ContainsFunc(h.rules(), func(r rule) bool { return v.role(r.role) })
}

// user reports whether the user has bindings or memberships in view.
func (v view) user(h *holder) bool {
	return v.module == "" || v.bound(h) || slices.ContainsFunc(h.groups, v.group)
}

func (v view) roleChange(slot uint32) contract.PolicyChange {
	c := &contract.PolicyRole{ID: v.policy.roles[slot].id.String()}
	for _, code := range v.policy.grants[slot].codes {
		if v.module == "" || concerns(code, v.module) {
			c.Permissions = append(c.Permissions, code)
		}
	}
	if v.module == "" {
		c.Name = v.policy.roles[slot].name
	}
	return contract.PolicyChange{Role: c}
}

func (v view) groupChange(slot uint32) contract.PolicyChange {
	c := &contract.PolicyGroup{ID: v.policy.groups[slot].id.String()}
	if v.module == "" {
		c.Name = v.policy.groups[slot].name
	}
	return contract.PolicyChange{Group: c}
}
