package decision

import (
	"slices"

	"github.com/buildify/core/pkg/contract"
)

func (e *edit) binding(c *contract.PolicyBinding) {
	b, ok := parseID(c.ID)
	if !ok {
		return
	}
	if c.Removed {
		e.removeBinding(b)
		return
	}
	u, ofUsers, okUser := optionalID(c.UserID)
	g, ofGroups, okGroup := optionalID(c.GroupID)
	r, okRole := parseID(c.RoleID)
	in, inUnit, okUnit := optionalID(c.UnitID)
	hasResource := c.ResourceType != ""
	if !okUser || !okGroup || !okRole || !okUnit || ofUsers == ofGroups ||
		hasResource != (c.ResourceID != "") || hasResource && inUnit {
		return
	}
	e.removeBinding(b)
	added := binding{id: b, expires: never, role: e.roleSlot(r), deny: c.Deny}
	if c.ExpiresAt != nil {
		added.expires = c.ExpiresAt.Unix()
	}
	switch {
	case inUnit:
		added.scope.unit = e.unitSlot(in) + 1
	case hasResource:
		both := c.ResourceType + c.ResourceID // so that neither keeps a larger text alive
		added.scope.resource = resource{both[:len(c.ResourceType)], both[len(c.ResourceType):]}
	}
	var d *draft
	var of uint32
	if ofUsers {
		d, of = e.ownedUser(u).draft, ofUser(u)
	} else {
		slot := e.groupSlot(g)
		d, of = e.ownedGroup(slot).draft, slot|ofGroup
	}
	d.bindings = append(d.bindings, added)
	e.use(added.role, 1)
	e.bindings.add(e.stamp, placed(b, of))
}

func (e *edit) removeBinding(b id) {
	of, found := e.owner(b)
	if !found {
		return
	}
	var d *draft
	if of.group != nil {
		d = e.ownedGroup(of.slot).draft
	} else {
		d = e.ownedUser(of.user.id).draft
	}
	e.use(of.binding.role, -1)
	at := d.find(b)
	d.bindings = slices.Delete(d.bindings, at, at+1)
	e.bindings.remove(e.stamp, of.entry.hash(), func(p place) bool { return p == of.entry })
}
