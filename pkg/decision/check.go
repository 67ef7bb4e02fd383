package decision

import "slices"

// ask is a question being answered about one policy. It lives on the stack.
type ask struct {
	Question
	known *word // the permission's, if it has one
	bit   uint64
	now   Clock
	time  int64 // when now was asked; 0 before

	// The slots of the question's unit and all above it.
	chained bool
	units   int
	few     [6]uint32
	more    []uint32
}

// Check decides a question.
func (p *Policy) Check(q Question, now Clock) bool {
	allowed, _ := p.Decide(&q, now)
	return allowed
}

// Decide is Check that tells as well what Knows does of the question's user. It
// does not keep q.
func (p *Policy) Decide(q *Question, now Clock) (allowed, known bool) {
	u, ok := parseID(q.User)
	if !ok {
		return false, false
	}
	h := p.holder(u)
	if h == nil {
		return false, false
	}
	a := ask{Question: *q, now: now}
	return p.active && p.prepare(&a) && p.allows(h, &a), true
}

// prepare reports whether the permission can be held at all.
func (p *Policy) prepare(a *ask) bool {
	if a.known = codes.find(a.Permission); a.known != nil {
		a.bit = 1 << (a.known.index & 63)
		return p.effective(a.known.namespace)
	}
	return concrete(a.Permission) && p.inEffect(a.Permission)
}

// allows decides about a user: a deny that applies wins, else an allow must.
func (p *Policy) allows(h *holder, a *ask) bool {
	if h.suspended {
		return false
	}
	rules := h.rules()
	if !h.grouped {
		return (h.denies == 0 || !p.applies(h, rules, 0, int(h.denies), a)) && p.applies(h, rules, int(h.denies), len(rules), a)
	}
	if p.applies(h, rules, 0, int(h.denies), a) {
		return false
	}
	for _, slot := range h.groups {
		if g := p.groups[slot]; g.known && g.denies > 0 && p.applies(&g.holder, g.rules(), 0, int(g.denies), a) {
			return false
		}
	}
	if p.applies(h, rules, int(h.denies), len(rules), a) {
		return true
	}
	for _, slot := range h.groups {
		if g := p.groups[slot]; g.known && p.applies(&g.holder, g.rules(), int(g.denies), int(g.count), a) {
			return true
		}
	}
	return false
}

// applies reports whether one of the rules between two places does.
func (p *Policy) applies(h *holder, rules []rule, from, to int, a *ask) bool {
	for i := from; i < to; i++ {
		r := rules[i]
		if r.at() != 0 {
			return p.appliesIn(h, rules, i, to, a)
		}
		if p.has(r, a) && (r.scope == 0 || !a.expired(h, i)) {
			return true
		}
	}
	return false
}

// has reports whether the rule's role grants what is asked for.
func (p *Policy) has(r rule, a *ask) bool {
	g := p.grants[r.role]
	if g == nil {
		return false
	}
	if a.known != nil { // what g.has would say, without calling it
		x := g.expanded.Load()
		if at := a.known.index>>6 - x.base; at < uint32(len(x.few)) && x.few[at]&a.bit != 0 {
			return true
		}
		if a.known.index < x.known && len(x.more) == 0 {
			return false
		}
	}
	return g.has(a.known, a.Permission)
}

// appliesIn is applies for rules that hold in units and on resources.
func (p *Policy) appliesIn(h *holder, rules []rule, from, to int, a *ask) bool {
	i := from
	if a.Unit != "" {
		for ; i < to && rules[i].at() < onResource; i++ {
			if p.has(rules[i], a) && p.within(a, rules[i].at()-1) && !a.expired(h, i) {
				return true
			}
		}
	}
	if a.ResourceType == "" || i == to || rules[to-1].at() < onResource {
		return false
	}
	place := h.placeOf(resource{a.ResourceType, a.ResourceID})
	if place == 0 {
		return false
	}
	skip, _ := slices.BinarySearchFunc(rules[i:to], place, func(r rule, place uint32) int { return int(r.at()) - int(place) })
	for i += skip; i < to && rules[i].at() == place; i++ {
		if p.has(rules[i], a) && !a.expired(h, i) {
			return true
		}
	}
	return false
}

// expired asks for the time when the rule's binding ends, once a question.
func (a *ask) expired(h *holder, i int) bool {
	return h.rules()[i].scope&expiring != 0 && h.expires[i] <= a.seconds()
}

func (a *ask) seconds() int64 {
	if a.time == 0 {
		if a.now == nil {
			a.now = Now
		}
		a.time = a.now()
	}
	return a.time
}

// within reports whether the question's unit is the given one or below it. A
// unit that is not known is nowhere.
func (p *Policy) within(a *ask, unit uint32) bool {
	if !a.chained {
		a.chained = true
		if u, ok := parseID(a.Unit); ok {
			if slot, found := slotOf(&p.unitSlots, u); found {
				p.climb(a, slot)
			}
		}
	}
	for _, above := range a.few[:min(a.units, len(a.few))] {
		if above == unit {
			return true
		}
	}
	return slices.Contains(a.more, unit)
}

// climb notes a unit and all above it that are known. Those of a cycle may come
// twice: Brent's algorithm finds it.
func (p *Policy) climb(a *ask, slot uint32) {
	seen, steps, power := uint32(1<<31), 0, 1
	for p.units[slot].known && slot != seen {
		if a.units < len(a.few) {
			a.few[a.units] = slot
		} else {
			a.more = append(a.more, slot)
		}
		a.units++
		if p.units[slot].parent == 0 {
			return
		}
		if steps == power {
			seen, steps, power = slot, 0, power*2
		}
		slot = p.units[slot].parent - 1
		steps++
	}
}
