package app

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/services/rbac/internal/store/db"
)

// maxCells is how large a matrix may be to fit an answer.
const maxCells = 150_000

// RoleMatrix answers rbac.matrix.
func (a *App) RoleMatrix(ctx context.Context, r *contract.RoleMatrixRequest) (*contract.RoleMatrixResponse, error) {
	tenant, err := a.roleTenant(ctx, r.TenantID)
	if err != nil {
		return nil, err
	}
	var roles []db.RbacRole
	err = a.DB.Read(ctx, tenant, func(tx pgx.Tx) (err error) {
		roles, err = db.New(tx).ListRoles(ctx, db.ListRolesParams{TenantID: tenant, AfterID: Platform, Patterns: []string{}})
		return err
	})
	if err != nil {
		return nil, err
	}
	declared, err := a.catalogueOf(ctx, tenant)
	if err != nil {
		return nil, err
	}
	if r.Module != "" {
		declared = slices.DeleteFunc(declared, func(p contract.Permission) bool { return p.Module != r.Module })
	}
	if cells := len(roles) * len(declared); cells > maxCells {
		return nil, contract.Invalid("module", "is required: %d roles by %d permissions are too many for one answer", len(roles), len(declared))
	}
	response := &contract.RoleMatrixResponse{Roles: []contract.MatrixRole{}, Rows: []contract.MatrixRow{}}
	for _, row := range roles {
		response.Roles = append(response.Roles, contract.MatrixRole{ID: row.ID, Name: row.Name, System: row.System})
	}
	for _, p := range declared {
		cells := make([]bool, len(roles))
		for i, row := range roles {
			cells[i] = grants(row.Permissions, p.Code)
		}
		response.Rows = append(response.Rows, contract.MatrixRow{Permission: p.Code, Granted: cells})
	}
	return response, nil
}
