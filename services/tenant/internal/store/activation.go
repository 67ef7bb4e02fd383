package store

import (
	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// ActivationOf is a module of a tenant as others know it. What is enabled
// without a manifest asks for no consent.
func ActivationOf(row db.TenantActivation) contract.Activation {
	a := contract.Activation{
		TenantID: row.TenantID, Module: row.Module, Enabled: row.Enabled, Version: row.Version, Revision: row.Revision,
	}
	if row.Installed {
		scopes := append([]string{}, row.Scopes...)
		a.Scopes = &scopes
	}
	return a
}
