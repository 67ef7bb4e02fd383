package parity

import (
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"maps"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/tests/stack"
)

// registrySamples are of the versions of modules on their way to tenants.
func registrySamples() map[string]sample {
	return map[string]sample{
		"tenant.put_version": {request: func(t *testing.T, _ *fixture) request {
			module := "r" + fresh()
			return fields{"module_name": module, "version": "1.0.0", "manifest": manifestOf(t, module, "")}.request()
		}, want: has("state", "draft")},
		"tenant.put_asset": {
			request: func(t *testing.T, f *fixture) request { return asset(newDraft(t, f, f.ours).content) },
			foreign: func(t *testing.T, f *fixture) request { return asset(newDraft(t, f, f.theirs).content) },
			absent:  func(*testing.T, *fixture) request { return asset(fresh()) },
			want:    has("complete", true),
		},
		"tenant.submit_version":    aboutVersion("uploaded", fields{"comment": "please"}, has("state", "submitted")),
		"tenant.review_version":    onlyOurs(aboutVersion("submitted", fields{"decision": "approve"}, has("state", "approved"))),
		"tenant.publish_version":   aboutVersion("approved", fields{"rollout": fields{"percent": 5}}, has("state", "published")),
		"tenant.deprecate_version": aboutVersion("published", fields{"comment": "old"}, has("state", "deprecated")),
		"tenant.delete_version":    aboutVersion("draft", nil, nil),
		"tenant.suspend_version":   onlyOurs(aboutVersion("published", fields{"reason": "bad"}, has("suspended", "bad"))),
		"tenant.suspend_module":    onlyOurs(aboutRegistered(fields{"reason": "bad"}, has("suspended", "bad"))),
		"tenant.set_visibility":    aboutRegistered(fields{"visibility": "all"}, has("visibility", "all")),
		"tenant.search_modules": {request: func(t *testing.T, f *fixture) request {
			return fields{"search": newVersion(t, f, f.ours, "published").module, "owned": true}.request()
		}, want: one},
		"tenant.get_registered_module": aboutRegistered(nil, has("latest", "1.0.0")),
		"tenant.list_versions":         aboutRegistered(fields{"state": "published"}, one),
		"tenant.list_reviews": {request: func(t *testing.T, f *fixture) request {
			newVersion(t, f, f.ours, "submitted")
			return fields{"limit": 500}.request()
		}, want: func(t *testing.T, _ *fixture, got map[string]any) { require.NotEmpty(t, got["items"]) }},
		"tenant.get_version": aboutVersion("uploaded", nil, func(t *testing.T, _ *fixture, got map[string]any) {
			require.Equal(t, "draft", got["state"])
			require.Len(t, got["files"], 1)
		}),
		"tenant.get_asset": {request: func(t *testing.T, f *fixture) request {
			v := newVersion(t, f, f.ours, "approved")
			return fields{"module_name": v.module, "version": "1.0.0", "path": "main.js"}.request()
		}},
	}
}

// onlyOurs is a sample of what the platform may do to all modules.
func onlyOurs(s sample) sample {
	s.foreign, s.absent = nil, nil
	return s
}

// aboutVersion samples what is done with a version in some state.
func aboutVersion(state string, more fields, want func(*testing.T, *fixture, map[string]any)) sample {
	of := func(module string) request {
		r := fields{"module_name": module, "version": "1.0.0"}
		maps.Copy(r, more)
		return r.request()
	}
	return sample{
		request: func(t *testing.T, f *fixture) request { return of(newVersion(t, f, f.ours, state).module) },
		foreign: func(t *testing.T, f *fixture) request { return of(newHidden(t, f, state)) },
		absent:  func(*testing.T, *fixture) request { return of("r" + fresh()) },
		want:    want,
	}
}

// aboutRegistered samples what is done with a module of the registry.
func aboutRegistered(more fields, want func(*testing.T, *fixture, map[string]any)) sample {
	of := func(module string) request {
		r := fields{"module_name": module}
		maps.Copy(r, more)
		return r.request()
	}
	return sample{
		request: func(t *testing.T, f *fixture) request { return of(newVersion(t, f, f.ours, "published").module) },
		foreign: func(t *testing.T, f *fixture) request { return of(newHidden(t, f, "published")) },
		absent:  func(*testing.T, *fixture) request { return of("r" + fresh()) },
		want:    want,
	}
}

// newHidden makes a version that only theirs know.
func newHidden(t *testing.T, f *fixture, state string) string {
	t.Helper()
	v := newVersion(t, f, f.theirs, state)
	stack.Do(t, f.s, contract.SetVisibility, &contract.SetVisibilityRequest{
		TenantID: contract.ID(f.theirs.Tenant.ID), ModuleName: v.module, Visibility: "hidden",
	})
	return v.module
}

// made is a version of a module, 1.0.0, whose bundle is one file.
type made struct{ module, content string }

func newDraft(t *testing.T, f *fixture, c *stack.Company) made {
	t.Helper()
	v := made{"r" + fresh(), "export const x = '" + fresh() + "'\n"}
	stack.Do(t, f.s, contract.PutVersion, &contract.PutVersionRequest{
		TenantID: contract.ID(c.Tenant.ID), ModuleName: v.module, Version: "1.0.0", Manifest: manifestOf(t, v.module, v.content),
	})
	return v
}

// newVersion makes a version and takes it as far as a state.
func newVersion(t *testing.T, f *fixture, c *stack.Company, state string) made {
	t.Helper()
	v := newDraft(t, f, c)
	tenant := contract.ID(c.Tenant.ID)
	if state == "draft" {
		return v
	}
	stack.Do(t, f.s, contract.PutAsset, &contract.PutAssetRequest{
		TenantID: tenant, Digest: digest(v.content), Size: int64(len(v.content)), Data: []byte(v.content),
	})
	for _, step := range []struct {
		state string
		take  func()
	}{
		{"uploaded", func() {
			stack.Do(t, f.s, contract.SubmitVersion, &contract.ChangeVersionRequest{TenantID: tenant, ModuleName: v.module, Version: "1.0.0"})
		}},
		{"submitted", func() {
			stack.Do(t, f.s, contract.ReviewVersion, &contract.ReviewVersionRequest{ModuleName: v.module, Version: "1.0.0", Decision: "approve"})
		}},
		{"approved", func() {
			stack.Do(t, f.s, contract.PublishVersion, &contract.PublishVersionRequest{TenantID: tenant, ModuleName: v.module, Version: "1.0.0"})
		}},
	} {
		if step.state == state {
			return v
		}
		step.take()
	}
	return v
}

// manifestOf is a manifest whose bundle is one file, unless that is empty.
func manifestOf(t *testing.T, module, content string) string {
	t.Helper()
	all := fields{
		"manifest_version": 2, "id": module, "name": "Module", "version": "1.0.0", "license": "MIT",
		"publisher": fields{"name": "Example"}, "compat": fields{"core": "*"},
	}
	if content != "" {
		sum := sha512.Sum384([]byte(content))
		all["bundle"] = fields{"entry": "main.js", "files": []fields{{
			"path": "main.js", "size": len(content), "sha384": "sha384-" + base64.StdEncoding.EncodeToString(sum[:]),
		}}}
	}
	text, err := json.Marshal(all)
	require.NoError(t, err)
	return string(text)
}

func digest(content string) string {
	sum := sha512.Sum384([]byte(content))
	return hex.EncodeToString(sum[:])
}

// asset is a request that uploads a small file.
func asset(content string) request {
	return fields{"digest": digest(content), "size": len(content), "data": []byte(content)}.request()
}
