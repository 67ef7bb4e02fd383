package manifest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// noLoader keeps schemas of strangers from reading files and URLs.
type noLoader struct{}

func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("%s is not read: a schema stands for itself", url)
}

// Where schemas of strangers are said to be: names that lead nowhere.
const (
	settingURL = "https://manifest.invalid/setting"
	eventURL   = "https://manifest.invalid/event"
)

// compile makes a validator of a schema; strict ones check formats too.
func compile(url string, doc any, strict bool) (*jsonschema.Schema, error) {
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.UseLoader(noLoader{})
	if strict {
		c.AssertFormat()
	}
	if err := c.AddResource(url, doc); err != nil {
		return nil, err
	}
	return c.Compile(url)
}

// decode reads JSON as package jsonschema wants it.
func decode(data []byte) any {
	value, _ := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	return value
}

var manifestSchema = sync.OnceValue(func() *jsonschema.Schema {
	s, err := compile(SchemaURL, decode(Schema()), false)
	if err != nil {
		panic(err) // a test compiles it
	}
	return s
})

// leaf is a failure of one keyword at one place.
type leaf struct {
	at   []string // the value
	in   string   // URL of the schema
	kind jsonschema.ErrorKind
}

// leaves takes a validation error apart, down to what is wrong.
func leaves(err error) []leaf {
	var whole *jsonschema.ValidationError
	if !errors.As(err, &whole) {
		return nil
	}
	var all []leaf
	var walk func(e *jsonschema.ValidationError)
	walk = func(e *jsonschema.ValidationError) {
		if _, names := e.ErrorKind.(*kind.PropertyNames); names {
			return // their places are not reliable: see checker.keys
		}
		if len(e.Causes) == 0 {
			all = append(all, leaf{e.InstanceLocation, e.SchemaURL, e.ErrorKind})
			return
		}
		for _, cause := range e.Causes {
			walk(cause)
		}
	}
	walk(whole)
	slices.SortStableFunc(all, func(a, b leaf) int { return slices.Compare(a.at, b.at) })
	return all
}

// schemaFindings holds a value against the manifest's schema, or a part of it.
func (c *checker) schemaFindings(validator *jsonschema.Schema, part *schema, value any) {
	for _, l := range leaves(validator.Validate(value)) {
		if c.room(Error) {
			c.leaf(l)
		}
	}
	c.keys(part, value, "")
}

// keys holds the keys that an author chose against their patterns.
func (c *checker) keys(s *schema, value any, at string) {
	if ref, ok := s.get("$ref").(string); ok {
		s = definition(ref)
	}
	switch value := value.(type) {
	case []any:
		if items, ok := s.get("items").(*schema); ok {
			for i, item := range value {
				c.keys(items, item, fmt.Sprintf("%s/%d", at, i))
			}
		}
	case map[string]any:
		properties, _ := s.get("properties").(*schema)
		others, _ := s.get("additionalProperties").(*schema)
		names, _ := s.get("propertyNames").(*schema)
		for _, key := range slices.Sorted(maps.Keys(value)) {
			if pattern, ok := names.get("pattern").(string); ok && !keyPatterns[pattern].MatchString(key) {
				c.failKey("schema", at+pointer(key), "the key %s %s", quoted(key), names.get("patternErrorMessage"))
			}
			inner, ok := properties.get(key).(*schema)
			if !ok {
				inner = others
			}
			if inner != nil {
				c.keys(inner, value[key], at+pointer(key))
			}
		}
	}
}

// keyPatterns are those of propertyNames.
var keyPatterns = map[string]*regexp.Regexp{
	languageTag: regexp.MustCompile(languageTag), messageName: regexp.MustCompile(messageName), settingName: settingKey,
}

func (c *checker) leaf(l leaf) {
	at := pointer(l.at...)
	switch k := l.kind.(type) {
	case *kind.Required:
		for _, name := range k.Missing {
			c.fail("missing", at+pointer(name), "%s is missing: add %s", quoted(name), described(l.in, name))
		}
	case *kind.AdditionalProperties:
		for _, name := range slices.Sorted(slices.Values(k.Properties)) {
			if !c.room(Error) {
				return
			}
			c.failKey("unknown_field", at+pointer(name), "%s is no field here: %s", quoted(name), unknown(l.in, name))
		}
	case *kind.Type:
		c.fail("schema", at, "must be %s, not %s", words(k.Want), article(k.Got))
	case *kind.Enum:
		c.fail("schema", at, "must be one of %s%s", list(k.Want), closest(text0(k.Got), texts(k.Want)))
	case *kind.Const:
		c.fail("schema", at, "must be %v", k.Want)
	case *kind.Pattern:
		s := definition(l.in)
		c.fail(cmp.Or(s.code, "schema"), at, "%s %s", quoted(k.Got), s.get("patternErrorMessage"))
	case *kind.MaxLength:
		c.fail("too_large", at, "has %d characters: at most %d are allowed", k.Got, k.Want)
	case *kind.MaxItems:
		c.long = true
		c.fail("too_large", at, "has %d items: at most %d are allowed", k.Got, k.Want)
	case *kind.MaxProperties:
		c.long = true
		c.fail("too_large", at, "has %d members: at most %d are allowed", k.Got, k.Want)
	default:
		c.fail("schema", at, "%s", plainKind(l.kind))
	}
}

// plainKind says of a value what is wrong with it.
func plainKind(k jsonschema.ErrorKind) string {
	number := func(n *big.Rat) string {
		return json.Number(strings.TrimSuffix(strings.TrimRight(n.FloatString(10), "0"), ".")).String()
	}
	switch k := k.(type) {
	case *kind.Required:
		return fmt.Sprintf("lacks %s: add it", strings.Join(k.Missing, ", "))
	case *kind.AdditionalProperties:
		return fmt.Sprintf("has no %s: remove it", strings.Join(k.Properties, ", "))
	case *kind.Type:
		return fmt.Sprintf("must be %s, not %s", words(k.Want), article(k.Got))
	case *kind.Enum:
		return "must be one of " + list(k.Want)
	case *kind.MinLength:
		if k.Got == 0 {
			return "must not be empty"
		}
		return fmt.Sprintf("must have at least %d characters", k.Want)
	case *kind.MaxLength:
		return fmt.Sprintf("must have at most %d characters", k.Want)
	case *kind.MinItems:
		return fmt.Sprintf("must have at least %d item(s)", k.Want)
	case *kind.MaxItems:
		return fmt.Sprintf("must have at most %d item(s)", k.Want)
	case *kind.MinProperties:
		return fmt.Sprintf("must have at least %d member(s)", k.Want)
	case *kind.UniqueItems:
		return fmt.Sprintf("items %d and %d are the same: remove one", k.Duplicates[0]+1, k.Duplicates[1]+1)
	case *kind.Minimum:
		return "must be at least " + number(k.Want)
	case *kind.Maximum:
		return "must be at most " + number(k.Want)
	case *kind.ExclusiveMinimum:
		return "must be more than " + number(k.Want)
	case *kind.ExclusiveMaximum:
		return "must be less than " + number(k.Want)
	case *kind.MultipleOf:
		return "must be a multiple of " + number(k.Want)
	case *kind.Format:
		return "must be of the format " + k.Want
	case *kind.Pattern:
		return "must match " + k.Want
	case *kind.FalseSchema:
		return "must not be there"
	}
	return k.LocalizedString(message.NewPrinter(language.English))
}

// definition returns the schema that a URL names.
func definition(url string) *schema {
	_, fragment, _ := strings.Cut(url, "#")
	s := document().root
	for _, segment := range segments(fragment) {
		switch at := s.get(segment).(type) {
		case *schema:
			s = at
		default:
			return s
		}
	}
	return s
}

// described is a field with the first sentence about it.
func described(url, name string) string {
	for _, p := range definition(url).order {
		if p.name == name {
			sentence, _, _ := strings.Cut(p.doc, ". ")
			if sentence = strings.TrimSuffix(sentence, "."); sentence != "" {
				return "it: " + sentence
			}
		}
	}
	return "it"
}

// version1 is what a field of version 1 is called now.
var version1 = map[string]string{"navigation": "menu", "dependencies": "requires", "label": "title", "children": "parent of another item"}

func unknown(url, name string) string {
	var known []string
	for _, p := range definition(url).order {
		known = append(known, p.name)
	}
	if now := version1[name]; now != "" {
		return "version 2 calls it " + now
	}
	if hint := closest(name, known); hint != "" {
		return "remove it" + hint
	}
	if len(known) > 12 {
		return "remove it"
	}
	return "remove it; there are " + strings.Join(known, ", ")
}

// closest suggests what may have been meant: up to three characters away.
func closest(got string, known []string) string {
	best, limit := "", min(max(len(got)/3, 2), 3)+1
	for _, name := range known {
		if d := distance(strings.ToLower(got), strings.ToLower(name), limit); d < limit {
			best, limit = name, d
		}
	}
	if best == "" || len(got) < 3 {
		return ""
	}
	return "; did you mean " + quoted(best) + "?"
}

// distance is how many characters must change to come from a to b (Levenshtein);
// limit, when that is more.
func distance(a, b string, limit int) int {
	if max(len(a), len(b))-min(len(a), len(b)) >= limit || len(a) > 100 || len(b) > 100 {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
	}
	return min(row[len(b)], limit)
}

func words(types []string) string {
	named := make([]string, len(types))
	for i, t := range types {
		named[i] = article(t)
	}
	return strings.Join(named, " or ")
}

func article(t string) string {
	switch t {
	case "null":
		return t
	case "array", "integer", "object":
		return "an " + t
	}
	return "a " + t
}

func text0(v any) string {
	s, _ := v.(string)
	return s
}

func texts(values []any) []string {
	var all []string
	for _, v := range values {
		if s, ok := v.(string); ok {
			all = append(all, s)
		}
	}
	return all
}

func list(values []any) string {
	shown := make([]string, 0, len(values))
	for _, v := range values[:min(len(values), 20)] {
		raw, err := json.Marshal(v)
		if err != nil {
			raw = []byte("?")
		}
		shown = append(shown, string(raw))
	}
	if len(values) > len(shown) {
		shown = append(shown, "…")
	}
	return strings.Join(slices.Clip(shown), ", ")
}
