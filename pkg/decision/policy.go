package decision

import (
	"iter"
	"slices"

	"github.com/buildify/core/pkg/contract"
)

// Policy is what one tenant's decisions are made by, at one revision. It never
// changes: any number of goroutines may read it, and hold on to it.
type Policy struct {
	active   bool
	enabled  [bitWords]uint64 // the first namespaces: whether they are in effect
	users    tree[user]
	grants   []*grants // by role slot; nil while a role is not known
	groups   []*group
	revision int64
	modules  []string // enabled, sorted

	bindings tree[place] // of which holder a binding is

	// Roles, groups and units have slots, which are given at their first mention,
	// known or not, and kept for as long as the policy lives.
	roleSlots, groupSlots, unitSlots tree[numbered]

	roles []role
	uses  []int32 // how many bindings there are to a role, by its slot
	units []unit

	packed int // slots after they were last given anew
	before before
}

// user is an entry of Policy.users.
type user struct {
	id id
	*holder
}

func (u user) hash() uint64 { return u.id.hash() }
func (u user) room() int    { return 32 }

// numbered is the slot of a role, group or unit.
type numbered struct {
	id   id
	slot uint32
}

func (n numbered) hash() uint64 { return n.id.hash() }
func (n numbered) room() int    { return 32 }

// place is a binding's entry in Policy.bindings: 32 bits of the hash of its id,
// and 32 bits about whose it is, a group's slot or 31 bits of the hash of a
// user's id. In doubt, all that come into question are looked at.
type place uint64

const ofGroup = 1 << 31

func (p place) hash() uint64 { return uint64(p) &^ (1<<32 - 1) }
func (p place) room() int    { return 64 }

func placed(binding id, of uint32) place { return place(binding.hash()&^(1<<32-1) | uint64(of)) }

func ofUser(user id) uint32 { return uint32(user.hash() >> 33) }

type role struct {
	id   id
	name string
}

type group struct {
	id    id
	name  string
	known bool
	holder
}

type unit struct {
	id     id
	parent uint32 // slot + 1
	known  bool
}

// before is what the last step replaced, as far as cutting the step down for a
// module needs it.
type before struct {
	grants map[uint32]*grants
	groups map[uint32]*group
	lost   bool
}

// New is the policy at revision 0, of which nothing is known: it denies
// everything.
func New() *Policy { return &Policy{enabled: [bitWords]uint64{1<<platform - 1}} }

// Revision is the revision that the policy was brought to.
func (p *Policy) Revision() int64 { return p.revision }

// Modules yields the names of the modules that the tenant has enabled, sorted.
func (p *Policy) Modules() iter.Seq[string] { return slices.Values(p.modules) }

// Serves reports whether the tenant is active and has the module enabled.
func (p *Policy) Serves(module string) bool { return p.active && slices.Contains(p.modules, module) }

// Knows reports whether a user has bindings, memberships or a suspension here.
func (p *Policy) Knows(user string) bool {
	u, ok := parseID(user)
	return ok && p.holder(u) != nil
}

// holder returns what is known of a user, nil when nothing is.
func (p *Policy) holder(u id) *holder {
	leaf, up := p.users.near(u.hash())
	for down := up - 1; down >= 0 || up < len(leaf); down, up = down-1, up+1 {
		if up < len(leaf) && leaf[up].id == u {
			return leaf[up].holder
		}
		if down >= 0 && leaf[down].id == u {
			return leaf[down].holder
		}
	}
	return nil
}

func slotOf(t *tree[numbered], u id) (uint32, bool) {
	for _, n := range t.find(u.hash()) {
		if n.id == u {
			return n.slot, true
		}
	}
	return 0, false
}

// effective reports whether permissions of the namespace count.
func (p *Policy) effective(namespace uint32) bool {
	if at := namespace >> 6; at < uint32(len(p.enabled)) {
		return p.enabled[at]>>(namespace&63)&1 != 0
	}
	_, enabled := slices.BinarySearch(p.modules, namespaces.list()[namespace].text)
	return enabled
}

// inEffect reports whether a concrete code's namespace counts.
func (p *Policy) inEffect(code string) bool {
	namespace := contract.PermissionNamespace(code)
	if n := namespaces.find(namespace); n != nil {
		return p.effective(n.index)
	}
	_, enabled := slices.BinarySearch(p.modules, namespace)
	return enabled
}

// owner finds a binding, and whose it is.
func (p *Policy) owner(b id) (of owner, found bool) {
	for _, entry := range p.bindings.find(b.hash()) {
		if entry.hash() != placed(b, 0).hash() {
			continue
		}
		if ref := uint32(entry); ref&ofGroup != 0 {
			g := p.groups[ref&^ofGroup]
			if known, found := g.find(b); found {
				return owner{entry: entry, binding: known, group: g, slot: ref &^ ofGroup}, true
			}
			continue
		}
		for _, u := range p.users.find(uint64(uint32(entry)) << 33) {
			if ofUser(u.id) != uint32(entry) {
				continue
			}
			if known, found := u.find(b); found {
				return owner{entry: entry, binding: known, user: u}, true
			}
		}
	}
	return owner{}, false
}

// owner is where a binding is.
type owner struct {
	entry   place
	binding binding
	user    user
	group   *group // nil for a user's
	slot    uint32 // the group's
}
