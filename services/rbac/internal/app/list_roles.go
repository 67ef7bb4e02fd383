package app

import (
	"cmp"
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/decision"
	"github.com/buildify/core/services/rbac/internal/store/db"
)

// ListRoles answers rbac.list_roles.
func (a *App) ListRoles(ctx context.Context, r *contract.ListRolesRequest) (*contract.ListRolesResponse, error) {
	tenant, err := a.roleTenant(ctx, r.TenantID)
	if err != nil {
		return nil, err
	}
	if r.Permission != "" && !contract.ValidPermission(r.Permission) {
		return nil, contract.Invalid("permission", "must be a permission such as financial:accounts:read, without wildcards")
	}
	limit := cmp.Or(r.Limit, 50)
	query := db.ListRolesParams{TenantID: tenant, Kind: r.Kind, Patterns: patterns(r.Search)}
	if query.AfterID, query.AfterName, err = readCursor(r.Cursor); err != nil {
		return nil, err
	}
	if r.Permission == "" { // else a page's roles can be anywhere
		page := int32(limit) + 1
		query.Page = &page
	}
	response := &contract.ListRolesResponse{Items: []contract.Role{}}
	err = a.DB.Read(ctx, tenant, func(tx pgx.Tx) error {
		rows, err := db.New(tx).ListRoles(ctx, query)
		if r.Permission != "" {
			rows = slices.DeleteFunc(rows, func(row db.RbacRole) bool { return !grants(row.Permissions, r.Permission) })
		}
		if len(rows) > limit {
			rows = rows[:limit]
			response.NextCursor = cursorOf(rows[limit-1].ID, rows[limit-1].Name)
		}
		for _, row := range rows {
			response.Items = append(response.Items, roleOf(row))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return response, nil
}

// grants reports whether one of the codes matches the permission.
func grants(codes []string, permission string) bool {
	return slices.ContainsFunc(codes, func(code string) bool { return decision.Matches(code, permission) })
}
