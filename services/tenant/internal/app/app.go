// Package app holds the operations of tenants and their org trees, one file
// each.
package app

import (
	"encoding/json"

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
	// Rights is needed by MyUnits and MoveUnit.
	Rights Rights
	// Due, if set, is told that a tenant is to be erased without waiting for the
	// next Sweep. It must not block.
	Due func()
}

// tenantOf is a tenant as others know it. Of an erased one there is nothing to
// know.
func tenantOf(row db.TenantTenant) contract.Tenant {
	tenant := contract.Tenant{
		ID: row.ID, Code: row.Code, Name: row.Name, IsActive: row.State == contract.TenantActive,
		State: row.State, DeleteAt: row.DeleteAt, Revision: row.Revision,
	}
	if row.State == contract.TenantErased {
		tenant.Code, tenant.Name = "", ""
		return tenant
	}
	tenant.Branding, tenant.Limits = stored[contract.Branding](row.Branding), stored[contract.Limits](row.Limits)
	return tenant
}

// stored reads a nullable column of JSON that this service wrote.
func stored[T any](raw []byte) *T {
	if raw == nil {
		return nil
	}
	value := new(T)
	_ = json.Unmarshal(raw, value) // what asJSON made
	return value
}

// asJSON is a value for a nullable column of JSON; nil, or a zero value, is NULL.
func asJSON[T comparable](value *T) []byte {
	if value == nil || *value == *new(T) {
		return nil
	}
	raw, _ := json.Marshal(value) // plain data
	return raw
}
