package decision

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
)

// Digest is equal for policies that decide and explain equally, in whatever
// order and by whatever steps they were built. The revision is no part of it,
// nor is what has no effect: roles that nobody is bound to, what belongs to
// unknown roles and groups, and the suspension of users who have nothing.
func (p *Policy) Digest() [32]byte {
	d := digest{Hash: sha256.New(), policy: p, bound: make([]bool, len(p.roles))}
	d.flag('a', p.active)
	for _, m := range p.modules {
		d.text('m', m)
	}
	p.unitSlots.from(0, func(n numbered) bool { d.unit(p.units[n.slot]); return true })
	p.groupSlots.from(0, func(n numbered) bool { d.group(p.groups[n.slot]); return true })
	p.users.from(0, func(u user) bool { d.user(u); return true })
	p.roleSlots.from(0, func(n numbered) bool { d.role(n); return true })
	d.flush()
	return [32]byte(d.Sum(nil))
}

// digest hashes entities, each after a byte that says what it is.
type digest struct {
	hash.Hash
	policy *Policy
	bound  []bool // roles with bindings that count
	buffer []byte
}

func (d *digest) flush() {
	d.Write(d.buffer)
	d.buffer = d.buffer[:0]
}

func (d *digest) id(what byte, u id) {
	if len(d.buffer) > 1<<14 {
		d.flush()
	}
	d.buffer = append(append(d.buffer, what), u[:]...)
}

func (d *digest) number(n uint64) { d.buffer = binary.BigEndian.AppendUint64(d.buffer, n) }

func (d *digest) text(what byte, s string) {
	d.buffer = append(d.buffer, what)
	d.number(uint64(len(s)))
	d.buffer = append(d.buffer, s...)
}

func (d *digest) flag(what byte, set bool) {
	if set {
		d.buffer = append(d.buffer, what)
	}
}

func (d *digest) unit(u unit) {
	if !u.known {
		return
	}
	d.id('u', u.id)
	if u.parent != 0 {
		d.id('p', d.policy.units[u.parent-1].id)
	}
}

func (d *digest) group(g *group) {
	if !g.known {
		return
	}
	d.id('g', g.id)
	d.text('n', g.name)
	d.bindings(&g.holder)
}

func (d *digest) user(u user) {
	d.id('s', u.id)
	counts := d.bindings(u.holder)
	for _, slot := range d.policy.byID(u.groups) {
		if g := d.policy.groups[slot]; g.known {
			d.id('g', g.id)
			counts = true
		}
	}
	if !counts {
		d.buffer = d.buffer[:len(d.buffer)-1-len(u.id)]
		return
	}
	d.flag('x', u.suspended)
}

func (d *digest) bindings(h *holder) (counts bool) {
	for _, b := range h.all() {
		if d.policy.grants[b.role] == nil {
			continue
		}
		counts, d.bound[b.role] = true, true
		d.id('b', b.id)
		d.id('r', d.policy.roles[b.role].id)
		d.flag('d', b.deny)
		d.number(uint64(b.expires))
		switch at := b.scope; {
		case at.unit != 0:
			d.id('u', d.policy.units[at.unit-1].id)
		case at.resource.typ != "":
			d.text('t', at.resource.typ)
			d.text('i', at.resource.id)
		}
	}
	return counts
}

func (d *digest) role(n numbered) {
	if !d.bound[n.slot] {
		return
	}
	d.id('o', n.id)
	d.text('n', d.policy.roles[n.slot].name)
	for _, code := range d.policy.grants[n.slot].codes {
		d.text('c', code)
	}
}
