package menu

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"golang.org/x/text/collate"
	"golang.org/x/text/language"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/manifest"
)

// version says what a shape was made of.
type version struct {
	modules  []string // as module@version, sorted
	revision int64    // of the overrides
}

func (v version) equal(other version) bool {
	return v.revision == other.revision && slices.Equal(v.modules, other.modules)
}

// shape is the menu of a tenant as nobody in particular sees it.
type shape struct {
	of    version
	below map[string][]placed // by parent
	said  memo[[]section]     // by languages
}

// placed is an item as a tenant has it.
type placed struct {
	*item
	order  int
	hidden bool
	title  manifest.Text // instead of its own
}

// section is a part of the menu in somebody's language.
type section struct {
	id    string
	nodes []node
}

// node is an item in its place, in somebody's language.
type node struct {
	placed
	title    string
	children []node
}

// newShape places items. What the overrides say of items that are not there is
// without effect, as are moves that, by what modules changed since, would put
// an item below itself.
func newShape(of version, items []*item, overrides []contract.MenuOverride) *shape {
	said := map[string]contract.MenuOverride{}
	for _, o := range overrides {
		said[o.ItemID] = o
	}
	s := &shape{of: of, below: map[string][]placed{}}
	parents := place(items, overrides)
	for _, it := range items {
		o := said[it.id]
		p := placed{item: it, order: it.order, hidden: o.Hidden, title: manifest.Text(o.Title)}
		if o.Order != nil {
			p.order = *o.Order
		}
		s.below[parents[it.id]] = append(s.below[parents[it.id]], p)
	}
	return s
}

// place returns the parent of every item.
func place(items []*item, overrides []contract.MenuOverride) map[string]string {
	declared := declaredParents(items)
	parents, moved := maps.Clone(declared), map[string]bool{}
	for _, o := range overrides {
		if o.ParentID != "" && declared[o.ItemID] != "" && there(declared, o.ParentID) {
			parents[o.ItemID], moved[o.ItemID] = o.ParentID, true
		}
	}
	for undone := true; undone; {
		undone = false
		for _, id := range loops(parents) {
			if moved[id] {
				parents[id], moved[id], undone = declared[id], false, true
			}
		}
	}
	return parents
}

// declaredParents are where items say that they are, or else in main.
func declaredParents(items []*item) map[string]string {
	parents := make(map[string]string, len(items))
	for _, it := range items {
		parents[it.id] = it.parent
	}
	for id, parent := range parents {
		if !there(parents, parent) {
			parents[id] = sectionMain
		}
	}
	for _, id := range loops(parents) {
		parents[id] = sectionMain
	}
	return parents
}

// there reports whether something can be below id: a section, or one of the
// items whose parents these are.
func there(parents map[string]string, id string) bool {
	return parents[id] != "" || slices.Contains(sections, id)
}

// loops returns those who are, by way of their parents, below themselves.
func loops(parents map[string]string) (found []string) {
	walks := map[string]int{} // by which walk somebody was met first
	walk := 0
	for id := range parents {
		walk++
		var path []string
		at := id
		for parents[at] != "" && walks[at] == 0 {
			walks[at] = walk
			path = append(path, at)
			at = parents[at]
		}
		if walks[at] == walk {
			found = append(found, path[slices.Index(path, at):]...)
		}
	}
	return found
}

// in returns the menu in the first of the languages that each title has.
func (s *shape) in(languages []string) []section {
	key := strings.Join(languages, ",")
	all, ok := s.said.get(key)
	if ok {
		return all
	}
	spoken := language.English
	if len(languages) > 0 {
		spoken = language.Make(languages[0])
	}
	by := collate.New(spoken)
	for _, id := range sections {
		all = append(all, section{id, s.nodes(id, languages, by)})
	}
	s.said.put(key, all)
	return all
}

// nodes are the items below a parent, in order.
func (s *shape) nodes(parent string, languages []string, by *collate.Collator) []node {
	nodes := make([]node, len(s.below[parent]))
	for i, p := range s.below[parent] {
		n := node{placed: p, children: s.nodes(p.id, languages, by)}
		if len(p.title) > 0 {
			n.title = p.title.In(languages...)
		} else {
			n.title = p.say(languages)
		}
		nodes[i] = n
	}
	slices.SortFunc(nodes, func(a, b node) int {
		return cmp.Or(cmp.Compare(a.order, b.order), by.CompareString(a.title, b.title), cmp.Compare(a.id, b.id))
	})
	return nodes
}
