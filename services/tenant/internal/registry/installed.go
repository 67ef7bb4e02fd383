package registry

import (
	"context"
	"slices"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/manifest"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// ListInstalled answers tenant.list_installed.
func (r *Registry) ListInstalled(ctx context.Context, req *contract.ListInstalledRequest) (*contract.ListInstalledResponse, error) {
	tenant, err := r.Directory.ActingTenant(ctx, req.TenantID)
	if err != nil {
		return nil, err
	}
	response := &contract.ListInstalledResponse{Items: []contract.InstalledModule{}}
	err = r.Store.Read(ctx, tenant, func(q *db.Queries) error {
		rows, err := q.InstalledModules(ctx, tenant)
		for _, row := range rows {
			if err != nil {
				return err
			}
			var installed contract.InstalledModule
			installed, err = r.installed(ctx, q, row)
			response.Items = append(response.Items, installed)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return response, nil
}

// GetInstalled answers tenant.get_installed.
func (r *Registry) GetInstalled(ctx context.Context, req *contract.ModuleRequest) (*contract.InstalledModule, error) {
	tenant, err := r.Directory.ActingTenant(ctx, req.TenantID)
	if err != nil {
		return nil, err
	}
	var row db.TenantActivation
	err = r.Store.Read(ctx, tenant, func(q *db.Queries) (err error) {
		row, err = q.GetActivation(ctx, db.GetActivationParams{TenantID: tenant, Module: req.ModuleName})
		return err
	})
	if database.Missing(err) || err == nil && !row.Installed {
		return nil, contract.Missing("module of this tenant")
	}
	if err != nil {
		return nil, err
	}
	return r.describe(ctx, tenant, row)
}

func (r *Registry) describe(ctx context.Context, tenant string, row db.TenantActivation) (*contract.InstalledModule, error) {
	var installed contract.InstalledModule
	err := r.Store.Read(ctx, tenant, func(q *db.Queries) (err error) {
		installed, err = r.installed(ctx, q, row)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &installed, nil
}

func (r *Registry) installed(ctx context.Context, q *db.Queries, row db.TenantActivation) (contract.InstalledModule, error) {
	m, err := r.manifestOf(ctx, q, row.Module, row.Version)
	if err != nil {
		return contract.InstalledModule{}, err
	}
	update, err := r.update(ctx, q, row)
	if err != nil {
		return contract.InstalledModule{}, err
	}
	installed := contract.InstalledModule{
		Module: row.Module, Name: m.Say(m.Name), Version: row.Version, Range: row.Range, State: "disabled", Update: update,
		Scopes:      append([]string{}, row.Scopes...),
		Dormant:     asked(m, func(scope string) bool { return !slices.Contains(row.Scopes, scope) }),
		InstalledAt: row.InstalledAt, UpdatedAt: row.UpdatedAt, Revision: row.Revision,
	}
	switch {
	case r.Directory.Withdrawn(row.Module, row.Version):
		installed.State = "suspended"
	case row.Enabled:
		installed.State = "enabled"
	}
	return installed, nil
}

// update is the highest version that the tenant may go to, if that is later
// than the one in use.
func (r *Registry) update(ctx context.Context, q *db.Queries, row db.TenantActivation) (string, error) {
	s := &solution{manifests: map[string]*manifest.Manifest{}}
	versions, err := r.available(ctx, q, s, row.TenantID, row.Module)
	for _, v := range versions {
		if v.Version.Prerelease() == "" && laterThan(v.Version, row.Version) {
			return v.Version.Original(), nil
		}
	}
	return "", err
}
