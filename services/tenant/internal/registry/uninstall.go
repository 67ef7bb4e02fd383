package registry

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// Uninstall answers tenant.uninstall_module.
func (r *Registry) Uninstall(ctx context.Context, req *contract.UninstallModuleRequest) (*contract.Empty, error) {
	tenant, err := r.Directory.ActingTenant(ctx, req.TenantID)
	if err != nil {
		return nil, err
	}
	err = r.change(ctx, tenant, func(t *turn) error {
		row, err := t.present(ctx, req.ModuleName, req.Revision)
		if err != nil {
			return err
		}
		if err := t.mayGo(ctx, row.Module); err != nil {
			return err
		}
		m, err := r.manifestOf(ctx, t.q, row.Module, row.Version)
		if err != nil {
			return err
		}
		if err := t.hook(ctx, m, db.AddHookParams{Module: row.Module, Event: "uninstalled", Version: row.Version, EraseData: req.EraseData}); err != nil {
			return err
		}
		if req.EraseData {
			told, err := r.Settings.Erase(ctx, t.q, tenant, row.Module)
			if err != nil {
				return err
			}
			t.told = append(t.told, told...)
		}
		_, err = t.put(ctx, db.PutActivationParams{Module: row.Module, Scopes: []string{}})
		return err
	})
	if err != nil {
		return nil, err
	}
	return &contract.Empty{}, nil
}
