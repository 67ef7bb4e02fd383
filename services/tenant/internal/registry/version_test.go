package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
)

func TestAVersionGoesFromADraftToTenants(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	woken := 0
	w.Changed = func() { woken++ }
	p := w.publisher("crm")
	const page = "export const x = 1\n"
	v := p.put("1.0.0", bundle("main.js", map[string]string{"main.js": page}))
	require.Equal(t, []string{draft, "1.0.0"}, []string{v.State, v.Version})
	require.Equal(t, []string{digest(page)}, v.Missing)
	require.Equal(t, []contract.VersionFile{{Path: "main.js", SHA384: integrity(page), Size: int64(len(page)), Type: "text/javascript; charset=utf-8"}}, v.Files)

	v = p.submit("1.0.0")
	require.Equal(t, draft, v.State)
	require.Equal(t, []string{"hash /bundle/files/0"}, codes(v.Findings, "error"), "what is not uploaded is not submitted")
	require.Positive(t, v.Findings[len(v.Findings)-1].Line)

	p.upload(page)
	require.Empty(t, p.get("1.0.0").Missing)
	v = p.submit("1.0.0")
	require.Equal(t, submitted, v.State, "%+v", v.Findings)
	require.Empty(t, codes(v.Findings, "error"))
	require.NotEmpty(t, v.SubmittedBy)
	require.NotNil(t, v.SubmittedAt)

	reviews, err := w.ListReviews(asPlatform(t), &contract.ListReviewsRequest{})
	require.NoError(t, err)
	require.Len(t, reviews.Items, 1)
	require.Equal(t, "crm", reviews.Items[0].Module)

	v, err = p.decide("1.0.0", "approve")
	require.NoError(t, err)
	require.Equal(t, []string{approved, "admin", "looked at it"}, []string{v.State, v.DecidedBy, v.Comment})
	require.False(t, v.Automatic)
	_, err = w.GetRegisteredModule(as(t, w.tenant), &contract.ModuleRequest{ModuleName: "crm"})
	requireRefused(t, contract.NotFound, "", err)

	v, err = p.release("1.0.0", nil)
	require.NoError(t, err)
	require.Equal(t, published, v.State)
	require.NotNil(t, v.PublishedAt)
	require.Nil(t, v.Rollout)
	require.Positive(t, woken, "the keeper has work")

	m, err := w.GetRegisteredModule(as(t, w.tenant), &contract.ModuleRequest{ModuleName: "crm"})
	require.NoError(t, err)
	require.Equal(t, []string{"crm", "Module crm", "1.0.0", string(p.tenant)}, []string{m.ID, m.Name, m.Latest, m.OwnerID})
	var states []string
	for _, change := range told[events.VersionChange](w, events.VersionChanged) {
		require.NotEmpty(t, change.By)
		states = append(states, change.State)
	}
	require.Equal(t, []string{draft, draft, submitted, approved, published}, states)
}

// Each state, and what can be done in it.
func TestEveryOtherStepIsAConflictThatNamesTheState(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.publisher("crm")
	steps := map[string]func(version string) error{
		"put": func(v string) error { _, err := p.putText(v, p.source(v, nil)); return err },
		"submit": func(v string) error {
			_, err := p.SubmitVersion(as(t, p.tenant), p.which(v))
			return err
		},
		"approve": func(v string) error { _, err := p.decide(v, "approve"); return err },
		"reject":  func(v string) error { _, err := p.decide(v, "reject"); return err },
		"publish": func(v string) error { _, err := p.release(v, nil); return err },
		"deprecate": func(v string) error {
			_, err := p.DeprecateVersion(as(t, p.tenant), p.which(v))
			return err
		},
		"delete": func(v string) error {
			_, err := p.DeleteVersion(as(t, p.tenant), &contract.VersionRequest{ModuleName: p.module, Version: v})
			return err
		},
		"suspend": func(v string) error {
			_, err := p.SuspendVersion(asPlatform(t), &contract.SuspendVersionRequest{ModuleName: p.module, Version: v, Reason: "bad"})
			return err
		},
	}
	may := map[string][]string{
		draft:      {"put", "submit", "delete"},
		submitted:  {"approve", "reject", "delete"},
		rejected:   {"put", "delete"},
		approved:   {"publish", "suspend"},
		published:  {"publish", "deprecate", "suspend"},
		deprecated: {"suspend"},
	}
	n := 0
	for state, allowed := range may {
		for step, do := range steps {
			n++
			version := fmt.Sprintf("1.%d.0", n)
			// A host of its own, so that a reviewer is asked each time.
			p.in(state, version, map[string]any{"egress": []string{fmt.Sprintf("h%d.example.com", n)}})
			require.Equal(t, state, p.get(version).State)
			err := do(version)
			if slices.Contains(allowed, step) {
				require.NoError(t, err, "%s what is %s", step, state)
				continue
			}
			refused := refusal(t, contract.Conflict, "", err)
			require.Contains(t, refused.Message, state, "%s what is %s", step, state)
			require.Equal(t, state, p.get(version).State)
		}
	}
}

func TestOnlyThePublisherChangesAModule(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.publisher("crm")
	p.published("1.0.0", nil)
	p.in(draft, "2.0.0", nil)
	stranger := as(t, w.tenant)
	which := &contract.ChangeVersionRequest{ModuleName: "crm", Version: "2.0.0"}
	for name, do := range map[string]func() error{
		"submit":    func() error { _, err := w.SubmitVersion(stranger, which); return err },
		"deprecate": func() error { _, err := w.DeprecateVersion(stranger, which); return err },
		"publish": func() error {
			_, err := w.PublishVersion(stranger, &contract.PublishVersionRequest{ModuleName: "crm", Version: "2.0.0"})
			return err
		},
		"delete": func() error {
			_, err := w.DeleteVersion(stranger, &contract.VersionRequest{ModuleName: "crm", Version: "2.0.0"})
			return err
		},
		"show": func() error {
			_, err := w.SetVisibility(stranger, &contract.SetVisibilityRequest{ModuleName: "crm", Visibility: "hidden"})
			return err
		},
		"read": func() error {
			_, err := w.GetVersion(stranger, &contract.VersionRequest{ModuleName: "crm", Version: "2.0.0"})
			return err
		},
	} {
		requireRefused(t, contract.NotFound, "", do())
		_ = name
	}
	thief := &publisher{world: w, tenant: w.tenant, module: "crm"}
	_, err := thief.putText("3.0.0", thief.source("3.0.0", nil))
	requireRefused(t, contract.NotFound, "module_name", err)
	_, err = w.SubmitVersion(as(t, w.tenant), &contract.ChangeVersionRequest{TenantID: p.tenant, ModuleName: "crm", Version: "2.0.0"})
	requireRefused(t, contract.NotFound, "", err)

	// The platform acts for whom it names, or for whoever it belongs to.
	_, err = w.SubmitVersion(asPlatform(t), &contract.ChangeVersionRequest{TenantID: w.tenant, ModuleName: "crm", Version: "2.0.0"})
	requireRefused(t, contract.NotFound, "", err)
	_, err = w.SubmitVersion(asPlatform(t), which)
	require.NoError(t, err)
}

func TestWhoMayTakeAnID(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, name := range []string{"core", "rbac", "users", "platform"} {
		p := w.publisher(name)
		_, err := p.putText("1.0.0", p.source("1.0.0", nil))
		requireRefused(t, contract.InvalidArgument, "module_name", err)
	}
	// Somebody runs it, without a manifest.
	w.exec("INSERT INTO tenant.activations (tenant_id, module, enabled) VALUES ($1, 'legacy', true)", string(w.tenant))
	w.HasKeys = func(_ context.Context, module string) (bool, error) { return module == "keyed", nil }
	for _, module := range []string{"legacy", "keyed"} {
		p := w.publisher(module)
		_, err := p.putText("1.0.0", p.source("1.0.0", nil))
		requireRefused(t, contract.Conflict, "module_name", err)
		request := &contract.PutVersionRequest{ModuleName: module, Version: "1.0.0", Manifest: p.source("1.0.0", nil)}
		_, err = w.PutVersion(asPlatform(t), request)
		requireRefused(t, contract.InvalidArgument, "tenant_id", err)
		request.TenantID = p.tenant
		_, err = w.PutVersion(asPlatform(t), request)
		require.NoError(t, err)
		p.put("1.0.1", nil)
	}
	// Two at once: one has it.
	one, other := w.publisher("rare"), w.publisher("rare")
	var wait sync.WaitGroup
	results := make(chan error, 2)
	for _, p := range []*publisher{one, other} {
		text := p.source("1.0.0", nil)
		wait.Go(func() {
			_, err := p.putText("1.0.0", text)
			results <- err
		})
	}
	wait.Wait()
	first, second := <-results, <-results
	if first != nil {
		first, second = second, first
	}
	require.NoError(t, first)
	requireRefused(t, contract.NotFound, "module_name", second)
}

func TestADraftNeedsAnIDAndAVersion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.publisher("crm")
	for text, field := range map[string]string{
		"":                                 "manifest",
		"[]":                               "manifest",
		"{":                                "manifest",
		"{}":                               "manifest",
		`{"id": "crm"}`:                    "manifest",
		p.source("1.0.1", nil):             "manifest",
		`{"id": 5, "version": "1.0.0"}`:    "manifest",
		"\xff\xfe":                         "manifest",
		strings.Repeat("[", 100_000):       "manifest",
		`{"id":"erp","version":"1.0.0"}`:   "manifest",
		`{"id":"crm","version":["1.0.0"]}`: "manifest",
	} {
		_, err := p.putText("1.0.0", text)
		requireRefused(t, contract.InvalidArgument, field, err)
	}
	for _, version := range []string{"1", "1.0", "v1.0.0", "1.0.0+build", "01.0.0", "latest", "1.0.0.0", "-1.0.0"} {
		_, err := p.putText(version, p.source(version, nil))
		requireRefused(t, contract.InvalidArgument, "version", err)
	}
	// All else can be wrong in a draft.
	v, err := p.putText("1.0.0", `{"manifest_version": 2, "id": "crm", "version": "1.0.0", "oops\u0000": "\u0000", "permissions": [{"code": "erp:x:y"}],
		"name": {"en": "\ud83d\ude00 \ud83d"}, "settings": {"type": "object", "properties": {"zeta": {"type": "string", "title": "\ud83d\ude00\ud800\u0000"}, "alpha": {"type": "string"}}},
		"bundle": {"entry": "../x", "files": [{"path": "../x", "sha384": "sha384-", "size": -1}, {"path": "a.js", "sha384": "`+integrity("a")+`", "size": 1}, {"path": "a.js", "sha384": "`+integrity("a")+`", "size": 1}]}}`)
	require.NoError(t, err)
	require.Contains(t, codes(v.Findings, "error"), "namespace /permissions/0/code")
	require.Len(t, v.Files, 1)
	var m map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(v.Manifest, &m))
	require.Less(t, strings.Index(string(m["settings"]), "zeta"), strings.Index(string(m["settings"]), "alpha"), "settings keep their order")
	v = p.submit("1.0.0")
	require.Equal(t, draft, v.State, "with errors it stays a draft")
	require.Contains(t, codes(v.Findings, "error"), "namespace /permissions/0/code")
	_, err = p.decide("1.0.0", "approve")
	requireRefused(t, contract.Conflict, "", err)
}

func TestALostUpdateIsAConflict(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.publisher("crm")
	v := p.put("1.0.0", nil)
	again := p.put("1.0.0", map[string]any{"description": "Better."})
	require.Greater(t, again.Revision, v.Revision)
	stale := p.which("1.0.0")
	stale.Revision = v.Revision
	_, err := p.SubmitVersion(as(t, p.tenant), stale)
	requireRefused(t, contract.Conflict, "revision", err)
	stale.Revision = again.Revision
	now, err := p.SubmitVersion(as(t, p.tenant), stale)
	require.NoError(t, err)
	_, err = w.ReviewVersion(asPlatform(t), &contract.ReviewVersionRequest{
		ModuleName: "crm", Version: "1.0.0", Decision: "approve", Revision: again.Revision,
	})
	requireRefused(t, contract.Conflict, "revision", err)
	_, err = w.ReviewVersion(asPlatform(t), &contract.ReviewVersionRequest{
		ModuleName: "crm", Version: "1.0.0", Decision: "approve", Revision: now.Revision,
	})
	require.NoError(t, err)
	_, err = w.PublishVersion(as(t, p.tenant), &contract.PublishVersionRequest{ModuleName: "crm", Version: "1.0.0", Revision: now.Revision})
	requireRefused(t, contract.Conflict, "revision", err)
	m, err := w.GetRegisteredModule(as(t, p.tenant), &contract.ModuleRequest{ModuleName: "crm"})
	require.NoError(t, err)
	hide := &contract.SetVisibilityRequest{ModuleName: "crm", Visibility: "hidden", Revision: m.Revision - 1}
	_, err = w.SetVisibility(as(t, p.tenant), hide)
	requireRefused(t, contract.Conflict, "revision", err)
	hide.Revision = m.Revision
	_, err = w.SetVisibility(as(t, p.tenant), hide)
	require.NoError(t, err)
}

func TestARejectionSaysWhy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.publisher("crm")
	p.in(submitted, "1.0.0", nil)
	_, err := w.ReviewVersion(asPlatform(t), &contract.ReviewVersionRequest{ModuleName: "crm", Version: "1.0.0", Decision: "reject"})
	requireRefused(t, contract.InvalidArgument, "comment", err)
	finding := contract.Finding{Code: "review", Severity: "error", Path: "main.js", Line: 3, Message: "Sends names to a third party."}
	v, err := w.ReviewVersion(asPlatform(t), &contract.ReviewVersionRequest{
		ModuleName: "crm", Version: "1.0.0", Decision: "reject", Comment: "no", Findings: []contract.Finding{finding},
	})
	require.NoError(t, err)
	require.Equal(t, rejected, v.State)
	require.Contains(t, p.get("1.0.0").Findings, finding)
	changes := told[events.VersionChange](w, events.VersionChanged)
	last := changes[len(changes)-1]
	require.Equal(t, []string{rejected, "admin", "no"}, []string{last.State, last.By, last.Comment})
	v = p.put("1.0.0", nil)
	require.Equal(t, draft, v.State)
	require.Empty(t, v.Findings)
	require.Empty(t, v.DecidedBy)
}

func TestTheLastVersionTakesTheModuleAlong(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.publisher("crm")
	p.put("1.0.0", bundle("a.js", map[string]string{"a.js": "1"}))
	p.put("1.1.0", nil)
	for _, version := range []string{"1.0.0", "1.1.0"} {
		_, err := w.DeleteVersion(as(t, p.tenant), &contract.VersionRequest{ModuleName: "crm", Version: version})
		require.NoError(t, err)
	}
	other := w.publisher("crm")
	other.put("1.0.0", nil)
	_, err := w.SuspendModule(asPlatform(t), &contract.SuspendModuleRequest{ModuleName: "crm", Reason: "malware"})
	require.NoError(t, err)
	_, err = w.DeleteVersion(as(t, other.tenant), &contract.VersionRequest{ModuleName: "crm", Version: "1.0.0"})
	require.NoError(t, err)
	third := w.publisher("crm")
	_, err = third.putText("1.0.0", third.source("1.0.0", nil))
	requireRefused(t, contract.NotFound, "module_name", err)
}

func TestTheKillSwitchIsToldAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.publisher("crm")
	p.published("1.0.0", nil)
	_, err := w.install("crm", "1.0.0")
	require.NoError(t, err)
	require.True(t, w.Directory.Enabled(string(w.tenant), "crm"))

	suspend := func(reason string) *contract.ModuleVersion {
		v, err := w.SuspendVersion(asPlatform(t), &contract.SuspendVersionRequest{ModuleName: "crm", Version: "1.0.0", Reason: reason})
		require.NoError(t, err)
		return v
	}
	require.Equal(t, "leaks", suspend("leaks").Suspended)
	require.False(t, w.Directory.Enabled(string(w.tenant), "crm"))
	suspend("leaks") // changes nothing
	_, err = p.release("1.0.0", &contract.Rollout{Percent: 5})
	require.Contains(t, refusal(t, contract.Conflict, "", err).Message, "suspended")
	seen, err := w.GetVersion(as(t, w.tenant), &contract.VersionRequest{ModuleName: "crm", Version: "1.0.0"})
	require.NoError(t, err, "who has it sees why it stopped")
	require.Equal(t, "leaks", seen.Suspended)
	_, err = w.GetVersion(as(t, w.newTenant()), &contract.VersionRequest{ModuleName: "crm", Version: "1.0.0"})
	requireRefused(t, contract.NotFound, "", err)
	require.Empty(t, suspend("").Suspended)
	require.True(t, w.Directory.Enabled(string(w.tenant), "crm"))

	m, err := w.SuspendModule(asPlatform(t), &contract.SuspendModuleRequest{ModuleName: "crm", Reason: "all bad"})
	require.NoError(t, err)
	require.Equal(t, "all bad", m.Suspended)
	require.False(t, w.Directory.Enabled(string(w.tenant), "crm"))
	_, err = w.SuspendModule(asPlatform(t), &contract.SuspendModuleRequest{ModuleName: "crm"})
	require.NoError(t, err)
	require.True(t, w.Directory.Enabled(string(w.tenant), "crm"))

	states := told[contract.ModuleState](w, events.ModuleStateChanged)
	require.Len(t, states, 4)
	require.Equal(t, []string{"1.0.0"}, states[0].Versions)
	require.Empty(t, states[1].Versions)
	require.True(t, states[2].Suspended)
	require.False(t, states[3].Suspended)
	for i := range 3 {
		require.Less(t, states[i].Revision, states[i+1].Revision)
	}
	_, err = w.SuspendModule(asPlatform(t), &contract.SuspendModuleRequest{ModuleName: "nothing", Reason: "x"})
	requireRefused(t, contract.NotFound, "", err)
}

func TestATenantSeesWhatItMayInstallAndWhatItHas(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.publisher("crm")
	p.published("1.0.0", nil)
	p.published("1.10.0", nil)
	p.published("1.9.0", nil)
	p.published("2.0.0-rc.1", nil)
	p.put("3.0.0", nil)
	see := func(ctx context.Context) (latest string, versions []string) {
		m, err := w.GetRegisteredModule(ctx, &contract.ModuleRequest{ModuleName: "crm"})
		if err != nil {
			requireRefused(t, contract.NotFound, "", err)
			_, err = w.ListVersions(ctx, &contract.ListVersionsRequest{ModuleName: "crm"})
			requireRefused(t, contract.NotFound, "", err)
			return "", nil
		}
		list, err := w.ListVersions(ctx, &contract.ListVersionsRequest{ModuleName: "crm"})
		require.NoError(t, err)
		for _, v := range list.Items {
			versions = append(versions, v.Version)
			require.Empty(t, v.Manifest)
		}
		return m.Latest, versions
	}
	latest, versions := see(as(t, w.tenant))
	require.Equal(t, "1.10.0", latest)
	require.Equal(t, []string{"2.0.0-rc.1", "1.10.0", "1.9.0", "1.0.0"}, versions)
	for _, all := range []context.Context{as(t, p.tenant), asPlatform(t), bounded(t)} {
		_, versions = see(all)
		require.Equal(t, []string{"3.0.0", "2.0.0-rc.1", "1.10.0", "1.9.0", "1.0.0"}, versions)
	}

	// A canary is for some of the tenants.
	chosen := w.newTenant()
	_, err := p.release("1.10.0", &contract.Rollout{TenantIDs: []string{strings.ToUpper(string(chosen))}})
	require.NoError(t, err)
	latest, _ = see(as(t, w.tenant))
	require.Equal(t, "1.9.0", latest)
	latest, _ = see(as(t, chosen))
	require.Equal(t, "1.10.0", latest)
	shown, err := w.GetVersion(as(t, chosen), &contract.VersionRequest{ModuleName: "crm", Version: "1.10.0"})
	require.NoError(t, err)
	require.Nil(t, shown.Rollout, "nobody is told who else gets it")
	require.NotEmpty(t, shown.Manifest)
	require.Equal(t, &contract.Rollout{TenantIDs: []string{string(chosen)}}, p.get("1.10.0").Rollout)

	// A deprecated version is there for who has it.
	_, err = w.install("crm", "1.9.0")
	require.NoError(t, err)
	_, err = p.DeprecateVersion(as(t, p.tenant), &contract.ChangeVersionRequest{ModuleName: "crm", Version: "1.9.0", Comment: "old"})
	require.NoError(t, err)
	latest, versions = see(as(t, w.tenant))
	require.Equal(t, "1.0.0", latest)
	require.Equal(t, []string{"2.0.0-rc.1", "1.9.0", "1.0.0"}, versions)
	_, versions = see(as(t, chosen))
	require.NotContains(t, versions, "1.9.0")

	// Hidden, or for others: who has it keeps what they have.
	set := func(visibility string, tenants ...string) {
		m, err := w.SetVisibility(as(t, p.tenant), &contract.SetVisibilityRequest{ModuleName: "crm", Visibility: visibility, TenantIDs: tenants})
		require.NoError(t, err)
		require.Equal(t, visibility, m.Visibility)
	}
	set("hidden")
	latest, versions = see(as(t, w.tenant))
	require.Empty(t, latest)
	require.Equal(t, []string{"1.9.0"}, versions)
	_, versions = see(as(t, chosen))
	require.Empty(t, versions)
	set("allow_list", string(chosen), string(chosen))
	latest, _ = see(as(t, chosen))
	require.Equal(t, "1.10.0", latest)
	m, err := w.GetRegisteredModule(as(t, chosen), &contract.ModuleRequest{ModuleName: "crm"})
	require.NoError(t, err)
	require.Empty(t, m.TenantIDs, "nobody is told who else may")
	m, err = w.GetRegisteredModule(as(t, p.tenant), &contract.ModuleRequest{ModuleName: "crm"})
	require.NoError(t, err)
	require.Equal(t, []string{string(chosen)}, m.TenantIDs)
	_, err = w.SetVisibility(as(t, p.tenant), &contract.SetVisibilityRequest{ModuleName: "crm", Visibility: "all", TenantIDs: []string{kit.NewID()}})
	requireRefused(t, contract.InvalidArgument, "tenant_ids", err)

	// What needs another core is nobody's.
	w.Core = "5.0.0"
	p.published("4.0.0", map[string]any{"compat": map[string]any{"core": "^5"}})
	set("all")
	latest, _ = see(as(t, chosen))
	require.Equal(t, "4.0.0", latest)
	w.Core = "4.9.0"
	latest, _ = see(as(t, chosen))
	require.Equal(t, "1.10.0", latest)
}

func TestTheCatalogueIsSearchedPageByPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	owner := w.newTenant()
	for _, module := range []string{"alpha", "beta", "crm-basic", "crm-pro", "delta", "epsilon"} {
		p := &publisher{world: w, tenant: owner, module: module, members: map[string]any{"license": "MIT", "category": "crm"}}
		switch module {
		case "beta":
			p.put("1.0.0", map[string]any{"name": "Secret plan"})
		case "delta":
			p.in(approved, "1.0.0", nil)
			_, err := p.release("1.0.0", &contract.Rollout{Percent: 0})
			require.NoError(t, err)
		case "epsilon":
			p.published("1.0.0", map[string]any{"name": map[string]string{"en": "Épsilon 100%", "de": "Fünf"}, "category": "hr"})
		default:
			p.published("1.0.0", nil)
		}
	}
	search := func(ctx context.Context, r contract.SearchModulesRequest) (ids []string) {
		for more := true; more; more = r.Cursor != "" {
			page, err := w.SearchModules(ctx, &r)
			require.NoError(t, err)
			require.LessOrEqual(t, len(page.Items), max(r.Limit, 50))
			for _, m := range page.Items {
				ids = append(ids, m.ID)
			}
			r.Cursor = page.NextCursor
		}
		return ids
	}
	all := []string{"alpha", "beta", "crm-basic", "crm-pro", "delta", "epsilon"}
	theirs := []string{"alpha", "crm-basic", "crm-pro", "epsilon"}
	for _, limit := range []int{0, 1, 2, 3, 500} {
		require.Equal(t, theirs, search(as(t, w.tenant), contract.SearchModulesRequest{Limit: limit}), limit)
		require.Equal(t, all, search(as(t, owner), contract.SearchModulesRequest{Limit: limit}))
		require.Equal(t, all, search(asPlatform(t), contract.SearchModulesRequest{Limit: limit}))
		require.Equal(t, theirs, search(asPlatform(t), contract.SearchModulesRequest{Limit: limit, TenantID: w.tenant}), "as the tenant sees it")
	}
	require.Equal(t, all, search(as(t, owner), contract.SearchModulesRequest{Owned: true}))
	require.Empty(t, search(as(t, w.tenant), contract.SearchModulesRequest{Owned: true}))
	require.Equal(t, []string{"crm-basic", "crm-pro"}, search(as(t, w.tenant), contract.SearchModulesRequest{Search: " CRM-"}))
	require.Equal(t, []string{"epsilon"}, search(as(t, w.tenant), contract.SearchModulesRequest{Search: "0%"}))
	require.Empty(t, search(as(t, w.tenant), contract.SearchModulesRequest{Search: "secret"}))
	require.Equal(t, []string{"epsilon"}, search(as(t, w.tenant), contract.SearchModulesRequest{Category: "hr"}))
	for _, cursor := range []string{"!", "AAAA", "Y29yZSI7"} {
		_, err := w.SearchModules(as(t, w.tenant), &contract.SearchModulesRequest{Cursor: cursor})
		requireRefused(t, contract.InvalidArgument, "cursor", err)
	}
}

// A publisher, who may be anybody's tenant, cannot fill the registry.
func TestAPublisherKeepsNoMoreThanItMay(t *testing.T) {
	t.Parallel()
	p := newWorld(t).publisher("crm")
	p.put("1.0.0", nil)
	p.exec(`INSERT INTO tenant.module_versions (module, version, source, manifest)
		SELECT $1, '0.0.' || n, '', '{}' FROM generate_series(1, $2::int) n`, p.module, maxVersions-1)
	p.put("1.0.0", nil) // again
	_, err := p.putText("1.0.1", p.source("1.0.1", nil))
	requireRefused(t, contract.Conflict, "", err)
	p.exec("DELETE FROM tenant.module_versions WHERE version LIKE '0.0.%'")
	p.put("1.0.1", nil)
	p.exec(`INSERT INTO tenant.module_files (module, version, path, digest, size) VALUES ($1, '1.0.0', 'large.js', 'd', $2)`, p.module, maxBundles)
	p.put("1.0.1", nil)
	p.exec("UPDATE tenant.module_files SET size = size + 1")
	_, err = p.putText("1.0.1", p.source("1.0.1", nil))
	requireRefused(t, contract.Conflict, "", err)
}
