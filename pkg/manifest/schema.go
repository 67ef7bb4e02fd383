package manifest

import (
	"bytes"
	"encoding/json"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// SchemaURL is the $id of the schema.
const SchemaURL = "https://buildify.dev/schemas/manifest.v2.json"

// languageTag is the form of language tags (BCP 47) that manifests may use.
const (
	languageTag  = `^[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?$`
	languageForm = "a language tag (BCP 47) such as en, de-CH or zh-Hant"
)

// messageName is the form of the keys of messages.
const messageName = `^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`

// schema is a JSON Schema whose members keep their order.
type schema struct {
	members []member
	// for the reference
	name  string // of a definition
	kind  string // what a reader calls the type
	doc   string // the description, with links
	code  string // of findings where the pattern does not match
	order []property
}

type member struct {
	key   string
	value any
}

type property struct {
	name     string
	required bool
	*schema
}

func (s *schema) set(key string, value any) *schema {
	s.members = append(s.members, member{key, value})
	return s
}

func (s *schema) get(key string) any {
	if s == nil {
		return nil
	}
	for _, m := range s.members {
		if m.key == key {
			return m.value
		}
	}
	return nil
}

// MarshalJSON writes the members in their order.
func (s *schema) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	in := json.NewEncoder(&out)
	in.SetEscapeHTML(false)
	out.WriteByte('{')
	for i, m := range s.members {
		if i > 0 {
			out.WriteByte(',')
		}
		if err := in.Encode(m.key); err != nil {
			return nil, err
		}
		out.WriteByte(':')
		if err := in.Encode(m.value); err != nil {
			return nil, err
		}
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

// document is the schema of the manifest with its definitions.
var document = sync.OnceValue(func() *generator {
	g := &generator{definitions: &schema{}, byType: map[reflect.Type]*schema{}}
	g.root = (&schema{name: "Manifest", kind: "object"}).
		set("$schema", "https://json-schema.org/draft/2020-12/schema").set("$id", SchemaURL).
		set("title", "Buildify module manifest, version 2").
		set("description", "What a module of Buildify Core says about itself. A reference with examples: docs/manifest.md.")
	g.object(g.root, reflect.TypeFor[Manifest]())
	g.root.set("$defs", g.definitions)
	return g
})

// Schema returns the JSON Schema (2020-12) of a manifest. It is the same at
// each call.
func Schema() []byte {
	var out bytes.Buffer
	in := json.NewEncoder(&out)
	in.SetEscapeHTML(false)
	in.SetIndent("", "  ")
	if err := in.Encode(document().root); err != nil {
		panic(err) // strings and numbers do marshal
	}
	return out.Bytes()
}

// generator makes a schema from Go types. These tags of fields count: json,
// doc, const, enum, default, example, pattern with patternDescription and code,
// minLength, maxLength, minimum, maximum, minItems, maxItems, unique, keys with
// keysDescription (the pattern of a map's keys), maxProperties, type (of a
// json.RawMessage). On a list, what limits strings is said of the items.
type generator struct {
	root, definitions *schema
	byType            map[reflect.Type]*schema
	ordered           []*schema // definitions as they were met
}

// names of types in the schema, where they are not those in Go.
var names = map[reflect.Type]string{
	reflect.TypeFor[settingsForm](): "Settings",
	reflect.TypeFor[settingForm]():  "Setting",
	reflect.TypeFor[itemForm]():     "SettingItem",
}

func (g *generator) object(s *schema, t reflect.Type) {
	properties := &schema{}
	required := []string{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		of := g.of(f.Type, f.Tag)
		of.describe(f.Tag)
		need := options == ""
		if need {
			required = append(required, name)
		}
		properties.set(name, of)
		s.order = append(s.order, property{name, need, of})
	}
	s.set("type", "object").set("properties", properties)
	if len(required) > 0 {
		s.set("required", required)
	}
	s.set("additionalProperties", false)
}

// reference to the definition of a struct.
func (g *generator) reference(t reflect.Type) *schema {
	definition := g.byType[t]
	if definition == nil {
		name := names[t]
		if name == "" {
			name = t.Name()
		}
		definition = &schema{name: name, kind: "object"}
		g.byType[t] = definition
		g.ordered = append(g.ordered, definition)
		g.definitions.set(name, definition)
		g.object(definition, t)
	}
	return (&schema{kind: "[" + definition.name + "](#" + strings.ToLower(definition.name) + ")"}).set("$ref", "#/$defs/"+definition.name)
}

func (g *generator) of(t reflect.Type, tag reflect.StructTag) *schema {
	switch {
	case t == reflect.TypeFor[Text]():
		return text(tag)
	case t == reflect.TypeFor[map[string]map[string]string]():
		message := (&schema{kind: "string"}).set("type", "string").set("maxLength", 4000)
		messages := mapping(message, messageName, "a key of letters, digits, dots, hyphens and underscores")
		messages.set("maxProperties", 2000)
		return mapping(messages, languageTag, languageForm).set("maxProperties", 50)
	case t == reflect.TypeFor[*Settings]():
		return g.reference(reflect.TypeFor[settingsForm]())
	case t == reflect.TypeFor[json.RawMessage]():
		if want := tag.Get("type"); want != "" {
			return (&schema{kind: want}).set("type", want)
		}
		return &schema{kind: "any"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return g.of(t.Elem(), tag)
	case reflect.Struct:
		return g.reference(t)
	case reflect.Slice:
		items := g.of(t.Elem(), tag)
		s := (&schema{kind: "list of " + items.kind}).set("type", "array").set("items", items)
		return s.numbers(tag, "minItems", "maxItems").truth(tag, "unique", "uniqueItems")
	case reflect.Map:
		return mapping(g.of(t.Elem(), ""), tag.Get("keys"), tag.Get("keysDescription")).numbers(tag, "maxProperties")
	case reflect.Bool:
		return (&schema{kind: "boolean"}).set("type", "boolean").constant(tag)
	case reflect.Int, reflect.Int64:
		return (&schema{kind: "integer"}).set("type", "integer").constant(tag).numbers(tag, "minimum", "maximum")
	case reflect.Float64:
		return (&schema{kind: "number"}).set("type", "number").numbers(tag, "minimum", "maximum")
	case reflect.String:
		return plain(tag)
	}
	panic("manifest: no schema of " + t.String())
}

func plain(tag reflect.StructTag) *schema {
	s := (&schema{kind: "string"}).set("type", "string").constant(tag)
	if list := tag.Get("enum"); list != "" {
		s.set("enum", strings.Split(list, ","))
	}
	s.numbers(tag, "minLength", "maxLength")
	if pattern := tag.Get("pattern"); pattern != "" {
		s.code = tag.Get("code")
		s.matches(pattern, tag.Get("patternDescription"))
	}
	return s
}

// text is the schema of a Text.
func text(tag reflect.StructTag) *schema {
	s := (&schema{kind: "[text](#texts)"}).set("type", []string{"string", "object"}).set("minLength", 1).numbers(tag, "maxLength")
	return s.set("minProperties", 1).set("propertyNames", (&schema{}).matches(languageTag, languageForm)).
		set("additionalProperties", (&schema{}).set("type", "string").set("minLength", 1).numbers(tag, "maxLength"))
}

// mapping is an object whose keys its author chooses.
func mapping(values *schema, keys, described string) *schema {
	return (&schema{kind: "map of " + values.kind}).set("type", "object").
		set("propertyNames", (&schema{}).matches(keys, described)).set("additionalProperties", values)
}

var seeAlso = regexp.MustCompile(` See \[[^]]*\]\([^)]*\)\.`)

func (s *schema) describe(tag reflect.StructTag) {
	if s.doc = tag.Get("doc"); s.doc != "" {
		s.set("description", seeAlso.ReplaceAllString(s.doc, ""))
	}
	if value := tag.Get("default"); value != "" {
		s.set("default", s.typed(value))
	}
	if value := tag.Get("example"); value != "" {
		example := s.typed(value)
		if s.get("type") == "array" {
			example = []any{example}
		}
		s.set("examples", []any{example})
	}
}

// matches sets a pattern and, as editors show it, what that means.
func (s *schema) matches(pattern, meaning string) *schema {
	return s.set("pattern", pattern).set("patternErrorMessage", "must be "+meaning)
}

// typed is a value of a tag in the type of the schema.
func (s *schema) typed(value string) any {
	switch s.get("type") {
	case "integer", "number":
		return json.Number(value)
	case "boolean":
		return value == "true"
	}
	return value
}

func (s *schema) constant(tag reflect.StructTag) *schema {
	if value := tag.Get("const"); value != "" {
		s.set("const", s.typed(value))
	}
	return s
}

func (s *schema) numbers(tag reflect.StructTag, keys ...string) *schema {
	for _, key := range keys {
		if value := tag.Get(key); value != "" {
			n, err := strconv.Atoi(value)
			if err != nil {
				panic("manifest: " + key + " " + value)
			}
			s.set(key, n)
		}
	}
	return s
}

func (s *schema) truth(tag reflect.StructTag, from, to string) *schema {
	if tag.Get(from) == "true" {
		s.set(to, true)
	}
	return s
}
