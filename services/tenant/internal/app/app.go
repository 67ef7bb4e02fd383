// Package app holds the operations of tenants and their org trees, one file
// each.
package app

import (
	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit/directory"
	"github.com/buildify/core/services/tenant/internal/store"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// App serves the operations. Reads are answered from Directory, which follows
// the events of the writes.
type App struct {
	Store     *store.Store
	Directory *directory.Directory
}

func tenantOf(row db.TenantTenant) contract.Tenant {
	return contract.Tenant{ID: row.ID, Code: row.Code, Name: row.Name, IsActive: row.IsActive, Revision: row.Revision}
}

func activationOf(row db.TenantActivation) contract.Activation {
	return contract.Activation{TenantID: row.TenantID, Module: row.Module, Enabled: row.Enabled, Revision: row.Revision}
}
