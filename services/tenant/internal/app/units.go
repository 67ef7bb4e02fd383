package app

import (
	"context"
	"slices"
	"strings"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// tree is a tenant's org tree while it is changed. Whoever holds one is alone.
type tree struct {
	q      *db.Queries
	tenant string
}

// changeTree has work change a tenant's org tree, one after the other, and tells
// the new states of the units that work returns, in this order.
func (a *App) changeTree(ctx context.Context, tenant string, work func(*tree) ([]db.TenantUnit, error)) error {
	var changed []contract.OrgUnit
	err := a.Store.Change(ctx, tenant, func(q *db.Queries) ([]events.Event, error) {
		if _, err := q.LockContents(ctx, tenant); database.Missing(err) {
			return nil, contract.Missing("tenant")
		} else if err != nil {
			return nil, err
		}
		rows, err := work(&tree{q, tenant})
		if err != nil {
			return nil, err
		}
		told := make([]events.Event, len(rows))
		changed = make([]contract.OrgUnit, len(rows))
		for i, row := range rows {
			changed[i] = unitOf(row)
			if told[i], err = kit.NewEvent(ctx, events.UnitChanged, tenant, row.Revision, changed[i]); err != nil {
				return nil, err
			}
		}
		return told, nil
	})
	if constraint, duplicate := database.Duplicate(err); duplicate && constraint == "units_code" {
		return &contract.Error{Code: contract.AlreadyExists, Field: "code", Message: "a unit of this code is there already"}
	}
	if err != nil {
		return err
	}
	for _, unit := range changed {
		a.Directory.PutUnit(unit)
	}
	return nil
}

// unit is one that is there, at the revision if one is named.
func (t *tree) unit(ctx context.Context, id contract.ID, revision int64) (db.TenantUnit, error) {
	row, err := t.any(ctx, id, revision)
	if err == nil && row.Removed {
		err = contract.Missing("unit")
	}
	return row, err
}

// any is unit for one that may be removed.
func (t *tree) any(ctx context.Context, id contract.ID, revision int64) (db.TenantUnit, error) {
	row, err := t.q.Unit(ctx, db.UnitParams{TenantID: t.tenant, ID: kit.UUID(id)})
	switch {
	case database.Missing(err):
		err = contract.Missing("unit")
	case err == nil && revision != 0 && revision != row.Revision:
		err = contract.Errorf(contract.Conflict, "the unit was changed meanwhile, it is at revision %d; read it again", row.Revision)
	}
	return row, err
}

// place answers whether a unit of this kind, with so many levels, may be in
// parent.
func (t *tree) place(ctx context.Context, id, kind string, levels int, parent string) error {
	path, err := t.q.UnitPath(ctx, db.UnitPathParams{TenantID: t.tenant, Unit: parent})
	if err != nil {
		return err
	}
	if len(path) == 0 || path[len(path)-1].Removed {
		return &contract.Error{Code: contract.NotFound, Field: "parent_id", Message: "no such unit"}
	}
	if kind == contract.Branch && path[len(path)-1].Kind != contract.Company {
		return contract.Invalid("parent_id", "must be a company: a branch is in one")
	}
	if slices.ContainsFunc(path, func(above db.TenantUnit) bool { return above.ID == id }) {
		return contract.Errorf(contract.Conflict, "the unit cannot be moved below itself")
	}
	if len(path)+levels > contract.OrgDepth {
		return contract.Errorf(contract.Conflict, "the tree would have more than %d levels", contract.OrgDepth)
	}
	return nil
}

// head is the person whom a request names to head a unit, somebody who belongs
// to the tenant.
func (a *App) head(ctx context.Context, tenant string, named contract.ID) (*string, error) {
	id := kit.UUID(named)
	if id == "" {
		return nil, nil
	}
	err := a.Directory.AwaitMember(ctx, tenant, id)
	if m, _ := a.Directory.Member(id); err == nil && !in(m, tenant) {
		err = contract.Missing("user")
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		return nil, &contract.Error{Code: contract.NotFound, Field: "head_user_id", Message: "nobody in the tenant has this id"}
	}
	return &id, nil
}

// in reports whether the tenant is the user's home or one that they were given
// access to. A platform administrator may act in others and is in none of them.
func in(m contract.Member, tenant string) bool {
	return !m.Deleted && (m.TenantID == tenant || slices.Contains(m.Tenants, tenant))
}

// unitName is a name as it is kept.
func unitName(name string) (string, error) {
	if name = strings.TrimSpace(name); name == "" {
		return "", contract.Invalid("name", "is required")
	}
	return name, nil
}

func unitOf(row db.TenantUnit) contract.OrgUnit {
	return contract.OrgUnit{
		TenantID: row.TenantID, ID: row.ID, Kind: row.Kind, ParentID: textOf(row.ParentID), Code: row.Code, Name: row.Name,
		HeadUserID: textOf(row.HeadUserID), Removed: row.Removed,
		CreatedAt: row.CreatedAt.UTC(), UpdatedAt: row.UpdatedAt.UTC(), Revision: row.Revision,
	}
}

func nameOf(row db.TenantUnit) contract.UnitName {
	return contract.UnitName{ID: row.ID, Kind: row.Kind, Code: row.Code, Name: row.Name}
}

// textOf is a nullable column, empty for NULL.
func textOf(column *string) string {
	if column == nil {
		return ""
	}
	return *column
}
