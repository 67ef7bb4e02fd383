package decision

import "slices"

// Holds reports whether everything that grant may match is allowed to the user
// in the scope of q and all below it, as if all modules were enabled. A no may
// be wrong, where only several codes together cover the grant; a yes is not.
func (p *Policy) Holds(user, grant string, q Question, now Clock) bool {
	u, ok := parseID(user)
	h := p.holder(u)
	if !ok || h == nil || h.suspended || !p.active || !grantable(grant) {
		return false
	}
	a := ask{Question: q, now: now}
	holds := false
	for _, s := range p.sources(h) {
		codes := p.grants[s.role].codes
		if s.deny {
			if slices.ContainsFunc(codes, func(code string) bool { return overlaps(code, grant) }) &&
				p.mayApply(s, &a) && !a.ended(s.binding) {
				return false
			}
			continue
		}
		holds = holds || slices.ContainsFunc(codes, func(code string) bool { return covers(code, grant) }) &&
			p.inScope(s, &a) && !a.ended(s.binding)
	}
	return holds
}

// mayApply reports whether a binding applies to the question, or to one that is
// narrower: about a unit below, or about a resource.
func (p *Policy) mayApply(s source, a *ask) bool {
	switch at := s.scope; {
	case at.unit != 0:
		if a.Unit == "" || p.within(a, at.unit-1) {
			return true
		}
		below := ask{Question: Question{Unit: p.units[at.unit-1].id.String()}}
		u, ok := parseID(a.Unit)
		slot, found := slotOf(&p.unitSlots, u)
		return ok && found && p.within(&below, slot)
	case at.resource.typ != "":
		return a.ResourceType == "" || at.resource == resource{a.ResourceType, a.ResourceID}
	}
	return true
}
