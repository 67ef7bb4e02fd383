package registry

import (
	"context"
	"slices"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// GetVersion answers tenant.get_version.
func (r *Registry) GetVersion(ctx context.Context, req *contract.VersionRequest) (*contract.ModuleVersion, error) {
	asks, err := r.viewer(ctx, req.TenantID)
	if err != nil {
		return nil, err
	}
	var version *contract.ModuleVersion
	err = r.Store.Read(ctx, database.Everything, func(q *db.Queries) error {
		found, err := r.lookUp(ctx, q, asks, req.ModuleName)
		if err != nil {
			return err
		}
		at := slices.IndexFunc(found.versions, func(v db.VersionsOfRow) bool { return v.Version == req.Version })
		if at < 0 {
			return contract.Missing("version")
		}
		row, err := q.GetVersion(ctx, db.GetVersionParams{Module: req.ModuleName, Version: req.Version})
		if err != nil {
			return err
		}
		if version, err = whole(ctx, q, row); err != nil {
			return err
		}
		shown := brief(found.versions[at]) // what the viewer sees of it
		shown.Manifest, shown.Files, shown.Missing = version.Manifest, version.Files, version.Missing
		version = &shown
		return nil
	})
	if err != nil {
		return nil, err
	}
	return version, nil
}
