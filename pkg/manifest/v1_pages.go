package manifest

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// pages converts routes and navigation, which need one another.
func (v *conversion) pages(old map[string]any) {
	if value, ok := old["routes"]; ok {
		items, ok := value.([]any)
		if !ok {
			v.out["routes"] = value // the schema says what is wrong
			return
		}
		for i, item := range items[:min(len(items), maxConverted)] {
			v.route(fmt.Sprintf("/routes/%d", i), item)
		}
	}
	if value, ok := old["navigation"]; ok {
		v.changed("/navigation", "navigation is menu now, one list: label is title, path is route, and an item names its parent")
		v.items("/navigation", value, "")
	}
	if len(v.routes) > 0 {
		v.out["routes"] = v.routes
	}
	if len(v.menu) > 0 {
		v.out["menu"] = v.menu
	}
}

func (v *conversion) route(at string, item any) {
	to := fmt.Sprintf("/routes/%d", len(v.routes))
	o := v.object(at, to, item, "path")
	r := Route{
		Path: o.text("path", "path", "url"), Title: o.words("title", "title", "label", "name"),
		Entry: o.text("entry", "entry", "component"), Permission: o.text("permission", "permission"), When: o.text("when", "when"),
	}
	o.renamed()
	o.rest()
	if _, plain := item.(string); plain {
		v.changed(at, "a route is an object now: {\"path\": %s}", quoted(v.path(r.Path)))
	} else if path := v.path(r.Path); path != r.Path {
		v.changed(at, "the path %s is %s now, below the module's own", quoted(r.Path), quoted(path))
	}
	r.Path = v.path(r.Path)
	r.Permission = v.permissionOf(at, r.Permission)
	v.routes = append(v.routes, r)
}

func (v *conversion) permissionOf(at, code string) string {
	now := v.code(code)
	if now != code {
		v.changed(at, "its permission %s is %s now", quoted(code), quoted(now))
	}
	return now
}

var colonParameter = regexp.MustCompile(`/:([A-Za-z][A-Za-z0-9_]*)`)

// path is below the module's own path, with {name} for a segment.
func (v *conversion) path(path string) string {
	if path == "" || strings.Contains(path, "://") {
		return path
	}
	path = "/" + strings.Trim(path, "/")
	if path == "/"+v.id {
		return "/"
	}
	if rest, ok := strings.CutPrefix(path, "/"+v.id+"/"); ok {
		path = "/" + rest
	}
	return colonParameter.ReplaceAllStringFunc(path, func(s string) string { return "/{" + strings.ToLower(s[2:3]) + s[3:] + "}" })
}

// items flattens a level of the navigation.
func (v *conversion) items(at string, value any, parent string) {
	items, ok := value.([]any)
	if !ok {
		v.failSource("schema", at, "must be a list of items")
		return
	}
	for i, item := range items {
		v.item(fmt.Sprintf("%s/%d", at, i), item, parent, (i+1)*10)
	}
}

func (v *conversion) item(at string, item any, parent string, order int) {
	if len(v.menu) >= maxConverted {
		return
	}
	fields, ok := item.(map[string]any)
	if !ok {
		v.failSource("schema", at, "must be an item: {\"label\": …, \"path\": …}")
		return
	}
	o := v.object(at, fmt.Sprintf("/menu/%d", len(v.menu)), item, "title")
	m := MenuItem{
		Title: o.words("title", "label", "title", "name"), Icon: icon(o.text("icon", "icon")), Route: v.path(o.text("route", "path", "route", "url")),
		Parent: parent, Order: order, Permission: v.permissionOf(at, o.text("permission", "permission")), When: o.text("when", "when"),
	}
	if path := o.text("route", "path", "route", "url"); path != m.Route {
		v.changed(at, "the path %s is the route %s now, below the module's own", quoted(path), quoted(m.Route))
	}
	if given, ok := o.fields["order"].(json.Number); ok {
		if own, err := strconv.Atoi(given.String()); err == nil {
			m.Order = own
		}
	}
	if shown := o.text("icon", "icon"); shown != m.Icon {
		v.changed(at, "the icon %s is %s now", quoted(shown), quoted(m.Icon))
	}
	id := o.text("id", "id", "key")
	if m.ID = v.itemID(id, m); id != "" && id != m.ID {
		v.changed(at, "its id %s is %s now", quoted(id), quoted(m.ID))
	}
	o.rest("children", "items", "order")
	v.menu = append(v.menu, m)
	if m.Route != "" && !strings.Contains(m.Route, "://") && !slices.ContainsFunc(v.routes, func(r Route) bool { return r.Path == m.Route }) {
		to := fmt.Sprintf("/routes/%d", len(v.routes))
		v.origins[to] = at
		v.routes = append(v.routes, Route{Path: m.Route, Title: m.Title, Permission: m.Permission})
		v.changed(at, "its path %s is among the routes now", quoted(m.Route))
	}
	for _, key := range []string{"children", "items"} {
		if inner, ok := fields[key]; ok {
			v.items(at+"/"+key, inner, m.ID)
		}
	}
}

// itemID is the id that an item had, or one made of its path or title.
func (v *conversion) itemID(id string, m MenuItem) string {
	for _, from := range []string{m.Route, m.Title.In("en"), "item"} {
		if id == "" || slices.Contains(sections, id) {
			id = strings.TrimLeft(slug(from), "0123456789-")
		}
	}
	id = id[:min(len(id), 50)]
	taken := func(id string) bool {
		return slices.Contains(sections, id) || slices.ContainsFunc(v.menu, func(m MenuItem) bool { return m.ID == id })
	}
	free := id
	for n := 2; taken(free); n++ {
		free = fmt.Sprintf("%s-%d", id, n)
	}
	return free
}

var camel = regexp.MustCompile(`([a-z0-9])([A-Z])`)

// icon is a name as version 2 writes them.
func icon(name string) string {
	if name == "" || strings.Contains(name, ".") {
		return name
	}
	return slug(camel.ReplaceAllString(name, "$1-$2"))
}

// objectReader takes an object of version 1 apart and notes where its fields
// came from.
type objectReader struct {
	v      *conversion
	at, to string
	fields map[string]any
	used   map[string]bool
	names  [][2]string // what a field was called, and is now
	plain  bool        // it is a string that stands for its first field
}

func (v *conversion) object(at, to string, item any, first string) *objectReader {
	o := &objectReader{v: v, at: at, to: to, used: map[string]bool{}}
	v.origins[to] = at
	switch item := item.(type) {
	case string:
		o.fields, o.plain = map[string]any{first: item}, true
	case map[string]any:
		o.fields = item
	default:
		v.fail("schema", to, "must be a string or an object")
	}
	return o
}

// take finds a field under any of its names.
func (o *objectReader) take(field string, names []string) (any, string) {
	for _, name := range names {
		if value, ok := o.fields[name]; ok {
			o.used[name] = true
			if name != field {
				o.names = append(o.names, [2]string{name, field})
			}
			from := o.at + pointer(name)
			if o.plain {
				from = o.at
			}
			o.v.origins[o.to+"/"+field] = from
			return value, from
		}
	}
	return nil, ""
}

// text is a field that is a string; one that is none is an error.
func (o *objectReader) text(field string, names ...string) string {
	value, from := o.take(field, names)
	s, ok := value.(string)
	if !ok && from != "" {
		o.v.fail("schema", o.to+"/"+field, "must be a string")
	}
	return s
}

// words is a field for people.
func (o *objectReader) words(field string, names ...string) Text {
	value, from := o.take(field, names)
	switch value := value.(type) {
	case string:
		return Plain(value)
	case map[string]any:
		t := Text{}
		for language, s := range value {
			t[language], _ = s.(string)
		}
		return t
	}
	if from != "" {
		o.v.fail("schema", o.to+"/"+field, "must be a string, or an object of languages")
	}
	return nil
}

// renamed tells of fields that are called something else now.
func (o *objectReader) renamed() {
	for _, name := range o.names {
		o.v.changed(o.at+pointer(name[0]), "%s is %s now", name[0], name[1])
	}
}

// rest tells of fields that nobody took.
func (o *objectReader) rest(known ...string) {
	n, _ := o.v.source.find(o.at)
	if n == nil {
		return
	}
	for _, key := range n.keys {
		if !o.used[key] && !slices.Contains(known, key) {
			o.v.tell(Warning, o.at+pointer(key), "%s has no place in version 2 and is left out", quoted(key))
		}
	}
}
