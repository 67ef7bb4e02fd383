package contract

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// published holds what callers may rely on, a line each. It grows: what was
// published stays.
const published = "testdata/published.txt"

var update = flag.Bool("update", false, "add what is new to "+published)

// TestWhatWasPublishedStays compares today's contract with what was published.
// After adding something, run
//
//	go test ./pkg/contract -run TestWhatWasPublishedStays -update
//
// which adds lines and never removes or changes one.
func TestWhatWasPublishedStays(t *testing.T) {
	t.Parallel()
	old, err := readLines(published)
	if err != nil {
		t.Fatal(err)
	}
	now := describe()
	for _, complaint := range incompatible(old, now) {
		t.Error(complaint)
	}
	added := slices.DeleteFunc(slices.Clone(now), func(line string) bool { return slices.Contains(old, line) })
	added = slices.DeleteFunc(added, func(line string) bool { return loosened(old, line) })
	if len(added) == 0 || t.Failed() {
		return
	}
	if !*update {
		t.Errorf("new, and not in %s (add it with -update):\n  %s", published, strings.Join(added, "\n  "))
		return
	}
	all := slices.Compact(slices.Sorted(slices.Values(append(old, added...))))
	if err := os.WriteFile(published, []byte(strings.Join(all, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestIncompatibleChangesAreFound(t *testing.T) {
	t.Parallel()
	before := []string{
		"a.b POST /x", "a.b access module",
		"a.b request name string required", "a.b request note string optional",
		"a.b response id string required", "a.b response more string optional",
		"code conflict 409",
	}
	for name, c := range map[string]struct {
		change map[string]string // line → its replacement, "" for none
		add    string
		broken bool
	}{
		"nothing":                             {},
		"a new operation":                     {add: "a.c GET /y"},
		"a new operation's required field":    {add: "a.c request id string required"},
		"a new optional field":                {add: "a.b request extra string optional"},
		"a new field of the answer":           {add: "a.b response extra string required"},
		"a required field became optional":    {change: map[string]string{before[2]: "a.b request name string optional"}},
		"an optional answer is always there":  {change: map[string]string{before[5]: "a.b response more string required"}},
		"a field is gone":                     {change: map[string]string{before[3]: ""}, broken: true},
		"a field has another type":            {change: map[string]string{before[2]: "a.b request name integer required"}, broken: true},
		"an optional field became required":   {change: map[string]string{before[3]: "a.b request note string required"}, broken: true},
		"an answer may lack a field":          {change: map[string]string{before[4]: "a.b response id string optional"}, broken: true},
		"an answer lost a field":              {change: map[string]string{before[5]: ""}, broken: true},
		"the route moved":                     {change: map[string]string{before[0]: "a.b POST /y"}, broken: true},
		"modules are shut out":                {change: map[string]string{before[1]: ""}, broken: true},
		"a code has another status":           {change: map[string]string{before[6]: "code conflict 400"}, broken: true},
		"a new field is required":             {add: "a.b request extra string required", broken: true},
		"a new field inside one is required":  {add: "a.b request name.part string required", broken: true},
		"a required field of a new one":       {add: "a.b request extra[].part string required"},
		"a new operation beside the old ones": {add: "a.bb request extra string required"},
	} {
		now := slices.Clone(before)
		for i, line := range now {
			if to, ok := c.change[line]; ok {
				now[i] = to
			}
		}
		now = slices.DeleteFunc(append(now, c.add), func(line string) bool { return line == "" })
		if complaints := incompatible(before, now); (len(complaints) > 0) != c.broken {
			t.Errorf("%s: %q", name, complaints)
		}
	}
}

// incompatible tells what today's lines break of yesterday's.
func incompatible(old, now []string) (complaints []string) {
	for _, line := range old {
		if !slices.Contains(now, line) && !slices.ContainsFunc(now, func(today string) bool { return loosened([]string{line}, today) }) {
			complaints = append(complaints, fmt.Sprintf("%q was published and must stay", line))
		}
	}
	for _, line := range now {
		operation, _, _ := strings.Cut(line, " ")
		known := slices.ContainsFunc(old, func(line string) bool { return strings.HasPrefix(line, operation+" ") })
		if known && !slices.Contains(old, line) && strings.Contains(line, " request ") && strings.HasSuffix(line, " required") && !within(old, line) {
			complaints = append(complaints, fmt.Sprintf("%q is required, which requests as published do not fulfil", line))
		}
	}
	return complaints
}

// within reports whether a field is inside of one that was not published: who
// does not know that one need not fill it.
func within(old []string, today string) bool {
	operation, field, _ := strings.Cut(today, " request ")
	outer, _, inside := strings.Cut(field, ".")
	return inside && !slices.ContainsFunc(old, func(line string) bool {
		return strings.HasPrefix(line, operation+" request "+strings.TrimRight(outer, "[]{}")+" ")
	})
}

// loosened reports whether today's line is a published one that asks less of
// callers or promises them more.
func loosened(old []string, today string) bool {
	if strings.Contains(today, " request ") {
		stem, ok := strings.CutSuffix(today, " optional")
		return ok && slices.Contains(old, stem+" required")
	}
	stem, ok := strings.CutSuffix(today, " required")
	return ok && strings.Contains(today, " response ") && slices.Contains(old, stem+" optional")
}

// describe renders what callers from outside rely on.
func describe() []string {
	var lines []string
	for code, status := range Codes() {
		lines = append(lines, fmt.Sprintf("code %s %d", code, status))
	}
	for _, spec := range Operations() {
		if spec.Path == "" {
			continue
		}
		lines = append(lines, fmt.Sprintf("%s %s %s", spec.Name, spec.Method, spec.Path))
		for access, name := range map[Access]string{Anonymous: "anonymous", Module: "module", User: "user"} {
			if spec.Access.Has(access) {
				lines = append(lines, spec.Name+" access "+name)
			}
		}
		for prefix, kind := range map[string]reflect.Type{" request ": spec.Request, " response ": spec.Response} {
			fields := map[string]string{}
			describeFields(kind, "", fields)
			for _, name := range slices.Sorted(maps.Keys(fields)) {
				lines = append(lines, spec.Name+prefix+name+" "+fields[name])
			}
		}
	}
	slices.Sort(lines)
	return lines
}

// describeFields stops at a type that holds itself.
func describeFields(t reflect.Type, prefix string, into map[string]string, within ...reflect.Type) {
	within = append(slices.Clone(within), t)
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		presence := "required"
		if strings.Contains(options, "omit") {
			presence = "optional"
		}
		name = prefix + name
		kind, inner, suffix := describeType(f.Type)
		into[name] = kind + " " + presence
		if inner != nil && !slices.Contains(within, inner) {
			describeFields(inner, name+suffix+".", into, within...)
		}
	}
}

// describeType names a type as JSON knows it, and what is inside of it.
func describeType(t reflect.Type) (name string, inner reflect.Type, suffix string) {
	switch t {
	case reflect.TypeFor[ID]():
		return "string-or-number", nil, ""
	case reflect.TypeFor[json.RawMessage]():
		return "any", nil, ""
	case reflect.TypeFor[time.Time]():
		return "time", nil, ""
	case reflect.TypeFor[[]byte]():
		return "base64", nil, ""
	}
	switch t.Kind() {
	case reflect.Pointer:
		return describeType(t.Elem())
	case reflect.String:
		return "string", nil, ""
	case reflect.Bool:
		return "boolean", nil, ""
	case reflect.Int, reflect.Int64:
		return "integer", nil, ""
	case reflect.Slice:
		name, inner, suffix := describeType(t.Elem())
		return "array-of-" + name, inner, "[]" + suffix
	case reflect.Map:
		name, inner, suffix := describeType(t.Elem())
		return "map-of-" + name, inner, "{}" + suffix
	case reflect.Struct:
		return "object", t, ""
	}
	panic("describe " + t.String())
}

func readLines(path string) ([]string, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && *update {
		return nil, nil
	}
	return strings.FieldsFunc(string(raw), func(r rune) bool { return r == '\n' || r == '\r' }), err
}
