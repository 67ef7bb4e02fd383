package app

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/outbox"
	"github.com/buildify/core/services/rbac/internal/store/db"
)

// DeclarePermissions answers rbac.declare_permissions. What a module declares
// decides nothing, so no tenant's revision changes.
func (a *App) DeclarePermissions(ctx context.Context, r *contract.DeclarePermissionsRequest) (*contract.DeclarePermissionsResponse, error) {
	wanted, err := readDeclaration(r)
	if err != nil {
		return nil, err
	}
	response := &contract.DeclarePermissionsResponse{}
	err = a.DB.In(ctx, database.Everything, func(tx pgx.Tx) error {
		q := db.New(tx)
		if err := q.LockPermissions(ctx, r.ModuleName); err != nil {
			return err
		}
		present, err := q.PermissionsOf(ctx, r.ModuleName)
		if err != nil {
			return err
		}
		*response = difference(present, wanted)
		if len(response.Added)+len(response.Changed)+len(response.Removed) == 0 {
			return nil
		}
		if err := replacePermissions(ctx, q, wanted, response.Removed); err != nil {
			return err
		}
		event, err := kit.NewEvent(ctx, events.PermissionsDeclared, "", 0, events.PermissionsDeclaration{
			Module: r.ModuleName, Added: response.Added, Changed: response.Changed, Removed: response.Removed,
		})
		if err != nil {
			return err
		}
		return outbox.Add(ctx, tx, event)
	})
	if err != nil {
		return nil, err
	}
	a.Redeclared()
	a.Committed()
	return response, nil
}

// readDeclaration checks a declaration and fills in what it leaves out. Nobody
// declares another's permissions.
func readDeclaration(r *contract.DeclarePermissionsRequest) ([]db.RbacPermission, error) {
	if !contract.ValidModule(r.ModuleName) {
		return nil, contract.Invalid("module_name", "must be 2 to 63 lower-case letters, digits and hyphens, beginning with a letter")
	}
	if contract.ReservedModule(r.ModuleName) {
		return nil, contract.Invalid("module_name", "%s is a name of the platform; no module has it", r.ModuleName)
	}
	wanted := make([]db.RbacPermission, 0, len(r.Permissions))
	seen := make(map[string]bool, len(r.Permissions))
	for i, p := range r.Permissions {
		field := indexed("permissions", i) + ".code"
		switch namespace := contract.PermissionNamespace(p.Code); {
		case !contract.ValidPermission(p.Code):
			return nil, contract.Invalid(field, "must be 2 to 5 segments such as %s:accounts:read, without wildcards", r.ModuleName)
		case namespace != r.ModuleName:
			return nil, contract.Invalid(field, "must begin with %s: a module declares its own permissions only", r.ModuleName)
		case seen[p.Code]:
			return nil, contract.Invalid(field, "is declared twice")
		}
		seen[p.Code] = true
		wanted = append(wanted, db.RbacPermission{
			Code: p.Code, Module: r.ModuleName, Category: cmp.Or(strings.TrimSpace(p.Category), strings.Split(p.Code, ":")[1]),
			Title: cmp.Or(strings.TrimSpace(p.Title), p.Code), Risk: cmp.Or(p.Risk, "low"),
		})
	}
	return wanted, nil
}

// difference says what a declaration changes, each list sorted.
func difference(present, wanted []db.RbacPermission) contract.DeclarePermissionsResponse {
	d := contract.DeclarePermissionsResponse{Added: []string{}, Changed: []string{}, Removed: []string{}}
	before := make(map[string]db.RbacPermission, len(present))
	for _, p := range present {
		before[p.Code] = p
	}
	for _, p := range wanted {
		switch old, known := before[p.Code]; {
		case !known:
			d.Added = append(d.Added, p.Code)
		case old != p:
			d.Changed = append(d.Changed, p.Code)
		}
		delete(before, p.Code)
	}
	for code := range before {
		d.Removed = append(d.Removed, code)
	}
	for _, list := range [][]string{d.Added, d.Changed, d.Removed} {
		slices.Sort(list)
	}
	return d
}

func replacePermissions(ctx context.Context, q *db.Queries, wanted []db.RbacPermission, removed []string) error {
	rows := make([]db.PutPermissionsParams, len(wanted))
	for i, p := range wanted {
		rows[i] = db.PutPermissionsParams(p)
	}
	var failures []error
	q.PutPermissions(ctx, rows).Exec(func(_ int, err error) { failures = append(failures, err) })
	if err := errors.Join(failures...); err != nil || len(removed) == 0 {
		return err
	}
	return q.RemovePermissions(ctx, removed)
}
