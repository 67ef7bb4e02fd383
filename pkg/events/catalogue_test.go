package events

import (
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	source "go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// published holds what consumers may rely on, a line each. It grows: what was
// published stays.
const published = "testdata/published.txt"

var update = flag.Bool("update", false, "add what is new to "+published)

// kindsInSource finds every Kind that the package makes: its parts, "*" for one
// that an argument gives.
func kindsInSource(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	found := map[string]string{}
	set := source.NewFileSet()
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, name, nil, 0)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			literal, ok := n.(*ast.CompositeLit)
			if !ok {
				return true
			}
			if kind, ok := literal.Type.(*ast.Ident); ok && kind.Name == "Kind" {
				var parts []string
				for _, e := range literal.Elts {
					part := "*"
					if value, ok := e.(*ast.BasicLit); ok {
						part, _ = strconv.Unquote(value.Value)
					}
					parts = append(parts, part)
				}
				found[strings.Join(parts, ".")] = set.Position(literal.Pos()).String()
			}
			return true
		})
	}
	return found
}

func TestEveryKindIsInTheCatalogue(t *testing.T) {
	t.Parallel()
	found := kindsInSource(t)
	require.Greater(t, len(found), 30)
	names := map[string]bool{}
	for _, d := range Catalogue() {
		require.False(t, names[d.Name], "%s stands in the catalogue twice", d.Name)
		names[d.Name] = true
	}
	for name, at := range found {
		known := names[name]
		if rest, any := strings.CutPrefix(name, "*."); any {
			for defined := range names {
				known = known || strings.HasSuffix(defined, "."+rest)
			}
		}
		require.True(t, known, "%s: %s has no entry in catalogue.go: defined[its data](it, who may hear it, what it says)", at, name)
	}
}

func TestDefinitionsAreComplete(t *testing.T) {
	t.Parallel()
	for _, d := range Catalogue() {
		require.Regexp(t, `^[a-z0-9-]+(\.[a-z0-9-]+){2}$`, d.Name)
		require.Regexp(t, `^[A-Z].*\.$`, d.Summary, d.Name)
		require.Contains(t, []Audience{ForModules, ForTenants, ForPlatform, ForServices}, d.Audience)
		var schema map[string]any
		require.NoError(t, json.Unmarshal(d.Schema, &schema), d.Name)
		require.Equal(t, "object", schema["type"], d.Name)
		found, ok := Lookup(d.Type)
		require.True(t, ok)
		require.Equal(t, d.Name, found.Name)
	}
	_, ok := Lookup("dev.buildify.x.y.z.v1")
	require.False(t, ok)
}

func TestPersonalMembersAreListed(t *testing.T) {
	t.Parallel()
	login, _ := Lookup(LoginFailed.Type())
	require.Equal(t, []string{"email", "address", "agent"}, login.Personal)
	provision, _ := Lookup(TenantProvisioning.Type())
	require.Equal(t, []string{"administrator"}, provision.Personal)
	tenant, _ := Lookup(TenantChanged.Type())
	require.Empty(t, tenant.Personal)
}

func TestAnAudienceIncludesThoseAfterIt(t *testing.T) {
	t.Parallel()
	require.True(t, ForModules.Includes(ForTenants))
	require.True(t, ForTenants.Includes(ForTenants))
	require.True(t, ForTenants.Includes(ForPlatform))
	require.False(t, ForTenants.Includes(ForModules))
	require.False(t, ForServices.Includes(ForPlatform))
}

// TestWhatWasPublishedStays compares the catalogue with what was published. A
// member that consumers read cannot go or change its type in one version; new
// ones may come. After adding something, run
//
//	go test ./pkg/events -run TestWhatWasPublishedStays -update
func TestWhatWasPublishedStays(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(published)
	if !*update {
		require.NoError(t, err)
	}
	var old, now []string
	for line := range strings.Lines(string(raw)) {
		old = append(old, strings.TrimSpace(line))
	}
	for _, d := range Catalogue() {
		now = append(now, describe(t, d)...)
	}
	for _, line := range old {
		require.Contains(t, now, line, "%q was published and must stay; what breaks it is a new version, beside this one", line)
	}
	all := slices.Compact(slices.Sorted(slices.Values(append(old, now...))))
	if len(all) == len(old) {
		return
	}
	require.True(t, *update, "new, and not in %s: add it with -update", published)
	require.NoError(t, os.WriteFile(published, []byte(strings.Join(all, "\n")+"\n"), 0o600))
}

// describe renders what consumers of a kind rely on.
func describe(t *testing.T, d Definition) []string {
	t.Helper()
	var root schema
	require.NoError(t, json.Unmarshal(d.Schema, &root))
	lines := []string{d.Type + " on " + d.Subject}
	var walk func(s *schema, path string, within []string)
	walk = func(s *schema, path string, within []string) {
		for s.Items != nil {
			s, path = s.Items, path+"[]"
		}
		if s.Ref != "" {
			name := strings.TrimPrefix(s.Ref, "#/$defs/")
			if slices.Contains(within, name) {
				return
			}
			s, within = root.Definitions[name], append(slices.Clone(within), name)
		}
		for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
			member := s.Properties[name]
			presence := "optional"
			if slices.Contains(s.Required, name) {
				presence = "required"
			}
			lines = append(lines, fmt.Sprintf("%s %s.%s %v %s", d.Type, path, name, kindOf(member), presence))
			walk(member, path+"."+name, within)
		}
	}
	walk(&root, "", nil)
	return lines
}

func kindOf(s *schema) any {
	switch {
	case s.Ref != "":
		return "object"
	case s.Items != nil:
		return fmt.Sprint("list of ", kindOf(s.Items))
	case s.Type == nil:
		return "anything"
	}
	return s.Type
}
