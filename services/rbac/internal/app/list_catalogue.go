package app

import (
	"cmp"
	"context"
	"encoding/base64"
	"slices"
	"strings"

	"github.com/buildify/core/pkg/contract"
)

// ListCatalogue answers rbac.list_permissions.
func (a *App) ListCatalogue(ctx context.Context, r *contract.ListCatalogueRequest) (*contract.ListCatalogueResponse, error) {
	tenant, err := a.roleTenant(ctx, r.TenantID)
	if err != nil {
		return nil, err
	}
	after, err := base64.RawURLEncoding.DecodeString(r.Cursor)
	if err != nil || len(after) > 0 && !contract.ValidPermission(string(after)) {
		return nil, errCursor
	}
	all, err := a.catalogueOf(ctx, tenant)
	if err != nil {
		return nil, err
	}
	search := strings.ToLower(strings.TrimSpace(r.Search))
	all = slices.DeleteFunc(all, func(p contract.Permission) bool {
		return p.Code <= string(after) || r.Module != "" && p.Module != r.Module ||
			!strings.Contains(p.Code, search) && !strings.Contains(strings.ToLower(p.Title), search)
	})
	slices.SortFunc(all, func(a, b contract.Permission) int { return cmp.Compare(a.Code, b.Code) })
	limit := cmp.Or(r.Limit, 100)
	response := &contract.ListCatalogueResponse{Items: append([]contract.Permission{}, all[:min(len(all), limit)]...)}
	if len(all) > limit {
		response.NextCursor = base64.RawURLEncoding.EncodeToString([]byte(all[limit-1].Code))
	}
	return response, nil
}
