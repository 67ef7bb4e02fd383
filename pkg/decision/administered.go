package decision

// Administered reports whether somebody administers by the role: a user, not
// suspended, who is bound to it tenant-wide and for ever, by themselves or by a
// group, and from whom no binding takes anything in the whole tenant. It looks at
// users until it finds one.
func (p *Policy) Administered(role string, now Clock) (found bool) {
	u, ok := parseID(role)
	slot, known := slotOf(&p.roleSlots, u)
	if !ok || !known || p.grants[slot] == nil {
		return false
	}
	a := ask{now: now}
	of := func(h *holder) (bound, denied bool) {
		for i, r := range h.rules() {
			switch deny := i < int(h.denies); {
			case r.at() != 0: // not in the whole tenant
			case deny && p.grants[r.role] != nil && !a.ended(h.binding(i)):
				return false, true
			case !deny && r.role == slot && r.scope == 0:
				bound = true
			}
		}
		return bound, false
	}
	administers := func(h *holder) bool {
		bound, denied := of(h)
		if h.grouped {
			for _, g := range h.groups {
				if p.groups[g].known {
					b, d := of(&p.groups[g].holder)
					bound, denied = bound || b, denied || d
				}
			}
		}
		return bound && !denied
	}
	p.users.from(0, func(u user) bool {
		found = !u.suspended && administers(u.holder)
		return !found
	})
	return found
}
