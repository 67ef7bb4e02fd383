package decision

import (
	"slices"
	"strings"
	"sync/atomic"

	"github.com/buildify/core/pkg/contract"
)

// Apply returns the policy as it is after changes, at revision; p stays as it
// is. It costs what changes, not what there is. The changes take effect
// together, each after those before it: a binding may come before its role, and
// the removal of a user takes away what was known of them until then. A
// malformed change is skipped. A large policy may be built by several calls with
// the same revision.
func (p *Policy) Apply(revision int64, changes []contract.PolicyChange) *Policy {
	e := p.edit(revision)
	for i := range changes {
		e.change(&changes[i])
	}
	e.finish()
	if after := &e.Policy; len(after.roles)+len(after.groups)+len(after.units) <= 2*p.packed+4096 {
		return after
	}
	return e.pack()
}

// edit is a policy being made out of another one. Nothing that the other one
// holds is changed: what must be is copied first, once.
type edit struct {
	Policy
	stamp   uint64
	touched []user
	dirty   []uint32 // slots of groups

	ownRoles, ownUses, ownGroups, ownUnits bool
}

// stamps tells edits apart, in the whole process.
var stamps atomic.Uint64

func (p *Policy) edit(revision int64) *edit {
	e := &edit{Policy: *p, stamp: stamps.Add(1)}
	e.revision = revision
	e.before = before{}
	return e
}

func (e *edit) change(c *contract.PolicyChange) {
	switch {
	case c.Tenant != nil:
		e.active = c.Tenant.Active
	case c.Module != nil:
		e.module(c.Module)
	case c.Unit != nil:
		e.unit(c.Unit)
	case c.Role != nil:
		e.role(c.Role)
	case c.Group != nil:
		e.group(c.Group)
	case c.Member != nil:
		e.member(c.Member)
	case c.User != nil:
		e.user(c.User)
	case c.Binding != nil:
		e.binding(c.Binding)
	}
}

func (e *edit) module(m *contract.PolicyModule) {
	at, enabled := slices.BinarySearch(e.modules, m.Name)
	if enabled == m.Enabled || m.Name == "" || contract.PlatformNamespace(m.Name) {
		return
	}
	if enabled {
		e.modules = slices.Delete(slices.Clone(e.modules), at, at+1)
	} else {
		e.modules = slices.Insert(slices.Clone(e.modules), at, strings.Clone(m.Name))
	}
	// One that is not numbered now never gets a number that has a bit.
	if n := namespaces.add(m.Name, bitted, nil); n != nil && n.index < bitted {
		e.enabled[n.index>>6] ^= 1 << (n.index & 63)
	}
}

func (e *edit) unit(c *contract.PolicyUnit) {
	u, ok := parseID(c.ID)
	parent, given, wellFormed := optionalID(c.ParentID)
	if !ok || !wellFormed {
		return
	}
	slot := e.unitSlot(u)
	changed := unit{id: u, known: !c.Removed}
	if given && !c.Removed {
		changed.parent = e.unitSlot(parent) + 1
	}
	e.units[slot] = changed
}

func (e *edit) unitSlot(u id) uint32 {
	if !e.ownUnits {
		e.units, e.ownUnits = slices.Clone(e.units), true
	}
	slot, found := slotOf(&e.unitSlots, u)
	if !found {
		slot = uint32(len(e.units))
		e.units = append(e.units, unit{id: u})
		e.unitSlots.add(e.stamp, numbered{u, slot})
	}
	return slot
}

func (e *edit) role(c *contract.PolicyRole) {
	u, ok := parseID(c.ID)
	if !ok {
		return
	}
	slot := e.roleSlot(u)
	e.copyRoles()
	if _, noted := e.before.grants[slot]; !noted {
		if e.before.grants == nil {
			e.before.grants = map[uint32]*grants{}
		}
		e.before.grants[slot] = e.grants[slot]
	}
	e.roles[slot], e.grants[slot] = role{id: u}, nil
	if !c.Removed {
		e.roles[slot].name, e.grants[slot] = strings.Clone(c.Name), compile(c.Permissions)
	}
}

func (e *edit) copyRoles() {
	if !e.ownRoles {
		e.roles, e.grants, e.ownRoles = slices.Clone(e.roles), slices.Clone(e.grants), true
	}
}

func (e *edit) copyUses() {
	if !e.ownUses {
		e.uses, e.ownUses = slices.Clone(e.uses), true
	}
}

func (e *edit) roleSlot(u id) uint32 {
	slot, found := slotOf(&e.roleSlots, u)
	if !found {
		e.copyRoles()
		e.copyUses()
		slot = uint32(len(e.roles))
		e.roles, e.grants, e.uses = append(e.roles, role{id: u}), append(e.grants, nil), append(e.uses, 0)
		e.roleSlots.add(e.stamp, numbered{u, slot})
	}
	return slot
}

func (e *edit) group(c *contract.PolicyGroup) {
	if u, ok := parseID(c.ID); ok {
		g := e.ownedGroup(e.groupSlot(u))
		g.name, g.known = strings.Clone(c.Name), !c.Removed
	}
}

func (e *edit) groupSlot(u id) uint32 {
	slot, found := slotOf(&e.groupSlots, u)
	if !found {
		e.copyGroups()
		slot = uint32(len(e.groups))
		e.groups = append(e.groups, &group{id: u})
		e.groupSlots.add(e.stamp, numbered{u, slot})
	}
	return slot
}

func (e *edit) copyGroups() {
	if !e.ownGroups {
		e.groups, e.ownGroups = slices.Clone(e.groups), true
	}
}

// ownedGroup returns a group that may be changed in place.
func (e *edit) ownedGroup(slot uint32) *group {
	old := e.groups[slot]
	if old.editing(e.stamp) != nil {
		return old
	}
	if e.before.groups == nil {
		e.before.groups = map[uint32]*group{}
	}
	e.before.groups[slot] = old
	g := &group{id: old.id, name: old.name, known: old.known, holder: old.edited(e.stamp)}
	e.copyGroups()
	e.groups[slot] = g
	e.dirty = append(e.dirty, slot)
	return g
}

func (e *edit) member(c *contract.PolicyMember) {
	g, ok := parseID(c.GroupID)
	u, wellFormed := parseID(c.UserID)
	if !ok || !wellFormed {
		return
	}
	slot, found := slotOf(&e.groupSlots, g)
	switch is := found && e.isMember(u, slot); {
	case is && c.Removed:
		d := e.ownedUser(u).draft
		d.groups = slices.DeleteFunc(d.groups, func(s uint32) bool { return s == slot })
	case !is && !c.Removed:
		slot = e.groupSlot(g)
		d := e.ownedUser(u).draft
		d.groups = append(d.groups, slot)
	}
}

func (e *edit) isMember(u id, group uint32) bool {
	h := e.holder(u)
	if h == nil {
		return false
	}
	if d := h.editing(e.stamp); d != nil {
		return slices.Contains(d.groups, group)
	}
	return slices.Contains(h.groups, group)
}

func (e *edit) user(c *contract.PolicyUser) {
	u, ok := parseID(c.ID)
	if !ok {
		return
	}
	h := e.holder(u)
	switch {
	case c.Removed:
		if h != nil {
			e.removeUser(u)
		}
	case h == nil && c.Suspended, h != nil && h.suspended != c.Suspended:
		e.ownedUser(u).suspended = c.Suspended
	}
}

func (e *edit) removeUser(u id) {
	d := e.ownedUser(u).draft
	for i := range d.bindings {
		gone := placed(d.bindings[i].id, ofUser(u))
		e.bindings.remove(e.stamp, gone.hash(), func(p place) bool { return p == gone })
		e.use(d.bindings[i].role, -1)
	}
	d.gone = true
	e.removeEntry(u)
}

func (e *edit) removeEntry(u id) {
	e.users.remove(e.stamp, u.hash(), func(entry user) bool { return entry.id == u })
}

// ownedUser returns a user's holder with a draft that may be changed in place, a
// new one when nothing was known of the user.
func (e *edit) ownedUser(u id) *holder {
	h := e.holder(u)
	if h != nil && h.editing(e.stamp) != nil {
		return h
	}
	if h == nil {
		h = &holder{}
		*h = h.edited(e.stamp)
		e.users.add(e.stamp, user{u, h})
	} else {
		changed := h.edited(e.stamp)
		h = &changed
		s, _ := e.users.own(e.stamp, u.hash())
		s.leaf[slices.IndexFunc(s.leaf, func(entry user) bool { return entry.id == u })].holder = h
	}
	e.touched = append(e.touched, user{u, h})
	return h
}

func (e *edit) use(role uint32, by int32) {
	e.copyUses()
	e.uses[role] += by
}

// finish brings what was edited into the form that questions are asked of.
func (e *edit) finish() {
	for _, slot := range e.dirty {
		e.groups[slot].pack()
	}
	for _, u := range e.touched {
		h := u.holder
		if h.draft.gone {
			continue
		}
		h.pack()
		if h.count == 0 && !h.grouped && !h.suspended {
			e.removeEntry(u.id)
		}
	}
	e.touched, e.dirty = nil, nil
}
