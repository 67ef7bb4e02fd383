package manifest

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/buildify/core/pkg/contract"
)

// isVersion1 reports whether a text is meant as a manifest of version 1.
func isVersion1(s *source) bool {
	if version := s.raw("/manifest_version"); version != nil {
		return string(version) == "1" || string(version) == `"1"`
	}
	has := func(names ...string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return s.root.members[name] != nil })
	}
	return has("navigation", "dependencies") || has("name") && !has("id", "compat", "requires", "scopes", "menu", "bundle", "events", "backend")
}

// maxConverted items of a list are converted: more than version 2 allows, so
// that it says so.
const maxConverted = 501

// conversion makes version 2 of a manifest of version 1.
type conversion struct {
	*checker
	id     string
	out    map[string]any
	routes []Route
	menu   []MenuItem
}

// convert returns the manifest as version 2, and tells what has changed.
func (c *checker) convert() []byte {
	c.origins = map[string]string{"": ""}
	v := &conversion{checker: c, out: map[string]any{"manifest_version": Version}}
	old, _ := decode(c.source.data).(map[string]any)
	v.names(old)
	for _, key := range c.source.root.keys {
		v.field(key, old[key])
	}
	v.pages(old)
	v.defaults()
	raw, err := json.Marshal(v.out)
	if err != nil {
		c.fail("schema", "", "cannot be converted: %s", err)
		return []byte("{}")
	}
	return raw
}

// changed tells of something that is not as it was, at a place in the source.
func (v *conversion) changed(at, format string, args ...any) {
	v.tell(Info, at, format, args...)
}

func (v *conversion) tell(severity, at, format string, args ...any) {
	if v.room(severity) {
		v.put(severity, "converted", at, at, false, format, args)
	}
}

// names makes the id and the name.
func (v *conversion) names(old map[string]any) {
	v.origins["/id"] = "/name"
	name, ok := old["name"].(string)
	if !ok {
		v.fail("schema", "/id", "name must be a string: the module's id is made of it")
		v.fail("schema", "/name", "name must be a string: the module's id is made of it")
		v.broken = append(v.broken, "/publisher") // for want of a name
		return
	}
	v.id = slug(name)
	v.out["id"], v.out["name"] = v.id, name
	if v.id == name {
		v.changed("/name", "name is id now; name is for people")
	} else {
		v.changed("/name", "id is %s, made of the name; the name is for people", quoted(v.id))
	}
	for _, key := range []string{"display_name", "title"} {
		if shown, ok := old[key]; ok {
			v.out["name"] = shown
			v.origins["/name"] = "/" + key
			v.changed("/"+key, "%s is name now", key)
		}
	}
}

// field converts one of the top.
func (v *conversion) field(key string, value any) {
	at := pointer(key)
	switch key {
	case "name", "display_name", "title", "routes", "navigation":
		return // seen to elsewhere
	case "manifest_version":
		v.changed(at, "manifest_version is %d now", Version)
	case "version":
		v.version(value)
	case "author", "vendor":
		if _, both := v.out["publisher"]; !both {
			v.origins["/publisher"] = at
			v.publisher(at, value)
		}
	case "publisher":
		v.publisher(at, value)
	case "permissions":
		v.permissions(value)
	case "dependencies":
		v.dependencies(value)
	default:
		for i := range reflect.TypeFor[Manifest]().NumField() {
			if name, _, _ := strings.Cut(reflect.TypeFor[Manifest]().Field(i).Tag.Get("json"), ","); name == key {
				v.out[key] = value
				return
			}
		}
		v.tell(Warning, at, "%s has no place in version 2 and is left out", quoted(key))
	}
}

var shortVersion = regexp.MustCompile(`^v?([0-9]+)(\.[0-9]+)?(\.[0-9]+)?([-+].*)?$`)

func (v *conversion) version(value any) {
	v.out["version"] = value
	text, _ := value.(string)
	if number, ok := value.(json.Number); ok {
		text = number.String()
	}
	parts := shortVersion.FindStringSubmatch(text)
	if parts == nil {
		return
	}
	for i, short := range []int{2, 3} {
		if parts[short] == "" {
			parts[short] = []string{".0", ".0"}[i]
		}
	}
	whole := strings.Join(parts[1:], "")
	if v.out["version"] = whole; whole != value {
		v.changed("/version", "version is a semantic version: %s", quoted(whole))
	}
}

func (v *conversion) publisher(at string, value any) {
	switch value := value.(type) {
	case string:
		v.out["publisher"] = Publisher{Name: value}
		v.origins["/publisher/name"] = at
		v.changed(at, "publisher is an object now: {\"name\": %s}", quoted(value))
	default:
		v.out["publisher"] = value
		if at != "/publisher" {
			v.changed(at, "%s is publisher now", at[1:])
		}
	}
}

// code is a permission's, in the module's namespace. What is the platform's
// stays as it is, to be refused.
func (v *conversion) code(code string) string {
	code = strings.ReplaceAll(code, ".", ":")
	first, _, _ := strings.Cut(code, ":")
	if code == "" || first == v.id || contract.PlatformNamespace(first) || contract.ReservedModule(first) {
		return code
	}
	return v.id + ":" + code
}

func (v *conversion) permissions(value any) {
	items, ok := value.([]any)
	if !ok || len(items) > maxConverted {
		v.out["permissions"] = value // the schema says what is wrong
		return
	}
	all := []Permission{}
	for i, item := range items {
		at := fmt.Sprintf("/permissions/%d", i)
		o := v.object(at, at, item, "code")
		p := Permission{
			Code: o.text("code", "code", "name", "key", "id", "permission"), Title: o.words("title", "title", "label", "description"),
			Category: o.text("category", "category", "group"), Risk: o.text("risk", "risk"),
		}
		o.renamed()
		o.rest("description")
		if _, plain := item.(string); plain {
			v.changed(at, "a permission is an object now: {\"code\": %s}", quoted(v.code(p.Code)))
		} else if code := v.code(p.Code); code != p.Code {
			v.changed(at, "the permission %s is %s now", quoted(p.Code), quoted(code))
		}
		p.Code = v.code(p.Code)
		all = append(all, p)
	}
	v.out["permissions"] = all
}

func (v *conversion) dependencies(value any) {
	all := []Requirement{}
	add := func(at, key, name, rang string) {
		if name == "core" || name == "buildify" || name == "buildify-core" {
			v.out["compat"] = Compat{Core: rang}
			v.origins["/compat"], v.origins["/compat/core"] = at, at
			v.changed(at, "what it needs of the core is compat.core now: %s", quoted(rang))
			return
		}
		to := fmt.Sprintf("/requires/%d", len(all))
		v.origins[to], v.origins[to+"/module"], v.origins[to+"/range"] = at, at, at
		all = append(all, Requirement{Module: name, Range: rang})
		v.changed(at, "%s is requires now: {\"module\": %s, \"range\": %s}", key, quoted(name), quoted(rang))
	}
	switch value := value.(type) {
	case []any:
		for i, item := range value[:min(len(value), maxConverted)] {
			at := fmt.Sprintf("/dependencies/%d", i)
			name, ok := item.(string)
			if !ok {
				v.fail("schema", at, "must be the name of a module, such as \"contacts\"")
				continue
			}
			name, rang, _ := strings.Cut(name, "@")
			if rang == "" {
				rang = "*"
			}
			add(at, "dependencies", name, rang)
		}
	case map[string]any:
		names := slices.Sorted(maps.Keys(value))
		for _, name := range names[:min(len(names), maxConverted)] {
			at := "/dependencies" + pointer(name)
			rang, ok := value[name].(string)
			if !ok {
				v.fail("schema", at, "must be a range of versions, such as \"^1.2\"")
				continue
			}
			add(at, "dependencies", name, rang)
		}
	default:
		v.fail("schema", "/dependencies", "must be a list of names, or an object of names and ranges")
		return
	}
	if len(all) > 0 {
		v.out["requires"] = all
	}
}

// defaults says what version 1 could not.
func (v *conversion) defaults() {
	name, _ := v.out["name"].(string)
	if v.out["publisher"] == nil && name != "" {
		v.out["publisher"] = Publisher{Name: name}
		v.tell(Warning, "", "says no publisher: publisher.name is %s until you set it", quoted(name))
	}
	if v.out["compat"] == nil {
		v.out["compat"] = Compat{Core: "*"}
		v.tell(Warning, "", "does not say on what core it runs: compat.core is \"*\" until you set it to a range such as \"^1.2\"")
	}
}

var notSlug = regexp.MustCompile(`[^a-z0-9]+`)

// slug makes a name of what people wrote.
func slug(s string) string {
	return strings.Trim(notSlug.ReplaceAllString(strings.ToLower(s), "-"), "-")
}
