package manifest

import (
	"fmt"
	"slices"
	"strings"
)

// Limits of a bundle.
const (
	MaxFileSize   = 8 << 20
	MaxBundleSize = 32 << 20
)

// Sections are the parts of the platform's menu that items may stand in.
var sections = []string{"main", "reports", "admin"}

func (c *checker) bundle() {
	b := c.m.Bundle
	if b == nil {
		return
	}
	seen := unique{c, "file", map[string]string{}}
	var size int64
	for i, f := range b.Files {
		seen.add(fmt.Sprintf("/bundle/files/%d/path", i), f.Path)
		size += f.Size
	}
	if size > MaxBundleSize {
		c.fail("too_large", "/bundle/files", "the files have %d bytes together: at most %d are allowed", size, MaxBundleSize)
	}
	c.file("/bundle/entry", b.Entry)
}

// file checks that a path is one of the bundle.
func (c *checker) file(at, path string) {
	if path == "" {
		return
	}
	if c.m.Bundle == nil {
		c.warn("bundle", at, "%s is a file, but there is no bundle yet: add it with its files", quoted(path))
		return
	}
	var known []string
	for _, f := range c.m.Bundle.Files {
		known = append(known, f.Path)
	}
	if !slices.Contains(known, path) {
		c.fail("reference", at, "%s is not among the bundle's files: add it there%s", quoted(path), closest(path, known))
	}
}

// icon checks one that is a file.
func (c *checker) icon(at, icon string) {
	if strings.ContainsAny(icon, "./") {
		c.file(at, icon)
	}
}

func (c *checker) pages() {
	c.icon("/icon", c.m.Icon)
	paths := unique{c, "path", map[string]string{}}
	for i, r := range c.m.Routes {
		at := fmt.Sprintf("/routes/%d", i)
		paths.add(at+"/path", r.Path)
		c.file(at+"/entry", r.Entry)
		c.permission(at+"/permission", r.Permission)
		c.when(at+"/when", r.When)
	}
	ids := unique{c, "id", map[string]string{}}
	for i, w := range c.m.Widgets {
		at := fmt.Sprintf("/widgets/%d", i)
		ids.add(at+"/id", w.ID)
		c.file(at+"/entry", w.Entry)
		c.permission(at+"/permission", w.Permission)
	}
	for i, s := range c.m.Slots {
		at := fmt.Sprintf("/slots/%d", i)
		c.file(at+"/entry", s.Entry)
		c.permission(at+"/permission", s.Permission)
	}
}

func (c *checker) when(at, when string) {
	conditions, err := ParseWhen(when)
	if err != nil {
		c.fail("when", at, "%s", err)
	}
	for _, condition := range conditions {
		if condition.Setting == "" {
			continue
		}
		switch setting := c.m.Settings.Find(condition.Setting); {
		case setting == nil:
			c.fail("reference", at, "there is no setting %s: declare it in settings", quoted(condition.Setting))
		case setting.Secret:
			c.fail("when", at, "the setting %s is secret: what is shown would tell of it", quoted(condition.Setting))
		}
	}
}

func (c *checker) menu() {
	items := map[string]int{}
	ids := unique{c, "id", map[string]string{}}
	parents := map[string]bool{}
	for i, item := range c.m.Menu {
		at := fmt.Sprintf("/menu/%d/id", i)
		if slices.Contains(sections, item.ID) {
			c.fail("reserved", at, "%s is a section of the platform: choose another id", quoted(item.ID))
		}
		ids.add(at, item.ID)
		if _, twice := items[item.ID]; !twice {
			items[item.ID] = i
		}
		parents[item.Parent] = true
	}
	for i, item := range c.m.Menu {
		at := fmt.Sprintf("/menu/%d", i)
		c.icon(at+"/icon", item.Icon)
		c.permission(at+"/permission", item.Permission)
		c.when(at+"/when", item.When)
		c.parent(at+"/parent", i, items)
		c.leadsTo(at, item, parents[item.ID])
	}
	c.cycles(items)
}

func (c *checker) parent(at string, i int, items map[string]int) {
	parent := c.m.Menu[i].Parent
	if _, ok := items[parent]; ok || parent == "" || slices.Contains(sections, parent) {
		return
	}
	known := slices.Clone(sections)
	for _, item := range c.m.Menu {
		known = append(known, item.ID)
	}
	c.fail("reference", at, "there is no menu item %s: name another item, or main, reports or admin%s", quoted(parent), closest(parent, known))
}

func (c *checker) leadsTo(at string, item MenuItem, groups bool) {
	if item.Route == "" {
		if !groups {
			c.warn("reference", at, "the item leads nowhere and groups nothing: give it a route, or others this parent")
		}
		return
	}
	var known []string
	for _, r := range c.m.Routes {
		known = append(known, r.Path)
	}
	switch {
	case strings.Contains(item.Route, "{"):
		c.fail("reference", at+"/route", "%s has a {…} that a menu cannot fill: lead to a page without", quoted(item.Route))
	case !slices.Contains(known, item.Route):
		c.fail("reference", at+"/route", "%s is not among the routes: add it there%s", quoted(item.Route), closest(item.Route, known))
	}
}

// cycles tells of each ring of items once, at its first item.
func (c *checker) cycles(items map[string]int) {
	told := map[int]bool{}
	for i := range c.m.Menu {
		way := []string{}
		on := map[int]bool{}
		at, ok := i, true
		for ok && !on[at] && !told[at] {
			on[at] = true
			way = append(way, c.m.Menu[at].ID)
			at, ok = items[c.m.Menu[at].Parent]
		}
		if ok && at == i && on[i] {
			c.fail("cycle", fmt.Sprintf("/menu/%d/parent", i), "the items are inside one another: %s; give one of them another parent", strings.Join(append(way, way[0]), " in "))
			for in := range on {
				told[in] = true
			}
		}
	}
}
