package registry

import (
	"context"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"maps"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
)

// publisher is a tenant whose people publish a module.
type publisher struct {
	*world
	tenant  contract.ID
	module  string
	members map[string]any // of its manifests, beside what all have
}

// publisher makes a tenant with a module in mind.
func (w *world) publisher(module string) *publisher {
	return &publisher{world: w, tenant: w.newTenant(), module: module, members: map[string]any{"license": "MIT"}}
}

// as is the context of a person of a tenant.
func as(t testing.TB, tenant contract.ID) context.Context {
	return kit.WithCaller(bounded(t), kit.Caller{User: kit.User{ID: kit.NewID(), TenantID: string(tenant)}})
}

// asPlatform is the context of a platform administrator who is in no tenant.
func asPlatform(t testing.TB) context.Context {
	return kit.WithCaller(bounded(t), kit.Caller{User: kit.User{ID: "admin", Platform: true}})
}

// source is the manifest of a version, with further members.
func (p *publisher) source(version string, more map[string]any) string {
	p.t.Helper()
	all := map[string]any{
		"manifest_version": 2, "id": p.module, "name": "Module " + p.module, "version": version,
		"publisher": map[string]any{"name": "Example"}, "compat": map[string]any{"core": "*"},
	}
	maps.Copy(all, p.members)
	maps.Copy(all, more)
	text, err := json.MarshalIndent(all, "", "  ")
	require.NoError(p.t, err)
	return string(text)
}

func (p *publisher) putText(version, text string) (*contract.ModuleVersion, error) {
	return p.PutVersion(as(p.t, p.tenant), &contract.PutVersionRequest{ModuleName: p.module, Version: version, Manifest: text})
}

func (p *publisher) put(version string, more map[string]any) *contract.ModuleVersion {
	p.t.Helper()
	v, err := p.putText(version, p.source(version, more))
	require.NoError(p.t, err)
	return v
}

func (p *publisher) which(version string) *contract.ChangeVersionRequest {
	return &contract.ChangeVersionRequest{ModuleName: p.module, Version: version}
}

func (p *publisher) submit(version string) *contract.ModuleVersion {
	p.t.Helper()
	v, err := p.SubmitVersion(as(p.t, p.tenant), p.which(version))
	require.NoError(p.t, err)
	return v
}

func (p *publisher) decide(version, decision string) (*contract.ModuleVersion, error) {
	return p.ReviewVersion(asPlatform(p.t), &contract.ReviewVersionRequest{
		ModuleName: p.module, Version: version, Decision: decision, Comment: "looked at it",
	})
}

func (p *publisher) release(version string, rollout *contract.Rollout) (*contract.ModuleVersion, error) {
	return p.PublishVersion(as(p.t, p.tenant), &contract.PublishVersionRequest{ModuleName: p.module, Version: version, Rollout: rollout})
}

// published takes a version all the way.
func (p *publisher) published(version string, more map[string]any) *contract.ModuleVersion {
	p.t.Helper()
	p.in(approved, version, more)
	v, err := p.release(version, nil)
	require.NoError(p.t, err)
	return v
}

// in takes a new version into a state.
func (p *publisher) in(state, version string, more map[string]any) {
	p.t.Helper()
	p.put(version, more)
	if state == draft {
		return
	}
	v := p.submit(version)
	require.NotEqual(p.t, draft, v.State, "%+v", v.Findings)
	if state == submitted {
		return
	}
	if v.State == submitted {
		_, err := p.decide(version, map[bool]string{true: "reject", false: "approve"}[state == rejected])
		require.NoError(p.t, err)
	}
	if state == approved || state == rejected {
		return
	}
	_, err := p.release(version, nil)
	require.NoError(p.t, err)
	if state == deprecated {
		_, err := p.DeprecateVersion(as(p.t, p.tenant), p.which(version))
		require.NoError(p.t, err)
	}
}

// get is a version as its publisher sees it.
func (p *publisher) get(version string) *contract.ModuleVersion {
	p.t.Helper()
	v, err := p.GetVersion(as(p.t, p.tenant), &contract.VersionRequest{ModuleName: p.module, Version: version})
	require.NoError(p.t, err)
	return v
}

// bundle is the member of a manifest that lists files, the first the entry.
func bundle(entry string, files map[string]string) map[string]any {
	var list []map[string]any
	for path, content := range files {
		list = append(list, map[string]any{"path": path, "sha384": integrity(content), "size": len(content)})
	}
	return map[string]any{"bundle": map[string]any{"entry": entry, "files": list}}
}

func integrity(content string) string {
	sum := sha512.Sum384([]byte(content))
	return integrityPrefix + base64.StdEncoding.EncodeToString(sum[:])
}

func digest(content string) string {
	sum := sha512.Sum384([]byte(content))
	return hex.EncodeToString(sum[:])
}

// upload uploads a file in as many parts as it takes.
func (p *publisher) upload(content string) {
	p.t.Helper()
	for offset := 0; offset < len(content); offset += partSize {
		_, err := p.part(content, offset)
		require.NoError(p.t, err)
	}
}

func (p *publisher) part(content string, offset int) (*contract.Asset, error) {
	return p.PutAsset(as(p.t, p.tenant), &contract.PutAssetRequest{
		Digest: digest(content), Size: int64(len(content)), Offset: int64(offset), Data: []byte(content[offset:min(offset+partSize, len(content))]),
	})
}

// told are the data of the events of a kind, the first first.
func told[T any](w *world, kind events.Kind) (all []T) {
	w.t.Helper()
	require.NoError(w.t, w.Store.DB.In(bounded(w.t), database.Everything, func(tx pgx.Tx) error {
		rows, err := tx.Query(bounded(w.t), "SELECT event FROM tenant.outbox ORDER BY id")
		if err != nil {
			return err
		}
		raw, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
		for _, text := range raw {
			var e events.Event
			require.NoError(w.t, json.Unmarshal(text, &e))
			if kind.Is(e) {
				var one T
				require.NoError(w.t, e.DataAs(&one))
				all = append(all, one)
			}
		}
		return err
	}))
	return all
}

// codes are the findings of a severity, each as its code and where it is.
func codes(findings []contract.Finding, severity string) (all []string) {
	for _, f := range findings {
		if f.Severity == severity {
			all = append(all, f.Code+" "+f.Path)
		}
	}
	return all
}
