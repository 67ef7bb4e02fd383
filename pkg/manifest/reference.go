package manifest

import (
	_ "embed" // the page and its examples
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/buildify/core/pkg/contract"
)

var (
	//go:embed reference.md
	page string
	//go:embed examples/minimal.json
	minimal string
	//go:embed examples/full.json
	full string
)

// codes of findings, with what they are of.
var codes = [][2]string{
	{"json", "The text is not JSON."},
	{"duplicate_key", "A key stands twice in an object."},
	{"schema", "A value is not of the form that its field wants."},
	{"missing", "A field is missing."},
	{"unknown_field", "There is no such field."},
	{"too_large", "The file, a text, a list or the bundle is too large."},
	{"reserved", "The name is one of the platform."},
	{"namespace", "A permission, an event or a subject does not begin with the module's id."},
	{"duplicate", "Something that has a name of its own stands twice."},
	{"reference", "Something is named that the manifest does not have: a permission, route, parent, setting or file."},
	{"cycle", "Menu items are inside one another, or the module requires itself."},
	{"compat", "A range of versions cannot be read, or the module does not run on the core."},
	{"scope", "A scope is unknown, missing or not needed."},
	{"settings", "The settings are no JSON Schema of settings: a secret with a default, a default that is not valid."},
	{"events", "The schema of an event is no JSON Schema."},
	{"when", "Conditions cannot be read."},
	{"egress", "A host is an address, private, or missing from egress."},
	{"backend", "The backend does not fit what else is said."},
	{"cron", "A schedule cannot be read."},
	{"hash", "A SHA-384 is not of the form that Subresource Integrity has."},
	{"bundle", "A file is named, but there is no bundle."},
	{"forbidden_pattern", "A text has invisible characters, or what a browser might run."},
	{"i18n", "A message is missing, in one language or in all."},
	{"license", "There is no license."},
	{"converted", "It was version 1; this is what changed."},
	{"too_many", "There are more findings than are shown."},
}

// Reference returns the manual of the manifest as Markdown. It is the same at
// each call.
func Reference() string {
	var fields, scopes, listed strings.Builder
	table(&fields, document().root)
	for _, definition := range document().ordered {
		table(&fields, definition)
	}
	var free []string
	consent := contract.ConsentScopes()
	for _, spec := range slices.Concat(contract.Operations(), contract.Streams()) {
		switch {
		case slices.Contains(consent, spec.Name):
			fmt.Fprintf(&scopes, "| `%s` | %s |\n", spec.Name, cell(spec.Summary))
		case spec.Access.Has(contract.Module):
			free = append(free, "`"+spec.Name+"`")
		}
	}
	for _, code := range codes {
		fmt.Fprintf(&listed, "| `%s` | %s |\n", code[0], code[1])
	}
	return strings.NewReplacer("{{minimal}}", minimal, "{{full}}", full, "{{fields}}", fields.String(), "{{scopes}}", scopes.String(),
		"{{free}}", strings.Join(free, ", "), "{{codes}}", listed.String()).Replace(page)
}

// table writes the fields of an object.
func table(out *strings.Builder, s *schema) {
	fmt.Fprintf(out, "### %s\n\n| Field | Type | |\n|---|---|---|\n", s.name)
	for _, p := range s.order {
		name := "`" + p.name + "`"
		if p.required {
			name = "**" + name + "**"
		}
		fmt.Fprintf(out, "| %s | %s | %s |\n", name, p.kind, cell(p.about()))
	}
	out.WriteString("\n")
}

// about is all that a schema says of a field: what it is, what limits it, an
// example.
func (s *schema) about() string {
	var parts []string
	say := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if s.doc != "" {
		say("%s", prose(s.doc))
	}
	limits := s
	if items, ok := s.get("items").(*schema); ok {
		limits = items
	}
	if list, ok := limits.get("enum").([]string); ok {
		say("One of `%s`.", strings.Join(list, "`, `"))
	}
	if value := s.get("const"); value != nil {
		say("Always `%s`.", plainValue(value))
	}
	if meaning, ok := limits.get("patternErrorMessage").(string); ok {
		say("%s.", prose(strings.ToUpper(meaning[:1])+meaning[1:]))
	}
	for _, limit := range []struct {
		of       *schema
		key, say string
	}{
		{limits, "maxLength", "At most %v characters."}, {s, "minimum", "At least %v."}, {s, "maximum", "At most %v."},
		{s, "minItems", "At least %v item."}, {s, "maxItems", "At most %v items."}, {s, "maxProperties", "At most %v members."},
	} {
		if value := limit.of.get(limit.key); value != nil {
			say(limit.say, value)
		}
	}
	if s.get("uniqueItems") == true {
		say("None twice.")
	}
	if value := s.get("default"); value != nil {
		say("Default `%s`.", plainValue(value))
	}
	if examples, ok := s.get("examples").([]any); ok {
		say("Example: `%s`", plainValue(examples[0]))
	}
	return strings.Join(parts, " ")
}

// plainValue is JSON without the quotation marks of a lone string.
func plainValue(value any) string {
	if s, ok := value.(string); ok {
		return s
	}
	raw, err := json.Marshal(value)
	if err != nil {
		panic(err) // it came from a tag
	}
	return string(raw)
}

// prose is a text in which nothing is markup but links.
func prose(s string) string {
	return strings.NewReplacer("<", "&lt;", "*", "\\*", "_", "\\_").Replace(s)
}

// cell is a text fit for a table.
func cell(s string) string { return strings.ReplaceAll(s, "|", "\\|") }
