package registry

import (
	"context"
	"slices"

	"github.com/Masterminds/semver/v3"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/manifest"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// viewer is who looks at the registry: a tenant, or the platform, which sees
// everything.
type viewer struct {
	tenant     string
	everything bool
}

// viewer finds out who asks. The platform need not act in a tenant.
func (r *Registry) viewer(ctx context.Context, requested contract.ID) (viewer, error) {
	if requested == "" && fromPlatform(ctx) && kit.UserFrom(ctx).TenantID == "" {
		return viewer{tenant: platform, everything: true}, nil
	}
	tenant, err := r.Directory.ActingTenant(ctx, requested)
	return viewer{tenant: tenant, everything: fromPlatform(ctx)}, err
}

// seen is a module as a viewer sees it, and the versions that they see.
type seen struct {
	contract.RegisteredModule
	versions []db.VersionsOfRow // the highest first
}

// registered are modules as a viewer sees them, without those of which they see
// nothing. The owner of a module sees all of it; a tenant sees what it may
// install and what it has.
func (r *Registry) registered(ctx context.Context, q *db.Queries, asks viewer, modules ...db.TenantModule) ([]seen, error) {
	ids := make([]string, len(modules))
	for i, m := range modules {
		ids[i] = m.ID
	}
	rows, err := q.VersionsOf(ctx, ids)
	if err != nil {
		return nil, err
	}
	installed, err := q.InstalledOf(ctx, db.InstalledOfParams{TenantID: asks.tenant, Modules: ids})
	if err != nil {
		return nil, err
	}
	versions, has := map[string][]db.VersionsOfRow{}, map[string]string{}
	for _, row := range rows {
		versions[row.Module] = append(versions[row.Module], row)
	}
	for _, row := range installed {
		has[row.Module] = row.Version
	}
	var all []seen
	for _, m := range modules {
		if one, ok := r.see(asks, m, versions[m.ID], has[m.ID]); ok {
			all = append(all, one)
		}
	}
	return all, nil
}

// see is one module as a viewer sees it, if they do; has is the version of it
// that they have installed.
func (r *Registry) see(asks viewer, m db.TenantModule, versions []db.VersionsOfRow, has string) (seen, bool) {
	order(versions, func(v db.VersionsOfRow) string { return v.Version })
	whole := asks.everything || m.OwnerID == asks.tenant
	one := seen{RegisteredModule: contract.RegisteredModule{
		ID: m.ID, Name: m.Name, Category: m.Category, OwnerID: m.OwnerID, Visibility: m.Visibility, Suspended: m.Suspended,
		CreatedAt: m.CreatedAt, Revision: m.Revision,
	}}
	if whole {
		one.TenantIDs = m.Allowed
	}
	for _, v := range versions {
		offered := r.offered(asks, m, v)
		if offered && one.Latest == "" && !isPrerelease(v.Version) {
			one.Latest = v.Version
		}
		if whole || offered || v.Version == has {
			if !whole {
				v = public(v)
			}
			one.versions = append(one.versions, v)
		}
	}
	return one, whole || len(one.versions) > 0
}

// offered reports whether the viewer may install a version. To the platform, in
// no tenant, it is whether anybody may.
func (r *Registry) offered(asks viewer, m db.TenantModule, v db.VersionsOfRow) bool {
	if v.State != published || v.Suspended != "" || m.Suspended != "" {
		return false
	}
	if r.Core != "" && (&manifest.Manifest{Compat: manifest.Compat{Core: v.Core}}).CompatibleWith(r.Core) != nil {
		return false
	}
	return asks.tenant == platform || mayInstall(m, asks.tenant) && inRollout(asks.tenant, m.ID, v.RolloutPercent, v.RolloutTenants)
}

// mayInstall reports whether a module's visibility lets a tenant install it.
func mayInstall(m db.TenantModule, tenant string) bool {
	return m.Visibility == "all" || m.OwnerID == tenant || m.Visibility == allowList && slices.Contains(m.Allowed, tenant)
}

// public is a version without what is between its publisher and the platform.
func public(v db.VersionsOfRow) db.VersionsOfRow {
	v.Findings, v.SubmittedBy, v.DecidedBy, v.RolloutPercent, v.RolloutTenants = nil, "", "", 100, nil
	if v.State != deprecated {
		v.Comment = ""
	}
	return v
}

func isPrerelease(version string) bool {
	v, err := semver.StrictNewVersion(version)
	return err == nil && v.Prerelease() != ""
}

// lookUp finds one module that the viewer sees something of.
func (r *Registry) lookUp(ctx context.Context, q *db.Queries, asks viewer, module string) (seen, error) {
	row, err := q.GetModule(ctx, module)
	if err == nil {
		var all []seen
		if all, err = r.registered(ctx, q, asks, row); err == nil && len(all) > 0 {
			return all[0], nil
		}
	}
	if err == nil || database.Missing(err) {
		err = contract.Missing("module")
	}
	return seen{}, err
}
