package app

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/rbac/internal/store/db"
)

// declared lists the permissions that the platform and its modules declare,
// sorted. It is kept in memory until Redeclared.
func (a *App) declared(ctx context.Context) ([]string, error) {
	if known := a.catalogue.Load(); known != nil {
		return *known, nil
	}
	var codes []string
	err := a.DB.Read(ctx, database.Everything, func(tx pgx.Tx) (err error) {
		codes, err = db.New(tx).DeclaredCodes(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, spec := range contract.Operations() {
		if spec.Permission != "" {
			codes = append(codes, spec.Permission)
		}
	}
	slices.Sort(codes)
	codes = slices.Compact(codes)
	a.catalogue.Store(&codes)
	return codes, nil
}

// Redeclared says that a module's declaration changed.
func (a *App) Redeclared() { a.catalogue.Store(nil) }
