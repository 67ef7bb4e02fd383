package app

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/directory"
)

// plainOrg is an organisation as simple as can be: what the database must agree
// with.
type plainOrg map[string]*plainUnit

type plainUnit struct {
	kind, parent, code, name string
	removed, with            string // the deletion that it went with
}

// there is a unit that is not deleted, nil for another.
func (p plainOrg) there(id string) *plainUnit {
	if u := p[id]; u != nil && u.removed == "" {
		return u
	}
	return nil
}

func (p plainOrg) path(id string) (up []string) {
	for at := id; at != ""; at = p[at].parent {
		up = append(up, at)
		if len(up) > len(p) {
			panic("a cycle")
		}
	}
	return up
}

// below are a unit and those in it that belong to the same deletion, or to none.
func (p plainOrg) below(id string) (all []string, levels int) {
	all, levels = []string{id}, 1
	for child, u := range p {
		if u.parent == id && u.with == p[id].with {
			more, height := p.below(child)
			all, levels = append(all, more...), max(levels, height+1)
		}
	}
	return all, levels
}

func (p plainOrg) codeIsFree(id, parent, code string) bool {
	for other, u := range p {
		if other != id && u.removed == "" && u.parent == parent && strings.EqualFold(u.code, code) {
			return false
		}
	}
	return true
}

// place is what a unit is told that is to be in parent.
func (p plainOrg) place(id, kind string, levels int, parent string) contract.Code {
	to := p.there(parent)
	switch {
	case to == nil:
		return contract.NotFound
	case kind == "branch" && to.kind != "company":
		return contract.InvalidArgument
	case slices.Contains(p.path(parent), id):
		return contract.Conflict
	case len(p.path(parent))+levels > contract.OrgDepth:
		return contract.Conflict
	}
	return ""
}

// deed is something done to an organisation.
type deed struct {
	what, unit, parent, kind, code string
	withBelow                      bool

	refused  contract.Code // what was told
	revision int64         // of the unit, after it
}

// do does it, and returns what is told.
func (p plainOrg) do(d *deed) contract.Code {
	u := p[d.unit]
	if d.what != "create" && d.what != "restore" && p.there(d.unit) == nil || d.what == "restore" && u == nil {
		return contract.NotFound
	}
	switch d.what {
	case "create":
		return p.create(d)
	case "update":
		if !p.codeIsFree(d.unit, u.parent, d.code) {
			return contract.AlreadyExists
		}
		u.code, u.name = d.code, d.code
	case "move":
		return p.move(d, u)
	case "delete":
		all, _ := p.below(d.unit)
		if len(all) > 1 && !d.withBelow {
			return contract.Conflict
		}
		for _, id := range all {
			p[id].removed, p[id].with = "yes", d.unit
		}
	case "restore":
		return p.restore(d, u)
	}
	return ""
}

func (p plainOrg) create(d *deed) contract.Code {
	if (d.kind == "company") != (d.parent == "") {
		return contract.InvalidArgument
	}
	if d.parent != "" {
		if refused := p.place(d.unit, d.kind, 1, d.parent); refused != "" {
			return refused
		}
	}
	if !p.codeIsFree("", d.parent, d.code) {
		return contract.AlreadyExists
	}
	p[d.unit] = &plainUnit{kind: d.kind, parent: d.parent, code: d.code, name: d.code}
	return ""
}

func (p plainOrg) move(d *deed, u *plainUnit) contract.Code {
	if u.kind == "company" {
		return contract.Conflict
	}
	_, levels := p.below(d.unit)
	if refused := p.place(d.unit, u.kind, levels, d.parent); refused != "" {
		return refused
	}
	if !p.codeIsFree(d.unit, d.parent, u.code) {
		return contract.AlreadyExists
	}
	u.parent = d.parent
	return ""
}

func (p plainOrg) restore(d *deed, u *plainUnit) contract.Code {
	if u.removed == "" {
		return contract.Conflict
	}
	all, levels := []string{d.unit}, 1
	if d.withBelow {
		all, levels = p.below(d.unit)
	}
	if u.parent != "" {
		if p.there(u.parent) == nil || p.place(d.unit, u.kind, levels, u.parent) != "" {
			return contract.Conflict
		}
	}
	if !p.codeIsFree(d.unit, u.parent, u.code) {
		return contract.AlreadyExists
	}
	for _, id := range all {
		p[id].removed, p[id].with = "", ""
	}
	return ""
}

// crowd changes an organisation at random, alone or many at once.
type crowd struct {
	*org
	mu    sync.Mutex
	known []string // units that were ever made, of any state
}

func (c *crowd) any(r *rand.Rand) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.known) == 0 {
		return kit.NewID()
	}
	if r.IntN(3) == 0 { // trees get deep where the latest grows
		return c.known[len(c.known)-1]
	}
	return c.known[r.IntN(len(c.known))]
}

// deed picks one. Codes are few, so that they meet.
func (c *crowd) deed(r *rand.Rand) *deed {
	pick := func(all ...string) string { return all[r.IntN(len(all))] }
	d := &deed{
		what: pick("create", "create", "create", "create", "update", "move", "move", "move", "move", "delete", "restore", "restore"),
		unit: c.any(r), parent: c.any(r), kind: pick("company", "branch", "department", "department", "department"),
		code: pick("a", "A", "b", "C", "c", "dd", "e.1", "E.1", "f", "g", "H", "i"), withBelow: r.IntN(3) > 0,
	}
	if d.what == "create" {
		d.unit = kit.NewID() // not yet
		if d.kind == "company" && r.IntN(10) > 0 {
			d.parent = ""
		}
	}
	if d.what == "delete" && r.IntN(3) > 0 {
		d.withBelow = false
	}
	return d
}

// do asks the service, and notes what it told.
func (c *crowd) do(d *deed) {
	c.t.Helper()
	var unit *contract.OrgUnit
	var err error
	switch d.what {
	case "create":
		unit, err = c.CreateUnit(c.ctx(), c.wanted(d.kind, d.parent, d.code))
	case "update":
		unit, err = c.update(d.unit, contract.UpdateUnitRequest{Code: &d.code, Name: &d.code})
	case "move":
		unit, err = c.move(d.unit, d.parent)
	case "restore":
		unit, err = c.restore(d.unit, d.withBelow)
	case "delete":
		var removal *contract.UnitRemoval
		if removal, err = c.remove(d.unit, d.withBelow); err == nil {
			unit = &contract.OrgUnit{ID: d.unit, Revision: removal.Revision}
		}
	}
	var refused *contract.Error
	switch {
	case errors.As(err, &refused):
		d.refused = refused.Code
		return
	case err != nil:
		c.t.Error(err)
		return
	}
	d.unit, d.revision = unit.ID, unit.Revision
	if d.what == "create" {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.known = append(c.known, unit.ID)
	}
}

// requireSame holds that the database has what the plain organisation has, that
// the tree is sound, and that whoever follows the events has the same picture.
func (c *crowd) requireSame(p plainOrg) {
	c.t.Helper()
	var stored []contract.OrgUnit
	r := &contract.SnapshotRequest{}
	for more := true; more; more = r.Cursor != "" {
		page, err := c.ListUnits(c.ctx(), r)
		require.NoError(c.t, err)
		stored, r.Cursor = append(stored, page.Items...), page.NextCursor
	}
	got := map[string]string{}
	for _, u := range stored {
		got[u.ID] = fmt.Sprint(u.Kind, u.ParentID, u.Code, u.Name, u.Removed)
	}
	want := map[string]string{}
	for id, u := range p {
		want[id] = fmt.Sprint(u.kind, u.parent, u.code, u.name, u.removed != "")
	}
	require.Equal(c.t, want, got)
	requireSound(c.t, stored)

	require.ElementsMatch(c.t, stored, c.Directory.Units(string(c.tenant)), "of the replica itself")
	follower := directory.New(slog.New(slog.DiscardHandler))
	told := c.told()
	rand.Shuffle(len(told), func(i, j int) { told[i], told[j] = told[j], told[i] })
	for _, unit := range told {
		follower.PutUnit(unit)
	}
	require.ElementsMatch(c.t, stored, follower.Units(string(c.tenant)), "of whoever follows the events, in any order")
}

// requireSound holds that the tree is one, without asking how it came about.
func requireSound(t testing.TB, all []contract.OrgUnit) {
	t.Helper()
	byID, codes := map[string]contract.OrgUnit{}, map[string]bool{}
	for _, u := range all {
		byID[u.ID] = u
	}
	for _, u := range all {
		above, has := byID[u.ParentID]
		require.Equal(t, u.Kind != "company", has)
		require.False(t, u.Kind == "branch" && above.Kind != "company")
		require.False(t, above.Removed && !u.Removed, "a unit in one that is deleted")
		levels := 1
		for at := u; at.ParentID != ""; at = byID[at.ParentID] {
			levels++
			require.LessOrEqual(t, levels, len(all), "a cycle")
		}
		if u.Removed {
			continue
		}
		require.LessOrEqual(t, levels, contract.OrgDepth)
		code := u.ParentID + "/" + strings.ToLower(u.Code)
		require.False(t, codes[code], "a code twice")
		codes[code] = true
	}
}

// One after the other, each is told what the plain organisation tells.
func TestAnOrganisationAgreesWithAPlainOne(t *testing.T) {
	t.Parallel()
	outcomes := map[string]int{}
	for range 4 {
		seed := rand.Uint64()
		r := rand.New(rand.NewPCG(seed, 0))
		c, p := &crowd{org: newOrg(t)}, plainOrg{}
		for range 600 {
			d := c.deed(r)
			c.do(d)
			require.Equal(t, p.do(d), d.refused, "seed %d: %+v", seed, d)
			outcomes[d.what+" "+string(d.refused)]++
		}
		c.requireSame(p)
	}
	for _, happened := range []string{
		"create ", "update ", "move ", "delete ", "restore ",
		"create already_exists", "update already_exists", "move already_exists", "move conflict", "delete conflict", "restore conflict",
	} {
		require.NotZero(t, outcomes[happened], "%s: %v", happened, outcomes)
	}
}

// Many at once: what was done was done one after the other, as the revisions
// tell, and each of it might be done when it was.
func TestAnOrganisationThatManyChangeAtOnceStaysSound(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Log("seed", seed)
	c := &crowd{org: newOrg(t)}
	var all []*deed
	var together sync.WaitGroup
	for i := range 6 {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		together.Go(func() {
			for range 200 {
				d := c.deed(r)
				c.do(d)
				c.mu.Lock()
				all = append(all, d)
				c.mu.Unlock()
			}
		})
	}
	together.Wait()
	told := map[string][]contract.OrgUnit{}
	for _, unit := range c.told() {
		told[unit.ID] = append(told[unit.ID], unit)
	}
	all = slices.DeleteFunc(all, func(d *deed) bool { return d.refused != "" || !d.changed(told[d.unit]) })
	slices.SortStableFunc(all, func(a, b *deed) int { return cmp.Compare(a.revision, b.revision) })
	p := plainOrg{}
	for _, d := range all {
		require.Empty(t, p.do(d), "%+v", d)
	}
	require.NotEmpty(t, p)
	c.requireSame(p)
}

// changed reports whether it changed something, by what was told of the unit:
// what changes nothing answers the revision of an earlier change, which may be
// that of a unit above.
func (d *deed) changed(told []contract.OrgUnit) bool {
	if d.what != "update" && d.what != "move" {
		return true
	}
	i := slices.IndexFunc(told, func(u contract.OrgUnit) bool { return u.Revision == d.revision })
	return i > 0 && (d.what == "move" && told[i-1].ParentID != d.parent ||
		d.what == "update" && (told[i-1].Code != d.code || told[i-1].Name != d.code))
}
