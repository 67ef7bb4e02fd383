package decision

import (
	"cmp"
	"math"
	"slices"
	"strings"
)

// holder is what one user, or one group, is bound to. It is one cache line, and
// answers most questions by itself: a large tenant costs little else than
// waiting for memory.
type holder struct {
	few       [5]rule // the rules, when there are no more
	count     uint32  // of rules
	denies    uint32  // how many of the rules, the first ones, deny
	suspended bool
	grouped   bool // whether there are groups
	*rest
}

// rule is a binding as far as deciding needs it.
type rule struct {
	role uint32 // slot
	// scope is 0 for the whole tenant, else a unit's slot + 1, or the place of a
	// resource + 1 and onResource; with expiring for a binding that ends. Rules
	// are sorted by it, expiring aside.
	scope uint32
}

const (
	expiring   = 1 << 31
	onResource = 1 << 30
)

// at is the rule's scope, whenever it ends.
func (r rule) at() uint32 { return r.scope &^ expiring }

// rest of a holder.
type rest struct {
	ids    []id     // of the bindings, in the order of the rules
	groups []uint32 // a user's groups, by slot
	*extra          // nil when nothing of it is needed
}

type extra struct {
	rules     []rule     // all, when they are more than a few
	resources []resource // of the rules, each once, sorted
	expires   []int64    // by rule; nil when none does
	draft     *draft     // while an edit changes the holder; nothing else counts then
}

const never = math.MaxInt64

type resource struct{ typ, id string }

func (r resource) compare(other resource) int {
	if c := strings.Compare(r.typ, other.typ); c != 0 {
		return c
	}
	return strings.Compare(r.id, other.id)
}

// scope is where a binding holds: in the tenant, a unit, or a resource.
type scope struct {
	unit     uint32 // slot + 1
	resource resource
}

// compare orders the tenant before units before resources.
func (s scope) compare(other scope) int {
	return cmp.Or(strings.Compare(s.resource.typ, other.resource.typ), cmp.Compare(s.unit, other.unit),
		strings.Compare(s.resource.id, other.resource.id))
}

// binding is one of a holder's, as it was granted.
type binding struct {
	id      id
	role    uint32 // slot
	deny    bool
	expires int64 // seconds since 1970, or never
	scope   scope
}

func (h *holder) rules() []rule {
	if h.count <= uint32(len(h.few)) {
		return h.few[:h.count]
	}
	return h.extra.rules
}

// binding unpacks the binding behind a rule.
func (h *holder) binding(i int) binding {
	r := h.rules()[i]
	b := binding{id: h.ids[i], role: r.role, deny: i < int(h.denies), expires: never}
	if r.scope&expiring != 0 {
		b.expires = h.expires[i]
	}
	if at := r.at(); at&onResource != 0 {
		b.scope.resource = h.resources[at&^onResource-1]
	} else {
		b.scope.unit = at
	}
	return b
}

// all unpacks the bindings, sorted by id.
func (h *holder) all() []binding {
	all := make([]binding, h.count)
	for i := range all {
		all[i] = h.binding(i)
	}
	slices.SortFunc(all, func(a, b binding) int { return slices.Compare(a.id[:], b.id[:]) })
	return all
}

// find returns a binding.
func (h *holder) find(b id) (binding, bool) {
	if h.rest == nil {
		return binding{}, false
	}
	if h.extra != nil && h.draft != nil {
		if i := h.draft.find(b); i >= 0 {
			return h.draft.bindings[i], true
		}
		return binding{}, false
	}
	if i := slices.Index(h.ids, b); i >= 0 {
		return h.binding(i), true
	}
	return binding{}, false
}

// placeOf is a resource as rules name it; 0 when none does.
func (x *extra) placeOf(r resource) uint32 {
	at, found := slices.BinarySearchFunc(x.resources, r, resource.compare)
	if !found {
		return 0
	}
	return uint32(1+at) | onResource
}

// draft is a holder being edited.
type draft struct {
	stamp    uint64 // of the edit that may change it
	bindings []binding
	groups   []uint32
	gone     bool // removed by the edit
}

func (d *draft) find(b id) int {
	return slices.IndexFunc(d.bindings, func(known binding) bool { return known.id == b })
}

// edited returns a holder with a draft of what h holds.
func (h *holder) edited(stamp uint64) holder {
	d := &draft{stamp: stamp}
	if h.rest != nil {
		d.groups = slices.Clone(h.groups)
		d.bindings = make([]binding, h.count, h.count+1)
		for i := range d.bindings {
			d.bindings[i] = h.binding(i)
		}
	}
	return holder{suspended: h.suspended, rest: &rest{extra: &extra{draft: d}}}
}

// editing returns the draft when the stamp's edit made it.
func (h *holder) editing(stamp uint64) *draft {
	if h.rest != nil && h.extra != nil && h.draft != nil && h.draft.stamp == stamp {
		return h.draft
	}
	return nil
}

// pack brings the draft into the form that questions are asked of. Nothing is
// allocated larger than needed.
func (h *holder) pack() {
	d := h.draft
	slices.SortFunc(d.bindings, func(a, b binding) int {
		if a.deny != b.deny {
			if a.deny {
				return -1
			}
			return 1
		}
		return cmp.Or(a.scope.compare(b.scope), slices.Compare(a.id[:], b.id[:]))
	})
	*h = holder{suspended: h.suspended, count: uint32(len(d.bindings)), grouped: len(d.groups) > 0}
	h.rest = &rest{ids: make([]id, len(d.bindings)), groups: fit(d.groups), extra: d.extra(len(h.few))}
	rules := h.rules()
	for i := range d.bindings {
		b := &d.bindings[i]
		h.ids[i] = b.id
		rules[i] = rule{role: b.role, scope: b.scope.unit}
		if b.scope.resource.typ != "" {
			rules[i].scope = h.placeOf(b.scope.resource)
		}
		if b.expires != never {
			rules[i].scope |= expiring
		}
		if b.deny {
			h.denies++
		}
	}
}

// extra collects what of the sorted bindings does not fit a holder with room for
// few rules.
func (d *draft) extra(few int) *extra {
	x := &extra{}
	for i := range d.bindings {
		if b := &d.bindings[i]; b.scope.resource.typ != "" {
			x.resources = append(x.resources, b.scope.resource)
		}
		if d.bindings[i].expires != never && x.expires == nil {
			x.expires = make([]int64, len(d.bindings))
		}
	}
	if len(d.bindings) > few {
		x.rules = make([]rule, len(d.bindings))
	} else if x.resources == nil && x.expires == nil {
		return nil
	}
	for i := range x.expires {
		x.expires[i] = d.bindings[i].expires
	}
	slices.SortFunc(x.resources, resource.compare)
	x.resources = fit(slices.Compact(x.resources))
	return x
}

// fit returns s without room to grow.
func fit[E any](s []E) []E {
	if len(s) == 0 {
		return nil
	}
	if len(s) == cap(s) {
		return s
	}
	exact := make([]E, len(s))
	copy(exact, s)
	return exact
}
