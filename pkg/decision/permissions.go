package decision

import (
	"maps"
	"slices"
	"strings"

	"github.com/buildify/core/pkg/contract"
)

// Permissions lists the codes that a user holds in the scope of q, sorted. What
// one of them matches is allowed; wildcards over all namespaces are told
// namespace by namespace. Where a deny takes a part of a wildcard away, those of
// the declared codes, and of the codes that stand in bound roles, are listed
// that are left. declared may be nil.
func (p *Policy) Permissions(user string, q Question, now Clock, declared func(yield func(code string) bool)) []string {
	u, ok := parseID(user)
	h := p.holder(u)
	if !ok || h == nil || h.suspended || !p.active {
		return []string{}
	}
	a := ask{Question: q, now: now}
	held := map[string]struct{}{}
	var denied []string
	for _, s := range p.sources(h) {
		if !p.inScope(s, &a) || a.ended(s.binding) {
			continue
		}
		if s.deny {
			denied = append(denied, p.grants[s.role].codes...)
			continue
		}
		for _, code := range p.grants[s.role].codes {
			p.split(code, func(code string) { held[code] = struct{}{} })
		}
	}
	if len(denied) > 0 {
		held = p.subtract(held, denied, declared)
	}
	return slices.AppendSeq(make([]string, 0, len(held)), slices.Values(slices.Sorted(maps.Keys(held))))
}

// split calls yield for a granted code in each namespace in effect.
func (p *Policy) split(code string, yield func(code string)) {
	rest, every := strings.CutPrefix(code, "*:")
	switch {
	case every:
		for _, namespace := range contract.PlatformNamespaces() {
			yield(namespace + ":" + rest)
		}
		for _, module := range p.modules {
			yield(module + ":" + rest)
		}
	case p.inEffect(code):
		yield(code)
	}
}

// subtract takes what is denied away from what is held.
func (p *Policy) subtract(held map[string]struct{}, denied []string, declared func(yield func(code string) bool)) map[string]struct{} {
	left := map[string]struct{}{}
	var torn []string // wildcards of which a part is denied
	for code := range held {
		touched := slices.ContainsFunc(denied, func(deny string) bool { return overlaps(deny, code) })
		switch {
		case !touched:
			left[code] = struct{}{}
		case wildcard(code) && !slices.ContainsFunc(denied, func(deny string) bool { return covers(deny, code) }):
			torn = append(torn, code)
		}
	}
	if len(torn) == 0 {
		return left
	}
	match := func(grants []string, code string) bool {
		return slices.ContainsFunc(grants, func(grant string) bool { return matches(grant, code) })
	}
	keep := func(code string) bool {
		if concrete(code) && match(torn, code) && !match(denied, code) {
			left[code] = struct{}{}
		}
		return true
	}
	if declared != nil {
		declared(keep)
	}
	for slot, bindings := range p.uses {
		if g := p.grants[slot]; g != nil && bindings > 0 {
			for _, code := range g.codes {
				keep(code)
			}
		}
	}
	return left
}
