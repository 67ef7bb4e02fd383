package registry

import (
	"cmp"
	"context"
	"slices"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/manifest"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// hooks has a module told what happened to it, as far as its manifest asks for
// that.
func (t *turn) hooks(ctx context.Context, m *manifest.Manifest, row db.TenantActivation, from string, happened ...string) error {
	for _, event := range happened {
		err := t.hook(ctx, m, db.AddHookParams{Module: row.Module, Event: event, Version: row.Version, FromVersion: from})
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *turn) hooksOf(ctx context.Context, row db.TenantActivation, happened ...string) error {
	m, err := t.r.manifestOf(ctx, t.q, row.Module, row.Version)
	if err != nil {
		return err
	}
	return t.hooks(ctx, m, row, "", happened...)
}

func (t *turn) hook(ctx context.Context, m *manifest.Manifest, hook db.AddHookParams) error {
	hook.TenantID = t.tenant
	return addHook(ctx, t.q, m, hook)
}

func addHook(ctx context.Context, q *db.Queries, m *manifest.Manifest, hook db.AddHookParams) error {
	at := slices.IndexFunc(m.Hooks, func(h manifest.Hook) bool { return h.Event == hook.Event })
	if at < 0 {
		return nil
	}
	hook.ID, hook.Retries = kit.NewID(), int32(cmp.Or(m.Hooks[at].Retries, 20))
	_, err := q.AddHook(ctx, hook)
	return err
}

// Configured has a module told that its settings changed in a tenant, as part of
// the caller's transaction; once, however often it happens before the module
// acknowledges.
func (r *Registry) Configured(ctx context.Context, q *db.Queries, tenant, module string) error {
	for _, a := range r.Directory.Activations(tenant) {
		if a.Module != module || a.Version == "" {
			continue
		}
		m, err := r.manifestOf(ctx, q, module, a.Version)
		if err != nil {
			return err
		}
		n, err := q.RepeatHook(ctx, db.RepeatHookParams{TenantID: tenant, Module: module, Event: "configured"})
		if err != nil || n > 0 {
			return err
		}
		return addHook(ctx, q, m, db.AddHookParams{TenantID: tenant, Module: module, Event: "configured", Version: a.Version})
	}
	return nil
}

// ListHooks answers tenant.hooks: those of the calling module, of tenants that
// uninstalled it too.
func (r *Registry) ListHooks(ctx context.Context, req *contract.ListHooksRequest) (*contract.ListHooksResponse, error) {
	p := kit.PrincipalFrom(ctx)
	response := &contract.ListHooksResponse{
		Items: []contract.Hook{}, News: contract.StreamSubjects(contract.ModuleNews.Spec, p.Module, p.Tenants),
	}
	err := r.Store.Read(ctx, database.Everything, func(q *db.Queries) error {
		rows, err := q.HooksOf(ctx, db.HooksOfParams{
			Module: p.Module, Tenants: append([]string{}, p.Tenants...), Page: int32(cmp.Or(req.Limit, 50)),
		})
		for _, row := range rows {
			response.Items = append(response.Items, hookOf(row))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return response, nil
}

// AcknowledgeHook answers tenant.acknowledge_hook.
func (r *Registry) AcknowledgeHook(ctx context.Context, req *contract.AcknowledgeHookRequest) (*contract.Empty, error) {
	p := kit.PrincipalFrom(ctx)
	tenants := append([]string{}, p.Tenants...)
	err := r.Store.Change(ctx, database.Everything, func(q *db.Queries) ([]events.Event, error) {
		if req.Failed != "" {
			_, err := q.HookFailed(ctx, db.HookFailedParams{ID: kit.UUID(req.HookID), Module: p.Module, Tenants: tenants, Failed: req.Failed})
			return nil, err
		}
		done, err := q.RemoveHook(ctx, db.RemoveHookParams{ID: kit.UUID(req.HookID), Module: p.Module, Tenants: tenants})
		if err != nil {
			return nil, err
		}
		e, err := kit.NewEvent(ctx, events.HookAcknowledged, done.TenantID, 0, events.HookCall{Module: done.Module, Hook: hookOf(done)})
		return []events.Event{e}, err
	})
	if database.Missing(err) {
		return nil, contract.Missing("hook")
	}
	if err != nil {
		return nil, err
	}
	return &contract.Empty{}, nil
}

func hookOf(row db.TenantHook) contract.Hook {
	return contract.Hook{
		ID: row.ID, TenantID: row.TenantID, Event: row.Event, Version: row.Version, From: row.FromVersion,
		EraseData: row.EraseData, At: row.At, Attempt: int(row.Attempt),
	}
}
