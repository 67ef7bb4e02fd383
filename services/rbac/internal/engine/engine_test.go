package engine

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGrantedCodesCoverWhatTheirWildcardsSay(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		granted, asked string
		allowed        bool
	}{
		{"financial:accounts:read", "financial:accounts:read", true},
		{"financial:accounts:read", "financial:accounts:write", false},
		{"financial:accounts:read", "financial:accounts:read:all", false},
		{"financial:accounts:read", "financial:accounts", false},
		{"financial:*:read", "financial:accounts:read", true},
		{"financial:*:read", "financial:accounts:write", false},
		{"financial:*:read", "financial:a:b:read", false},
		{"financial:*", "financial:accounts", true},
		{"financial:*", "financial:accounts:read", false},
		{"financial:**", "financial:accounts:read", true},
		{"financial:**", "financial:accounts", true},
		{"financial:**", "financial", false},
		{"financial:**", "financials:accounts", false},
		{"*:**", "users:create:tenant", true},
		{"*:*", "users:create:tenant", false},
	} {
		p := Compile(1, []Role{{"r", []string{c.granted}}}, []Binding{{"u", "r"}})
		require.Equal(t, c.allowed, p.Allowed("u", c.asked), "%s for %s", c.granted, c.asked)
		require.False(t, p.Allowed("stranger", c.asked))
	}
}

func TestAnOlderPolicyNeverReplacesANewerOne(t *testing.T) {
	t.Parallel()
	e := New()
	roles := []Role{{"r", []string{"a:b"}}}
	e.Put("t", Compile(2, roles, nil))
	e.Put("t", Compile(1, roles, []Binding{{"u", "r"}}))
	require.False(t, e.Policy("t").Allowed("u", "a:b"))
	require.EqualValues(t, 2, e.Policy("t").Revision)
	require.False(t, e.Policy("other").Allowed("u", "a:b"))
}

func TestPermissionsAreListedSortedAndOnce(t *testing.T) {
	t.Parallel()
	p := Compile(1, []Role{{"a", []string{"x:z", "x:y"}}, {"b", []string{"x:y", "a:b"}}},
		[]Binding{{"u", "a"}, {"u", "b"}, {"u", "gone"}})
	require.Equal(t, []string{"a:b", "x:y", "x:z"}, p.Permissions("u"))
	require.NotNil(t, p.Permissions("stranger"))
	require.Empty(t, p.Permissions("stranger"))
}

// FuzzMatch compares with the plainest evaluator there is.
func FuzzMatch(f *testing.F) {
	f.Add("a:*:c", "a:b:c")
	f.Add("a:**", "a:b:c")
	f.Fuzz(func(t *testing.T, pattern, code string) {
		if code == "" || strings.Contains(code, "::") || strings.HasPrefix(code, ":") || strings.HasSuffix(code, ":") {
			return // not a code: validation refuses it before the engine
		}
		require.Equal(t, naive(strings.Split(pattern, ":"), strings.Split(code, ":")), matches(strings.Split(pattern, ":"), code))
	})
}

func naive(pattern, code []string) bool {
	if len(pattern) == 1 && pattern[0] == "**" {
		return len(code) > 0
	}
	if len(pattern) == 0 || len(code) == 0 {
		return len(pattern) == len(code)
	}
	return (pattern[0] == "*" || pattern[0] == code[0]) && naive(pattern[1:], code[1:])
}
