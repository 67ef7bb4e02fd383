package menu

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/manifest"
)

type brokenContributions struct{}

func (brokenContributions) Menus(context.Context, string) ([]*manifest.Manifest, error) {
	return nil, errBroken
}

// model is a menu written down naively: every item with its parent, order and
// title.
type model map[string]modelItem

type modelItem struct {
	parent, title string
	order         int
	hidden        bool
}

func (m model) outline(parent string) string {
	var ids []string
	for id, it := range m {
		if it.parent == parent && !it.hidden {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b string) int {
		return cmp.Or(cmp.Compare(m[a].order, m[b].order), cmp.Compare(m[a].title, m[b].title), cmp.Compare(a, b))
	})
	words := ""
	for _, id := range ids {
		words += " " + id + "[" + m.outline(id) + " ]"
	}
	return words
}

// loops reports whether somebody is below themselves.
func (m model) loops() bool {
	for id := range m {
		at := m[id].parent
		for range len(m) {
			if at == id {
				return true
			}
			at = m[at].parent
		}
	}
	return false
}

func nodesOutline(nodes []node) string {
	words := ""
	for _, n := range nodes {
		if !n.hidden {
			words += " " + n.id + "[" + nodesOutline(n.children) + " ]"
		}
	}
	return words
}

// random items, each below a section or one that came before it, and random
// overrides of them and of some that are not there.
func random(r *rand.Rand) (items []*item, overrides []contract.MenuOverride) {
	id := func(n int) string { return fmt.Sprintf("m:i%02d", n) }
	n := 1 + r.IntN(12)
	anyParent := func(below int) string {
		if k := r.IntN(below + 3); k < below {
			return id(k)
		}
		return sections[r.IntN(3)]
	}
	for i := range n {
		title := fmt.Sprintf("t%d", r.IntN(4))
		items = append(items, &item{
			id: id(i), parent: anyParent(i), order: r.IntN(3), route: "/x", say: func([]string) string { return title },
		})
	}
	r.Shuffle(n, func(i, j int) { items[i], items[j] = items[j], items[i] })
	for i := range n + 2 {
		if r.IntN(2) == 0 {
			continue
		}
		o := contract.MenuOverride{ItemID: id(i), Hidden: r.IntN(6) == 0}
		if r.IntN(2) == 0 {
			o.ParentID = anyParent(n + 2)
		}
		if r.IntN(2) == 0 {
			o.Order = at(r.IntN(3))
		}
		if r.IntN(3) == 0 {
			o.Title = map[string]string{"en": fmt.Sprintf("t%d", r.IntN(4))}
		}
		overrides = append(overrides, o)
	}
	r.Shuffle(len(overrides), func(i, j int) { overrides[i], overrides[j] = overrides[j], overrides[i] })
	return items, overrides
}

func applied(items []*item, overrides []contract.MenuOverride) model {
	m := model{}
	for _, it := range items {
		m[it.id] = modelItem{parent: it.parent, order: it.order, title: it.say(nil)}
	}
	for _, o := range overrides {
		it, known := m[o.ItemID]
		if !known {
			continue
		}
		it.hidden = o.Hidden
		if _, there := m[o.ParentID]; there || slices.Contains(sections, o.ParentID) {
			it.parent = o.ParentID
		}
		if o.Order != nil {
			it.order = *o.Order
		}
		if o.Title != nil {
			it.title = o.Title["en"]
		}
		m[o.ItemID] = it
	}
	return m
}

func TestWhatIsOverriddenStandsWhereTheNaiveModelHasIt(t *testing.T) {
	t.Parallel()
	sound, refused := 0, 0
	for seed := range uint64(5_000) {
		r := rand.New(rand.NewPCG(seed, 5))
		items, overrides := random(r)
		naive := applied(items, overrides)
		s := newShape(version{}, items, overrides)
		count := 0
		for _, part := range s.in([]string{"en"}) {
			if !naive.loops() {
				require.Equal(t, naive.outline(part.id), nodesOutline(part.nodes), "seed %d, %s", seed, part.id)
			}
			count += size(part.nodes)
		}
		require.Equal(t, len(items), count, "seed %d: nobody is lost or doubled, whatever is moved", seed)

		// What is refused is exactly what loops, now or once the unknown are there.
		all := model{}
		for id, parent := range declaredParents(items) {
			all[id] = modelItem{parent: parent}
		}
		for _, o := range overrides {
			if o.ParentID != "" {
				all[o.ItemID] = modelItem{parent: o.ParentID}
			}
		}
		err := checkMoves(overrides, declaredParents(items))
		if all.loops() {
			require.ErrorContains(t, err, "below itself", "seed %d", seed)
			refused++
		} else if err != nil {
			require.ErrorContains(t, err, "levels deep", "seed %d", seed)
		} else if !slices.ContainsFunc(overrides, func(o contract.MenuOverride) bool {
			return o.ParentID != "" && !there(declaredParents(items), o.ParentID) // takes no effect now
		}) {
			require.False(t, naive.loops(), "seed %d", seed)
			sound++
		}
	}
	require.Greater(t, sound, 200)
	require.Greater(t, refused, 200)
}

func size(nodes []node) int {
	n := len(nodes)
	for _, child := range nodes {
		n += size(child.children)
	}
	return n
}

// Overrides that were sound may loop with what a module's next version says:
// then those that take part are without effect, in whatever order they come.
func TestMovesThatLoopWithANewVersionAreWithoutEffect(t *testing.T) {
	t.Parallel()
	say := func([]string) string { return "t" }
	items := []*item{
		{id: "m:a", parent: "m:b", say: say}, {id: "m:b", parent: sectionMain, say: say},
		{id: "m:c", parent: sectionMain, say: say}, {id: "m:d", parent: sectionMain, say: say},
	}
	overrides := []contract.MenuOverride{{ItemID: "m:b", ParentID: "m:a"}, {ItemID: "m:c", ParentID: "m:d"}, {ItemID: "m:d", ParentID: "m:b"}}
	for range 10 {
		rand.Shuffle(len(overrides), func(i, j int) { overrides[i], overrides[j] = overrides[j], overrides[i] })
		rand.Shuffle(len(items), func(i, j int) { items[i], items[j] = items[j], items[i] })
		s := newShape(version{}, items, overrides)
		require.Equal(t, " m:b[ m:a[ ] m:d[ m:c[ ] ] ]", nodesOutline(s.in(nil)[0].nodes))
	}
	broken := []*item{{id: "m:a", parent: "m:b", say: say}, {id: "m:b", parent: "m:a", say: say}, {id: "m:c", parent: "gone:x", say: say}}
	require.Equal(t, " m:a[ ] m:b[ ] m:c[ ]", nodesOutline(newShape(version{}, broken, nil).in(nil)[0].nodes))
}

func BenchmarkMenuOfAHundredItems(b *testing.B) {
	w := newWorld(b)
	w.Permissions = everything{}
	for m := range 10 {
		var items []manifest.MenuItem
		for i := range 10 {
			items = append(items, manifest.MenuItem{
				ID: fmt.Sprintf("i%d", i), Title: manifest.Text{"en": "Title", "de": "Titel"}, Route: "/x", Permission: fmt.Sprintf("m%d:i%d:read", m, i),
			})
		}
		w.use(&manifest.Manifest{ID: fmt.Sprintf("m%d", m), Version: "1.0.0", Routes: []manifest.Route{{Path: "/x"}}, Menu: items})
	}
	ctx := w.as(false)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.Get(ctx, &contract.GetMenuRequest{Language: "de"}); err != nil {
			b.Fatal(err)
		}
	}
}
