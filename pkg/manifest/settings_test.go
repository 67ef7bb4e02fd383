package manifest

import (
	"strings"
	"testing"
)

const declared = `{"type": "object", "properties": {
	"token": {"type": "string", "minLength": 8, "x-secret": true},
	"days": {"type": "integer", "minimum": 1, "maximum": 30, "default": 14, "x-scope": "user"},
	"mail": {"type": "string", "format": "email", "pattern": "@example\\.com$"},
	"tags": {"type": "array", "items": {"type": "string"}, "maxItems": 2, "uniqueItems": true},
	"address": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": false},
	"rate": {"type": "number", "exclusiveMinimum": 0, "enum": [0.5, 1]}
}, "required": ["token", "days"]}`

func settingsOf(t *testing.T, text string) *Settings {
	t.Helper()
	s, found := ParseSettings([]byte(text))
	if s == nil || len(found) > 0 {
		t.Fatal(lines("settings", found))
	}
	return s
}

func TestSettingsAreReadInTheirOrder(t *testing.T) {
	t.Parallel()
	s := settingsOf(t, declared)
	var keys []string
	for _, p := range s.Properties {
		keys = append(keys, p.Key)
	}
	if got := strings.Join(keys, " "); got != "token days mail tags address rate" {
		t.Error(got)
	}
	if p := s.Find("token"); !p.Secret || !p.Required || p.Scope != "tenant" || p.Default != nil || p.Type != "string" {
		t.Errorf("%+v", p)
	}
	if p := s.Find("days"); p.Secret || p.Scope != "user" || string(p.Default) != "14" {
		t.Errorf("%+v", p)
	}
	if s.Find("none") != nil || (*Settings)(nil).Find("none") != nil {
		t.Error("finds what is not there")
	}
}

func TestSettingsAreHeldAgainstTheirSchema(t *testing.T) {
	t.Parallel()
	s := settingsOf(t, declared)
	for values, want := range map[string]string{
		`{"token": "12345678"}`:                                 "",
		`{"token": "12345678", "days": 30, "tags": ["a", "b"]}`: "",
		`{"token": "12345678", "address": {"city": "Bern"}}`:    "",
		`{}`:                                                         "/token missing",
		`{"token": "1234567"}`:                                       "/token schema",
		`{"token": "12345678", "days": 31}`:                          "/days schema",
		`{"token": "12345678", "days": 1.5}`:                         "/days schema",
		`{"token": "12345678", "days": null}`:                        "/days schema",
		`{"token": "12345678", "mail": "a@b"}`:                       "/mail schema",
		`{"token": "12345678", "tags": ["a", 7]}`:                    "/tags/1 schema",
		`{"token": "12345678", "tags": ["a", "a"]}`:                  "/tags schema",
		`{"token": "12345678", "tags": ["a", "b", "c"]}`:             "/tags schema",
		`{"token": "12345678", "address": {"city": 7}}`:              "/address/city schema",
		`{"token": "12345678", "address": {"city": "a", "zip": ""}}`: "/address schema",
		`{"token": "12345678", "rate": 0.75}`:                        "/rate schema",
		`{"token": "12345678", "dayz": 3}`:                           "/dayz unknown_field",
		`{"token": "12345678", "token": "12345678"}`:                 "/token duplicate_key",
		`{"token": "12345678", "days": 1e999999}`:                    " json",
		`[]`: " schema",
		`{`:  " json",
		``:   " json",
	} {
		var got []string
		for _, f := range s.Validate([]byte(values)) {
			got = append(got, f.Path+" "+f.Code)
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%s: %q, not %q", values, got, want)
		}
	}
	if found := (*Settings)(nil).Validate([]byte(`{"a": 1}`)); len(found) != 1 {
		t.Error("no settings take one", found)
	}
	for _, c := range []struct{ key, value, want string }{
		{"days", "7", ""}, {"days", `"7"`, "/days schema"}, {"days", "7 8", "/days json"}, {"none", "7", "/none unknown_field"}, {"address", `{"city": 7}`, "/address/city schema"},
	} {
		got := ""
		for _, f := range s.ValidateValue(c.key, []byte(c.value)) {
			got += f.Path + " " + f.Code
		}
		if got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

func TestFindingsNeverRepeatASecret(t *testing.T) {
	t.Parallel()
	s := settingsOf(t, `{"type": "object", "properties": {
		"a": {"type": "string", "maxLength": 3, "x-secret": true},
		"b": {"type": "string", "pattern": "^x", "x-secret": true},
		"c": {"type": "string", "format": "uuid", "x-secret": true}}}`)
	for _, f := range s.Validate([]byte(`{"a": "hunter2", "b": "hunter2", "c": "hunter2"}`)) {
		if strings.Contains(f.Message, "hunter2") {
			t.Error(f.Message)
		}
	}
}

// A schema of a stranger reads neither files nor URLs, whatever it says.
func TestASchemaRefersToNothingOutside(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{"type": "object", "properties": {"a": {"type": "object", "properties": {"b": {"$ref": "file:///etc/passwd"}}}}}`,
		`{"type": "object", "properties": {"a": {"type": "object", "additionalProperties": {"$ref": "https://example.com/x"}}}}`,
		`{"type": "object", "properties": {"a": {"type": "object", "additionalProperties": {"$id": "https://example.com/x"}}}}`,
		`{"type": "object", "properties": {"a": {"type": "object", "additionalProperties": {"$ref": "#"}}}}`,
		`{"type": "object", "properties": {"a": {"type": "object", "additionalProperties": {"$schema": "file:///etc/passwd"}}}}`,
	} {
		if s, found := ParseSettings([]byte(text)); s != nil || !found.HasErrors() {
			t.Error("accepted", text)
		}
	}
	for _, ref := range []string{"file:///etc/hostname", "https://example.com/x", "other.json", "/etc/hostname"} {
		if _, err := compile(eventURL, decode([]byte(`{"$ref": "`+ref+`"}`)), false); err == nil {
			t.Error("read", ref)
		}
	}
}

func TestAnEventSchemaMayReferToItself(t *testing.T) {
	t.Parallel()
	with := func(schema string) []byte {
		return []byte(strings.Replace(minimal, `"license"`, `"events": {"publishes": [{"type": "notes.note.created", "schema": `+schema+`}]}, "license"`, 1))
	}
	valid(t, with(`{"$schema": "https://json-schema.org/draft/2020-12/schema", "$ref": "#/$defs/a", "$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}}`))
	for _, bad := range []string{`{"$ref": "#/$defs/none"}`, `{"$ref": "file:///etc/passwd"}`, `{"type": "text"}`, `{"pattern": "("}`, `true`} {
		if _, found := Parse(with(bad)); !found.HasErrors() {
			t.Error("accepted", bad)
		}
	}
}
