package kit

import (
	"bytes"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/buildify/core/pkg/contract"
)

// plainDecoder reads the requests that make up the hot path without building
// a tree first: an object of strings in plain ASCII, of integers, and of lists
// of such objects, each member once. Whatever is not that plain, or breaks a
// constraint, it declines, and the decoder, whose word on what is valid is
// final, looks at it.
type plainDecoder struct {
	fields   []plainField
	required uint64 // bits of fields
}

type plainField struct {
	lead     string // the name as it is usually written: quoted, with a colon
	kind     plainKind
	min, max int // of the length, the value, or the number of items
	valid    func(value []byte) bool
	items    *plainDecoder
}

type plainKind uint8

const (
	plainText plainKind = iota
	plainUUID
	plainCode
	plainInteger
	plainList
)

func (f *plainField) name() string { return f.lead[1 : len(f.lead)-2] }

// newPlainDecoder returns nil for a request that has members of other types,
// or constraints that are not known here.
func newPlainDecoder(request reflect.Type, schema *huma.Schema, registry huma.Registry) *plainDecoder {
	d := &plainDecoder{}
	if request.NumField() == 0 || request.NumField() > 64 || len(schema.DependentRequired) > 0 || combined(schema) {
		return nil
	}
	for i := range request.NumField() {
		f := request.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		s := schema.Properties[name]
		if s == nil || s.Enum != nil || combined(s) {
			return nil
		}
		field := plainField{lead: `"` + name + `":`}
		if !field.text(f.Type, s) && !field.integer(f.Type, s) && !field.list(f.Type, s, registry) {
			return nil
		}
		if slices.Contains(schema.Required, name) {
			d.required |= 1 << i
		}
		d.fields = append(d.fields, field)
	}
	return d
}

func combined(s *huma.Schema) bool {
	return s.OneOf != nil || s.AnyOf != nil || s.AllOf != nil || s.Not != nil
}

func bound(limit *int, otherwise int) int {
	if limit == nil {
		return otherwise
	}
	return *limit
}

func (f *plainField) text(t reflect.Type, s *huma.Schema) bool {
	if t.Kind() != reflect.String || (s.Format != "" && s.Format != "uuid") {
		return false
	}
	f.min, f.max = bound(s.MinLength, 0), bound(s.MaxLength, contract.MaxBody)
	switch {
	case s.Format == "uuid":
		f.kind = plainUUID
		return s.Pattern == "" && f.min <= 36 && f.max >= 36
	case s.Pattern == permissionPattern:
		f.kind = plainCode
	case s.Pattern != "":
		f.valid = regexp.MustCompile(s.Pattern).Match
	}
	return true
}

func (f *plainField) integer(t reflect.Type, s *huma.Schema) bool {
	f.kind, f.max = plainInteger, math.MaxInt
	if s.Minimum != nil {
		f.min = int(math.Ceil(*s.Minimum))
	}
	if s.Maximum != nil {
		f.max = int(math.Floor(*s.Maximum))
	}
	return (t.Kind() == reflect.Int64 || t.Kind() == reflect.Int) && s.Type == huma.TypeInteger &&
		s.ExclusiveMinimum == nil && s.ExclusiveMaximum == nil && s.MultipleOf == nil
}

func (f *plainField) list(t reflect.Type, s *huma.Schema, registry huma.Registry) bool {
	if t.Kind() != reflect.Slice || t.Elem().Kind() != reflect.Struct || s.Items == nil || s.MaxItems == nil || s.UniqueItems || !flat(t.Elem()) {
		return false
	}
	items := s.Items
	if items.Ref != "" {
		items = registry.SchemaFromRef(items.Ref)
	}
	f.kind = plainList
	f.min, f.max = bound(s.MinItems, 0), *s.MaxItems
	f.items = newPlainDecoder(t.Elem(), items, registry)
	return f.items != nil
}

// flat reports whether a struct holds no lists, which might hold itself.
func flat(t reflect.Type) bool {
	for i := range t.NumField() {
		if t.Field(i).Type.Kind() == reflect.Slice {
			return false
		}
	}
	return true
}

// decode fills request, the struct, and reports whether it could. A request
// that was declined may be half filled.
func (d *plainDecoder) decode(data []byte, request reflect.Value) bool {
	s := scanner{data: data}
	if !d.object(&s, request) {
		return false
	}
	s.space()
	return len(s.data) == 0
}

func (d *plainDecoder) object(s *scanner, into reflect.Value) bool {
	if !s.next('{') {
		return false
	}
	var seen uint64
	for first := true; !s.next('}'); first = false {
		if !first && !s.next(',') {
			return false
		}
		i := d.member(s)
		if i < 0 || seen&(1<<i) != 0 {
			return false
		}
		seen |= 1 << i
		if !d.fields[i].decode(s, into.Field(i)) {
			return false
		}
	}
	return seen&d.required == d.required
}

// member takes a name and its colon, and returns the number of the field, -1
// when there is none of this name.
func (d *plainDecoder) member(s *scanner) int {
	for i := range d.fields {
		if lead := d.fields[i].lead; len(s.data) > len(lead) && string(s.data[:len(lead)]) == lead {
			s.data = s.data[len(lead):]
			return i
		}
	}
	name, ok := s.text()
	if !ok || !s.next(':') {
		return -1
	}
	return slices.IndexFunc(d.fields, func(f plainField) bool { return f.name() == string(name) })
}

func (f *plainField) decode(s *scanner, into reflect.Value) bool {
	switch f.kind {
	case plainInteger:
		n, ok := s.integer()
		if !ok || n < f.min || n > f.max {
			return false
		}
		into.SetInt(int64(n))
		return true
	case plainList:
		return f.decodeList(s, into)
	}
	value, ok := f.scan(s)
	if !ok {
		return false
	}
	if s.copy != "" { // one copy of all the list's text, parts of which are used
		at := len(s.copy) - len(s.data) - 1 - len(value)
		into.SetString(s.copy[at : at+len(value)])
		return true
	}
	into.SetString(string(value))
	return true
}

// scan takes a string that keeps the constraints.
func (f *plainField) scan(s *scanner) (value []byte, ok bool) {
	switch f.kind {
	case plainUUID:
		return s.uuid()
	case plainCode:
		value, ok = s.code()
	default:
		value, ok = s.text()
	}
	return value, ok && len(value) >= f.min && len(value) <= f.max && (f.valid == nil || f.valid(value))
}

func (f *plainField) decodeList(s *scanner, into reflect.Value) bool {
	if !s.next('[') {
		return false
	}
	room := min(bytes.Count(s.data, []byte{'{'}), f.max) // as many or fewer
	list := reflect.MakeSlice(into.Type(), room, room)
	s.copy = string(s.data)
	n := 0
	for ; !s.next(']'); n++ {
		if n > 0 && !s.next(',') || n == room || !f.items.object(s, list.Index(n)) {
			return false
		}
	}
	s.copy = ""
	into.Set(list.Slice3(0, n, n))
	return n >= f.min
}

// permissionPattern is that of fields that hold a permission code. A regular
// expression takes ten times as long as scanner.code.
const permissionPattern = `^[a-z0-9_-]+(:[a-z0-9_-]+){1,4}$`

// inCode are the characters of a segment.
var inCode = func() (in [256]bool) {
	for _, c := range "abcdefghijklmnopqrstuvwxyz0123456789_-" {
		in[c] = true
	}
	return in
}()

// canonicalUUID knows the usual spelling only.
func canonicalUUID[S string | []byte](value S) bool {
	if len(value) != 36 || value[8] != '-' || value[13] != '-' || value[18] != '-' || value[23] != '-' {
		return false
	}
	return notHex(four(value[0:4])|four(value[4:8])<<32)|notHex(four(value[9:13])|four(value[14:18])<<32)|
		notHex(four(value[19:23])|four(value[24:28])<<32)|notHex(four(value[28:32])|four(value[32:36])<<32) == 0
}

// four reads four characters, the first one lowest.
func four[S string | []byte](s S) uint64 {
	_ = s[3]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24
}

// notHex is 0 when eight characters, a byte each, are hexadecimal digits in
// lower case: their values, written again, are what was read.
func notHex(digits uint64) uint64 {
	const every = 0x0101010101010101
	n := digits&(0x0f*every) + 9*(digits>>6&every)
	written := n + '0'*every + (n+6*every)>>4&every*('a'-'0'-10)
	return written ^ digits | n&(0xf0*every)
}

// scanner takes JSON apart from the front.
type scanner struct {
	data []byte
	copy string // of what data was when the list that is being read began
}

func (s *scanner) space() {
	for len(s.data) > 0 && (s.data[0] == ' ' || s.data[0] == '\n' || s.data[0] == '\t' || s.data[0] == '\r') {
		s.data = s.data[1:]
	}
}

// next takes the character c, after white space, if it is there.
func (s *scanner) next(c byte) bool {
	if len(s.data) > 0 && s.data[0] > ' ' { // the usual case, which is inlined
		if s.data[0] != c {
			return false
		}
		s.data = s.data[1:]
		return true
	}
	return s.nextAfterSpace(c)
}

func (s *scanner) nextAfterSpace(c byte) bool {
	s.space()
	if len(s.data) == 0 || s.data[0] != c {
		return false
	}
	s.data = s.data[1:]
	return true
}

// inText are printable ASCII characters that stand for themselves.
var inText = func() (in [256]bool) {
	for c := ' '; c <= '~'; c++ {
		in[c] = c != '"' && c != '\\'
	}
	return in
}()

// text takes a string of printable ASCII without escapes.
func (s *scanner) text() ([]byte, bool) {
	if !s.next('"') {
		return nil, false
	}
	for i, c := range s.data {
		if inText[c] {
			continue
		}
		text := s.data[:i]
		s.data = s.data[i+1:]
		return text, c == '"'
	}
	return nil, false
}

// code takes a string that is a permission code.
func (s *scanner) code() ([]byte, bool) {
	if !s.next('"') {
		return nil, false
	}
	for i, segments, begin := 0, 1, 0; i < len(s.data); i++ {
		c := s.data[i]
		switch {
		case inCode[c]:
		case i == begin || (c != ':' && c != '"'):
			return nil, false
		case c == ':':
			segments, begin = segments+1, i+1
		default:
			code := s.data[:i]
			s.data = s.data[i+1:]
			return code, segments >= 2 && segments <= 5
		}
	}
	return nil, false
}

// uuid takes a string that is a UUID in its usual spelling.
func (s *scanner) uuid() ([]byte, bool) {
	if !s.next('"') || len(s.data) < 37 || s.data[36] != '"' || !canonicalUUID(s.data[:36]) {
		return nil, false
	}
	text := s.data[:36]
	s.data = s.data[37:]
	return text, true
}

// integer takes a number of up to 15 digits, which is exact however it is read,
// without sign, fraction or exponent.
func (s *scanner) integer() (n int, ok bool) {
	s.space()
	i := 0
	for ; i < len(s.data) && s.data[i] >= '0' && s.data[i] <= '9'; i++ {
		if i == 15 {
			return 0, false
		}
		n = 10*n + int(s.data[i]-'0')
	}
	if i == 0 || (i > 1 && s.data[0] == '0') {
		return 0, false
	}
	s.data = s.data[i:]
	return n, true
}
