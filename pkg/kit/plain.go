package kit

import (
	"reflect"
	"regexp"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// plainDecoder reads the requests that make up the hot path without building
// a tree first: an object of string members, plain ASCII, each once. Whatever
// is not that plain, or breaks a constraint, it declines, and the decoder,
// whose word on what is valid is final, looks at it.
type plainDecoder struct {
	fields   []plainField
	required uint64 // bits of fields
}

type plainField struct {
	name     string
	index    int
	min, max int
	pattern  *regexp.Regexp
	uuid     bool
}

// newPlainDecoder returns nil for a request that has members other than
// strings, or constraints that are not known here.
func newPlainDecoder(request reflect.Type, schema *huma.Schema) *plainDecoder {
	d := &plainDecoder{}
	if request.NumField() == 0 || request.NumField() > 64 {
		return nil
	}
	for i := range request.NumField() {
		f := request.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		s := schema.Properties[name]
		if f.Type.Kind() != reflect.String || s == nil || s.Enum != nil || (s.Format != "" && s.Format != "uuid") {
			return nil
		}
		field := plainField{name: name, index: i, max: 1 << 20, uuid: s.Format == "uuid"}
		if s.MinLength != nil {
			field.min = *s.MinLength
		}
		if s.MaxLength != nil {
			field.max = *s.MaxLength
		}
		if s.Pattern != "" {
			field.pattern = regexp.MustCompile(s.Pattern)
		}
		for _, required := range schema.Required {
			if required == name {
				d.required |= 1 << i
			}
		}
		d.fields = append(d.fields, field)
	}
	return d
}

// decode fills request, a pointer to the struct, and reports whether it could.
// A request that was declined may be half filled.
func (d *plainDecoder) decode(data []byte, request reflect.Value) bool {
	s := scanner{data: data}
	if !s.next('{') {
		return false
	}
	var seen uint64
	for first := true; !s.next('}'); first = false {
		if !first && !s.next(',') {
			return false
		}
		name, ok := s.text()
		if !ok || !s.next(':') {
			return false
		}
		field := d.field(name)
		if field == nil || seen&(1<<field.index) != 0 {
			return false
		}
		seen |= 1 << field.index
		value, ok := s.text()
		if !ok || !field.valid(value) {
			return false
		}
		request.Field(field.index).SetString(string(value))
	}
	s.space()
	return len(s.data) == 0 && seen&d.required == d.required
}

func (d *plainDecoder) field(name []byte) *plainField {
	for i := range d.fields {
		if d.fields[i].name == string(name) {
			return &d.fields[i]
		}
	}
	return nil
}

func (f *plainField) valid(value []byte) bool {
	if len(value) < f.min || len(value) > f.max || (f.uuid && !canonicalUUID(value)) {
		return false
	}
	return f.pattern == nil || f.pattern.Match(value)
}

// canonicalUUID knows the usual spelling only.
func canonicalUUID(value []byte) bool {
	if len(value) != 36 {
		return false
	}
	for i, c := range value {
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
				return false
			}
		}
	}
	return true
}

// scanner takes JSON apart from the front.
type scanner struct{ data []byte }

func (s *scanner) space() {
	for len(s.data) > 0 && (s.data[0] == ' ' || s.data[0] == '\n' || s.data[0] == '\t' || s.data[0] == '\r') {
		s.data = s.data[1:]
	}
}

// next takes the character c, after white space, if it is there.
func (s *scanner) next(c byte) bool {
	s.space()
	if len(s.data) == 0 || s.data[0] != c {
		return false
	}
	s.data = s.data[1:]
	return true
}

// text takes a string of printable ASCII without escapes.
func (s *scanner) text() ([]byte, bool) {
	if !s.next('"') {
		return nil, false
	}
	for i, c := range s.data {
		switch {
		case c == '"':
			text := s.data[:i]
			s.data = s.data[i+1:]
			return text, true
		case c < ' ' || c > '~' || c == '\\':
			return nil, false
		}
	}
	return nil, false
}
