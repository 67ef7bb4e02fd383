package contract

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestPermissionsAndGrants(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		code              string
		permission, grant bool
	}{
		{"financial:accounts:read", true, true},
		{"a:b", true, true},
		{"a:b:c:d:e", true, true},
		{"users-2:create_x:tenant", true, true},
		{strings.Repeat("a", 198) + ":b", true, true},
		{"financial:*:read", false, true},
		{"financial:*", false, true},
		{"financial:**", false, true},
		{"*:*", false, true},
		{"*:**", false, true},
		{"a:*:c:*:**", false, true},

		{"", false, false},
		{"financial", false, false},
		{"*", false, false},
		{"**", false, false},
		{"a:b:c:d:e:f", false, false},
		{"a:b:c:d:e:**", false, false},
		{"**:a", false, false},
		{"a:**:b", false, false},
		{"a:***", false, false},
		{"a:b*", false, false},
		{"a:*b", false, false},
		{":a", false, false},
		{"a:", false, false},
		{"a::b", false, false},
		{"A:b", false, false},
		{"a:b c", false, false},
		{"a:b\n", false, false},
		{"x\na:b", false, false},
		{"a.b", false, false},
		{"a:é", false, false},
		{"a:\x00", false, false},
		{strings.Repeat("a", 199) + ":b", false, false},
	} {
		if ValidPermission(c.code) != c.permission || ValidGrant(c.code) != c.grant {
			t.Errorf("%q: permission %v, grant %v", c.code, ValidPermission(c.code), ValidGrant(c.code))
		}
	}
}

// FuzzPermissions compares with the rule as a person would say it.
func FuzzPermissions(f *testing.F) {
	for _, seed := range []string{"a:b", "a:*:**", "a::b", "**", "a:b:c:d:e:f"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, code string) {
		segments := strings.Split(code, ":")
		sized := len(code) <= 200 && len(segments) >= 2 && len(segments) <= 5
		concrete, granted := sized, sized
		for i, s := range segments {
			plain := s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_-") == ""
			last := i == len(segments)-1
			concrete = concrete && plain
			granted = granted && (plain || s == "*" || (last && s == "**"))
		}
		if ValidPermission(code) != concrete || ValidGrant(code) != granted {
			t.Errorf("%q: permission %v, grant %v", code, ValidPermission(code), ValidGrant(code))
		}
		if ValidPermission(code) && !ValidGrant(code) {
			t.Errorf("%q can be asked for and never granted", code)
		}
	})
}

// What the wire accepts and what ValidPermission accepts must be one rule.
func TestThePatternOnTheWireIsTheRule(t *testing.T) {
	t.Parallel()
	f, _ := reflect.TypeFor[CheckRequest]().FieldByName("Permission")
	if f.Tag.Get("pattern") != permissionCode.String() || f.Tag.Get("maxLength") != "200" {
		t.Errorf("%s", f.Tag)
	}
	var modules []string
	for _, spec := range Operations() {
		for i := range spec.Request.NumField() {
			f := spec.Request.Field(i)
			if name := f.Tag.Get("json"); name != "module" && name != "module_name" {
				continue
			}
			modules = append(modules, spec.Name)
			pattern := regexp.MustCompile(f.Tag.Get("pattern"))
			for _, name := range []string{"crm", "a1", "a-", "", "a", "1a", "Crm", "crm.x", "*", strings.Repeat("m", 63), strings.Repeat("m", 64), "crm\n"} {
				if pattern.MatchString(name) != ValidModule(name) {
					t.Errorf("%s and ValidModule differ on %q", spec.Name, name)
				}
			}
		}
	}
	if !slices.Contains(modules, CreateKey.Name) || !slices.Contains(modules, SetTenantModule.Name) {
		t.Errorf("modules are named in %v", modules)
	}
}
