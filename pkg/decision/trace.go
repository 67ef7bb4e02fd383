package decision

import (
	"slices"

	"github.com/buildify/core/pkg/contract"
)

// source is a binding that a user has, themselves or by a group.
type source struct {
	binding
	group *group // nil for the user's own
}

// sources lists the bindings of a user to known roles, denies first, each kind
// by id.
func (p *Policy) sources(h *holder) []source {
	var all []source
	add := func(h *holder, g *group) {
		for i, r := range h.rules() {
			if p.grants[r.role] != nil {
				all = append(all, source{h.binding(i), g})
			}
		}
	}
	add(h, nil)
	if !h.grouped {
		return sorted(all)
	}
	for _, slot := range h.groups {
		if g := p.groups[slot]; g.known {
			add(&g.holder, g)
		}
	}
	return sorted(all)
}

func sorted(all []source) []source {
	slices.SortFunc(all, func(a, b source) int {
		if a.deny != b.deny {
			if a.deny {
				return -1
			}
			return 1
		}
		return slices.Compare(a.id[:], b.id[:])
	})
	return all
}

// ended reports whether a binding is without effect by now.
func (a *ask) ended(b binding) bool { return b.expires != never && b.expires <= a.seconds() }

// inScope reports whether the binding's scope takes the question in.
func (p *Policy) inScope(s source, a *ask) bool {
	switch at := s.scope; {
	case at.unit != 0:
		return p.within(a, at.unit-1)
	case at.resource.typ != "":
		return at.resource == resource{a.ResourceType, a.ResourceID}
	}
	return true
}

// step says of a binding what it is.
func (p *Policy) step(s source) contract.TraceStep {
	step := contract.TraceStep{
		BindingID: s.id.String(), RoleID: p.roles[s.role].id.String(), Role: p.roles[s.role].name,
		Effect: "allow", Scope: "tenant", Outcome: "applies",
	}
	if s.group != nil {
		step.GroupID, step.Group = s.group.id.String(), s.group.name
	}
	if s.deny {
		step.Effect = "deny"
	}
	switch at := s.scope; {
	case at.unit != 0:
		step.Scope = "unit:" + p.units[at.unit-1].id.String()
	case at.resource.typ != "":
		step.Scope = "resource:" + at.resource.typ + ":" + at.resource.id
	}
	return step
}
