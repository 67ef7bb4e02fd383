package manifest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// compiled are the validators of settings, made when first asked for.
type compiled struct {
	sync.Mutex
	byKey map[string]*jsonschema.Schema
}

var settingsSchema = sync.OnceValue(func() *jsonschema.Schema {
	s, err := compile(SchemaURL+"#/$defs/Settings", decode(Schema()), false)
	if err != nil {
		panic(err) // a test compiles it
	}
	return s
})

// ParseSettings reads a schema of settings that is not part of a manifest. With
// errors there are no settings.
func ParseSettings(data []byte) (*Settings, Findings) {
	source, found := read(data)
	c := newChecker(source, found)
	if source.root != nil {
		c.schemaFindings(settingsSchema(), definition("#/$defs/Settings"), decode(data))
		s := &Settings{}
		if err := json.Unmarshal(data, s); err == nil && !c.long {
			c.settings(s, "")
		}
		if c.errors == 0 {
			return s, c.sorted()
		}
	}
	return nil, c.sorted()
}

// Validate holds an object of settings against the schema: all that are
// required and have no default must be there. The paths of the findings are
// pointers into values; no finding repeats a value, for it may be secret.
func (s *Settings) Validate(values []byte) Findings {
	source, found := read(values)
	c := newChecker(source, found)
	if source.root == nil {
		return c.sorted()
	}
	if source.root.members == nil {
		c.fail("schema", "", "must be an object of settings")
		return c.sorted()
	}
	for _, key := range slices.Sorted(maps.Keys(source.root.members)) {
		n := source.root.members[key]
		c.value(s, key, source.data[n.start:n.end])
	}
	if s != nil {
		for _, p := range s.Properties {
			if _, given := source.root.members[p.Key]; p.Required && p.Default == nil && !given {
				c.fail("missing", pointer(p.Key), "%s is required: set it", quoted(p.Key))
			}
		}
	}
	return c.sorted()
}

// ValidateValue holds the value of one setting against the schema. Paths begin
// with the key.
func (s *Settings) ValidateValue(key string, value []byte) Findings {
	read, found := read(value)
	c := newChecker(&source{}, nil)
	if read.root == nil || len(found) > 0 {
		c.fail("json", pointer(key), "%s", found[0].Message)
		return c.sorted()
	}
	c.value(s, key, value)
	return c.sorted()
}

func (c *checker) value(s *Settings, key string, value []byte) {
	setting := s.Find(key)
	if setting == nil {
		var known []string
		if s != nil {
			for _, p := range s.Properties {
				known = append(known, p.Key)
			}
		}
		c.failKey("unknown_field", pointer(key), "there is no setting %s%s", quoted(key), closest(key, known))
		return
	}
	validator, err := s.validator(setting)
	if err != nil {
		c.fail("settings", pointer(key), "cannot be checked: its schema is not one")
		return
	}
	for _, l := range leaves(validator.Validate(decode(value))) {
		c.fail("schema", pointer(key)+pointer(l.at...), "%s", plainKind(l.kind))
	}
}

func (s *Settings) validator(setting *Setting) (*jsonschema.Schema, error) {
	s.compiled.Lock()
	defer s.compiled.Unlock()
	if known := s.compiled.byKey[setting.Key]; known != nil {
		return known, nil
	}
	validator, err := compile(settingURL, decode(setting.Schema), true)
	if err != nil {
		return nil, err
	}
	if s.compiled.byKey == nil {
		s.compiled.byKey = map[string]*jsonschema.Schema{}
	}
	s.compiled.byKey[setting.Key] = validator
	return validator, nil
}

// settings checks what the schema of manifests cannot say of a schema.
func (c *checker) settings(s *Settings, base string) {
	if s == nil {
		return
	}
	for i := range s.Properties {
		p := &s.Properties[i]
		at := base + "/properties" + pointer(p.Key)
		c.setting(s, p, at)
	}
	var form settingsForm
	_ = json.Unmarshal(s.Raw, &form) // what can be read
	for i, key := range form.Required {
		if s.Find(key) == nil {
			c.fail("settings", fmt.Sprintf("%s/required/%d", base, i), "there is no setting %s: declare it in properties", quoted(key))
		}
	}
}

func (c *checker) setting(s *Settings, p *Setting, at string) {
	var form settingForm
	_ = json.Unmarshal(p.Schema, &form) // what can be read
	if p.Secret {
		if p.Type != "string" {
			c.fail("settings", at+"/type", "a secret is a string: it is kept encrypted")
		}
		for _, word := range []struct {
			name  string
			given bool
		}{{"default", form.Default != nil}, {"enum", form.Enum != nil}, {"examples", form.Examples != nil}} {
			if word.given {
				c.fail("settings", at+"/"+word.name, "a secret has no %s: everybody may read the manifest; remove it", word.name)
			}
		}
	}
	if p.Type == "array" && form.Items == nil {
		c.fail("settings", at, `an array says what its items are: add "items": {"type": "string"} or another type`)
	}
	ok := c.plainSchema(at, false)
	for _, pattern := range []struct{ at, text string }{{"/pattern", form.Pattern}, {"/items/pattern", itemPattern(form)}} {
		if _, err := regexp.Compile(pattern.text); err != nil {
			c.fail("settings", at+pattern.at, "%s is no regular expression: %s (RE2: no look-around, no back references)", quoted(pattern.text), strings.TrimPrefix(err.Error(), "error parsing regexp: "))
			ok = false
		}
	}
	if !ok || c.isBroken(at) {
		return
	}
	validator, err := s.validator(p)
	if err != nil {
		c.notSchema("settings", at, err)
		return
	}
	if form.Default != nil {
		for _, l := range leaves(validator.Validate(decode(form.Default))) {
			c.fail("settings", at+"/default"+pointer(l.at...), "the default is not valid itself: %s", plainKind(l.kind))
		}
	}
}

func itemPattern(form settingForm) string {
	if form.Items == nil {
		return ""
	}
	return form.Items.Pattern
}

// plainSchema reports whether a schema of an author stands for itself: nothing
// in it refers to anything outside of it, or of a setting at all.
func (c *checker) plainSchema(at string, inside bool) bool {
	n, ok := c.source.find(at)
	if !ok {
		return true
	}
	plain := true
	n.walk(nil, func(way []string, n *node) {
		for _, key := range n.keys {
			value, _ := decode(c.source.data[n.members[key].start:n.members[key].end]).(string)
			switch key {
			case "$ref":
				if inside && strings.HasPrefix(value, "#") {
					continue
				}
			case "$schema":
				if value == "https://json-schema.org/draft/2020-12/schema" {
					continue
				}
			case "$dynamicRef", "$id", "$anchor", "$dynamicAnchor", "$vocabulary":
			default:
				continue
			}
			plain = false
			c.failKey("schema", at+pointer(way...)+pointer(key), "a schema inside a manifest refers to nothing outside: remove %s and write out what is meant", key)
		}
	})
	return plain
}

// notSchema tells why something is no JSON Schema, where that can be seen.
func (c *checker) notSchema(code, at string, err error) {
	var invalid *jsonschema.SchemaValidationError
	if errors.As(err, &invalid) {
		if all := leaves(invalid.Err); len(all) > 0 {
			for _, l := range all {
				c.fail(code, at+pointer(l.at...), "is not valid JSON Schema: %s", plainKind(l.kind))
			}
			return
		}
	}
	c.fail(code, at, "is not valid JSON Schema: %s", err)
}
