package app

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/services/rbac/internal/store/db"
)

// MayMoveUnit answers rbac.may_move_unit. What is allowed in the units that it
// enters is given in the unit from then on, and what is denied in those that it
// leaves is given back.
func (a *App) MayMoveUnit(ctx context.Context, r *contract.MayMoveUnitRequest) (*contract.Empty, error) {
	tenant, by := kit.UUID(r.TenantID), giver{kit.UUID(r.ByUserID)}
	enters, err := readIDs("enters", r.Enters)
	if err != nil {
		return nil, err
	}
	leaves, err := readIDs("leaves", r.Leaves)
	if err != nil {
		return nil, err
	}
	policy, err := a.policy(ctx, tenant, 0)
	if err != nil {
		return nil, err
	}
	var given []gift
	err = a.DB.Read(ctx, tenant, func(tx pgx.Tx) error {
		q, unit := db.New(tx), kit.UUID(r.UnitID)
		var all []db.GivenByRow
		for deny, units := range map[bool][]string{false: enters, true: leaves} {
			rows, err := q.GivenIn(ctx, db.GivenInParams{TenantID: tenant, Deny: deny, Now: time.Now(), Units: units})
			if err != nil {
				return err
			}
			for _, row := range rows {
				all = append(all, db.GivenByRow{RoleID: row.RoleID, UnitID: &unit, ExpiresAt: row.ExpiresAt})
			}
		}
		given, err = giftsIn(ctx, q, tenant, all)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, one := range given {
		for _, code := range one.codes {
			if !by.has(policy, code, one.reach) {
				return nil, &contract.Error{Code: contract.PermissionDenied, Field: "parent_id", Message: fmt.Sprintf(
					"people would get %s in the unit, which you do not hold there, or not for so long; ask a tenant administrator", code)}
			}
		}
	}
	return &contract.Empty{}, nil
}
