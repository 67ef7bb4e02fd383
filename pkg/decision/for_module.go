package decision

import (
	"slices"

	"github.com/buildify/core/pkg/contract"
)

// maxTold bounds how many members of groups a step may bring along.
const maxTold = 10_000

// ForModule cuts changes down to what a module sees of them: its own state, the
// units, roles with codes that may match one of the module's with these codes
// alone, bindings to them, and groups, members and suspended users that matter
// to those. Names are left out. What has gone is told by id in any case. p must
// be what Apply of all these changes returned. With reset the step cannot be
// told, and the module must take a snapshot ([Policy.Part]) instead.
//
// A policy made of what a module sees decides like p about the module's codes,
// for users whom it knows.
func (p *Policy) ForModule(changes []contract.PolicyChange, module string) (cut []contract.PolicyChange, reset bool) {
	if p.before.lost {
		return nil, true
	}
	c := cutting{view: view{p, module}, told: map[id]bool{}}
	for i := range changes {
		c.cut(&changes[i], changes)
	}
	c.members()
	if c.reset {
		return nil, true
	}
	return c.out, false
}

type cutting struct {
	view
	out   []contract.PolicyChange
	reset bool
	told  map[id]bool // suspended users who are part of out
	woken []uint32    // groups that came into view
}

func (c *cutting) tell(change contract.PolicyChange) { c.out = append(c.out, change) }

func (c *cutting) cut(change *contract.PolicyChange, all []contract.PolicyChange) {
	switch {
	case change.Tenant != nil, change.Unit != nil:
		c.tell(*change)
	case change.Module != nil:
		if change.Module.Name == c.module {
			c.tell(*change)
		}
	case change.Role != nil:
		c.cutRole(change.Role, all)
	case change.Group != nil:
		c.cutGroup(change.Group)
	case change.Member != nil:
		c.cutMember(change.Member)
	case change.User != nil:
		c.cutUser(change.User)
	case change.Binding != nil:
		c.cutBinding(change.Binding)
	}
}

func (c *cutting) cutRole(r *contract.PolicyRole, all []contract.PolicyChange) {
	u, ok := parseID(r.ID)
	slot, found := slotOf(&c.policy.roleSlots, u)
	if !ok || !found {
		return
	}
	if !c.role(slot) {
		c.tell(contract.PolicyChange{Role: &contract.PolicyRole{ID: u.String(), Removed: true}})
		return
	}
	c.tell(c.roleChange(slot))
	if !c.policy.before.grants[slot].concerns(c.module) && c.boundIn(all, u) < int(c.policy.uses[slot]) {
		c.reset = true // bindings that were of no interest are now
	}
}

// boundIn counts the bindings to a role that changes tell.
func (c *cutting) boundIn(changes []contract.PolicyChange, role id) int {
	told := map[id]struct{}{}
	for _, change := range changes {
		if change.Binding == nil {
			continue
		}
		if b, ok := parseID(change.Binding.ID); ok {
			if of, found := c.policy.owner(b); found && c.policy.roles[of.binding.role].id == role {
				told[b] = struct{}{}
			}
		}
	}
	return len(told)
}

func (c *cutting) cutGroup(g *contract.PolicyGroup) {
	u, ok := parseID(g.ID)
	slot, found := slotOf(&c.policy.groupSlots, u)
	switch {
	case !ok || !found:
	case !c.policy.groups[slot].known:
		c.tell(contract.PolicyChange{Group: &contract.PolicyGroup{ID: u.String(), Removed: true}})
	case c.group(slot):
		c.tell(c.groupChange(slot))
	}
}

func (c *cutting) cutMember(m *contract.PolicyMember) {
	u, ok := parseID(m.UserID)
	g, wellFormed := parseID(m.GroupID)
	if !ok || !wellFormed {
		return
	}
	slot, found := slotOf(&c.policy.groupSlots, g)
	h := c.policy.holder(u)
	if !found || h == nil || !slices.Contains(h.groups, slot) {
		c.tell(contract.PolicyChange{Member: &contract.PolicyMember{GroupID: g.String(), UserID: u.String(), Removed: true}})
		return
	}
	if c.group(slot) {
		c.tell(c.policy.memberChange(slot, u))
		c.suspension(u, h)
	}
}

// suspension tells that a user is suspended who may not have been in view.
func (c *cutting) suspension(u id, h *holder) {
	if h.suspended && !c.told[u] {
		c.told[u] = true
		c.tell(userChange(u, true))
	}
}

func (c *cutting) cutUser(changed *contract.PolicyUser) {
	u, ok := parseID(changed.ID)
	if !ok {
		return
	}
	if !changed.Suspended || changed.Removed {
		c.tell(contract.PolicyChange{User: &contract.PolicyUser{ID: u.String(), Removed: changed.Removed}})
		c.told[u] = false
	}
	if h := c.policy.holder(u); h != nil && c.user(h) {
		c.suspension(u, h)
	}
}

func (c *cutting) cutBinding(changed *contract.PolicyBinding) {
	b, ok := parseID(changed.ID)
	if !ok {
		return
	}
	of, found := c.policy.owner(b)
	if !found || !c.role(of.binding.role) {
		c.tell(contract.PolicyChange{Binding: &contract.PolicyBinding{ID: b.String(), Removed: true}})
		return
	}
	if of.group == nil {
		c.tell(c.policy.bindingChange(of.binding, mark{section: userSection, key: of.user.id}))
		c.suspension(of.user.id, of.user.holder)
		return
	}
	c.tell(c.policy.bindingChange(of.binding, mark{section: groupSection, key: of.group.id}))
	if !c.wasInView(of.slot) && !slices.Contains(c.woken, of.slot) {
		c.woken = append(c.woken, of.slot)
	}
}

// wasInView reports whether a group was bound to a role in view before the step.
func (c *cutting) wasInView(slot uint32) bool {
	old, changed := c.policy.before.groups[slot]
	if !changed {
		return true // it has this very binding since before
	}
	return slices.ContainsFunc(old.rules(), func(r rule) bool {
		if g, changed := c.policy.before.grants[r.role]; changed {
			return g.concerns(c.module)
		}
		return c.role(r.role)
	})
}

// members tells who is in the groups that came into view.
func (c *cutting) members() {
	if len(c.woken) == 0 || c.reset {
		return
	}
	for _, slot := range c.woken {
		if c.policy.groups[slot].known {
			c.tell(c.groupChange(slot))
		}
	}
	told := 0
	c.policy.users.from(0, func(u user) bool {
		for _, slot := range u.groups {
			if slices.Contains(c.woken, slot) {
				c.tell(c.policy.memberChange(slot, u.id))
				c.suspension(u.id, u.holder)
				told++
			}
		}
		c.reset = told > maxTold
		return !c.reset
	})
}
