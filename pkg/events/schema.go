package events

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/buildify/core/pkg/contract"
)

// schema is a JSON Schema (2020-12). Data may gain members, so it forbids none.
type schema struct {
	Title       string             `json:"title,omitempty"` // of the root: the Go type
	Ref         string             `json:"$ref,omitempty"`
	Type        any                `json:"type,omitempty"` // a name, or two with "null"
	Description string             `json:"description,omitempty"`
	Format      string             `json:"format,omitempty"`
	Encoding    string             `json:"contentEncoding,omitempty"`
	Enum        []string           `json:"enum,omitempty"`
	Properties  map[string]*schema `json:"properties,omitempty"`
	Required    []string           `json:"required,omitempty"`
	Items       *schema            `json:"items,omitempty"`
	Values      *schema            `json:"additionalProperties,omitempty"`
	Personal    bool               `json:"x-personal,omitempty"`
	Definitions map[string]*schema `json:"$defs,omitempty"`
}

// schemaOf is the schema of what a Go type marshals to, and the paths of its
// personal members. These tags count: json, doc, enum, format, and pii:"true".
func schemaOf(t reflect.Type) (raw json.RawMessage, personal []string) {
	r := reflector{definitions: map[string]*schema{}}
	root := r.of(t)
	if root.Ref != "" {
		root = r.definitions[t.Name()]
		delete(r.definitions, t.Name())
		root.Title = t.Name()
	}
	if len(r.definitions) > 0 {
		root.Definitions = r.definitions
	}
	raw, err := json.Marshal(root)
	if err != nil {
		panic(err) // strings and maps of them do marshal
	}
	return raw, personalMembers(t, "", nil)
}

type reflector struct {
	definitions map[string]*schema
}

func (r *reflector) of(t reflect.Type) *schema {
	switch t {
	case reflect.TypeFor[time.Time]():
		return &schema{Type: "string", Format: "date-time"}
	case reflect.TypeFor[json.RawMessage](), reflect.TypeFor[any]():
		return &schema{}
	case reflect.TypeFor[contract.IDOrNull]():
		return &schema{Type: []string{"string", "null"}}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return r.of(t.Elem())
	case reflect.Struct:
		return r.structure(t)
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return &schema{Type: "string", Encoding: "base64"}
		}
		return &schema{Type: "array", Items: r.of(t.Elem())}
	case reflect.Map:
		return &schema{Type: "object", Values: r.of(t.Elem())}
	case reflect.String:
		return &schema{Type: "string"}
	case reflect.Bool:
		return &schema{Type: "boolean"}
	case reflect.Int, reflect.Int32, reflect.Int64, reflect.Uint32, reflect.Uint64:
		return &schema{Type: "integer"}
	case reflect.Float64:
		return &schema{Type: "number"}
	}
	panic(fmt.Sprintf("events: no schema of %s", t))
}

// structure is the reference to a struct's definition, which may hold itself.
func (r *reflector) structure(t reflect.Type) *schema {
	if r.definitions[t.Name()] == nil {
		s := &schema{Type: "object", Properties: map[string]*schema{}}
		r.definitions[t.Name()] = s
		for f := range members(t) {
			s.Properties[f.name] = r.member(f)
			if !f.optional {
				s.Required = append(s.Required, f.name)
			}
		}
	}
	return &schema{Ref: "#/$defs/" + t.Name()}
}

func (r *reflector) member(f field) *schema {
	s := r.of(f.Type)
	if kind, ok := s.Type.(string); ok && !f.optional {
		switch f.Type.Kind() {
		case reflect.Pointer, reflect.Map, reflect.Slice:
			s.Type = []string{kind, "null"}
		}
	}
	of := s
	if s.Items != nil {
		of = s.Items
	}
	if list := f.Tag.Get("enum"); list != "" && of.Type == "string" {
		of.Enum = strings.Split(list, ",")
		if f.optional { // what is left out may be written as empty
			of.Enum = append(of.Enum, "")
		}
	}
	if format := f.Tag.Get("format"); format != "" && !f.optional {
		of.Format = format
	}
	s.Description, s.Personal = f.Tag.Get("doc"), f.personal()
	return s
}

// field is a member of a struct's JSON.
type field struct {
	reflect.StructField
	name     string
	optional bool
}

func (f field) personal() bool { return f.Tag.Get("pii") == "true" }

// members are the fields of a struct as encoding/json writes them, those of
// embedded structs among them.
func members(t reflect.Type) func(yield func(field) bool) {
	return func(yield func(field) bool) {
		for i := range t.NumField() {
			f := t.Field(i)
			name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			switch {
			case f.Anonymous && name == "":
				for inner := range members(f.Type) {
					if !yield(inner) {
						return
					}
				}
				continue
			case name == "-" || !f.IsExported():
				continue
			case name == "":
				name = f.Name
			}
			if !yield(field{f, name, strings.Contains(options, "omit")}) {
				return
			}
		}
	}
}

// personalMembers lists the paths of personal members; within are the types that
// it is in.
func personalMembers(t reflect.Type, path string, within []reflect.Type) (paths []string) {
	for {
		switch t.Kind() {
		case reflect.Pointer:
			t = t.Elem()
			continue
		case reflect.Slice:
			t, path = t.Elem(), path+"[]"
			continue
		case reflect.Struct:
		default:
			return nil
		}
		break
	}
	for _, outer := range within {
		if outer == t {
			return nil
		}
	}
	for f := range members(t) {
		at := strings.TrimPrefix(path+"."+f.name, ".")
		if f.personal() {
			paths = append(paths, at)
			continue
		}
		paths = append(paths, personalMembers(f.Type, at, append(within, t))...)
	}
	return paths
}
