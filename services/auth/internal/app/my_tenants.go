package app

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
)

// MyTenants answers auth.my_tenants. A platform administrator belongs to none
// and may act in any: the tenants are listed elsewhere.
func (a *App) MyTenants(ctx context.Context, _ *contract.MyTenantsRequest) (*contract.MyTenantsResponse, error) {
	caller, response := kit.UserFrom(ctx), &contract.MyTenantsResponse{Items: []contract.MyTenant{}}
	member, _ := a.Directory.Member(caller.ID)
	ids := member.Tenants
	if member.Platform { // and where they act now
		ids = append([]string{caller.TenantID}, ids...)
	} else {
		ids = append([]string{member.TenantID}, ids...)
	}
	seen := map[string]bool{}
	for _, id := range ids {
		tenant, ok := a.Directory.MemberOf(caller.ID, id)
		if id == "" || !ok || seen[id] {
			continue
		}
		seen[id] = true
		response.Items = append(response.Items, contract.MyTenant{
			ID: tenant.ID, Code: tenant.Code, Name: tenant.Name,
			Home: id == member.TenantID, Current: id == caller.TenantID,
		})
	}
	return response, nil
}
