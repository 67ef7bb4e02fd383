package app

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/services/rbac/internal/store/db"
)

// CompareRoles answers rbac.compare_roles.
func (a *App) CompareRoles(ctx context.Context, r *contract.CompareRolesRequest) (*contract.RoleComparison, error) {
	tenant, err := a.roleTenant(ctx, r.TenantID)
	if err != nil {
		return nil, err
	}
	var one, other db.RbacRole
	err = a.DB.Read(ctx, tenant, func(tx pgx.Tx) (err error) {
		if one, err = role(ctx, db.New(tx), tenant, r.RoleID); err == nil {
			other, err = role(ctx, db.New(tx), tenant, r.OtherID)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	declared, err := a.catalogueOf(ctx, tenant)
	if err != nil {
		return nil, err
	}
	return &contract.RoleComparison{
		Codes:       compared(one.Permissions, other.Permissions),
		Permissions: compared(granted(one.Permissions, declared), granted(other.Permissions, declared)),
	}, nil
}

// granted lists, sorted, the declared permissions that codes match.
func granted(codes []string, declared []contract.Permission) []string {
	var all []string
	for _, p := range declared {
		if grants(codes, p.Code) {
			all = append(all, p.Code)
		}
	}
	slices.Sort(all)
	return all
}

// compared sorts what two sorted lists have alone and together.
func compared(one, other []string) contract.Comparison {
	c := contract.Comparison{Role: []string{}, Other: []string{}, Both: []string{}}
	for _, code := range one {
		if _, both := slices.BinarySearch(other, code); both {
			c.Both = append(c.Both, code)
		} else {
			c.Role = append(c.Role, code)
		}
	}
	for _, code := range other {
		if _, both := slices.BinarySearch(one, code); !both {
			c.Other = append(c.Other, code)
		}
	}
	return c
}
