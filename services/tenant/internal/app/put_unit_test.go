package app

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/directory"
	"github.com/buildify/core/pkg/kit/kittest"
	"github.com/buildify/core/services/tenant/internal/store"
)

func TestMain(m *testing.M) { kittest.Main(m) }

func bounded(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func newApp(t testing.TB) (a *App, tenant contract.ID) {
	t.Helper()
	url := kittest.Database(t, func(ctx context.Context, url string) error { return database.Migrate(ctx, url, nil) })
	db, err := database.Open(bounded(t), url, "tenant", 0)
	require.NoError(t, err)
	t.Cleanup(db.Close)
	a = &App{Store: &store.Store{DB: db, Committed: func() {}}, Directory: directory.New(slog.New(slog.DiscardHandler))}
	made, err := a.Create(bounded(t), &contract.CreateTenantRequest{Code: "T" + kit.NewID()[:8], Name: "A tenant"})
	require.NoError(t, err)
	return a, contract.ID(made.ID)
}

func put(t testing.TB, a *App, tenant contract.ID, kind, parent string) string {
	t.Helper()
	unit, err := a.PutUnit(bounded(t), &contract.PutUnitRequest{TenantID: tenant, Kind: kind, ParentID: contract.ID(parent), Name: kind})
	require.NoError(t, err)
	return unit.ID
}

func TestAUnitHasItsPlace(t *testing.T) {
	t.Parallel()
	a, tenant := newApp(t)
	other, err := a.Create(bounded(t), &contract.CreateTenantRequest{Code: "OTHER", Name: "Another"})
	require.NoError(t, err)
	elsewhere := contract.ID(other.ID)
	company := put(t, a, tenant, "company", "")
	branch := put(t, a, tenant, "branch", company)
	department := put(t, a, tenant, "department", branch)
	below := put(t, a, tenant, "department", department)
	put(t, a, tenant, "department", company)
	for name, c := range map[string]struct {
		request contract.PutUnitRequest
		code    contract.Code
		field   string
	}{
		"a company has no parent":                   {contract.PutUnitRequest{Kind: "company", ParentID: contract.ID(company)}, contract.InvalidArgument, "parent_id"},
		"a branch has one":                          {contract.PutUnitRequest{Kind: "branch"}, contract.InvalidArgument, "parent_id"},
		"which is a company":                        {contract.PutUnitRequest{Kind: "branch", ParentID: contract.ID(branch)}, contract.InvalidArgument, "parent_id"},
		"a parent must exist":                       {contract.PutUnitRequest{Kind: "branch", ParentID: contract.ID(kit.NewID())}, contract.NotFound, "parent_id"},
		"a unit must exist to be changed":           {contract.PutUnitRequest{Kind: "company", UnitID: contract.ID(kit.NewID())}, contract.NotFound, ""},
		"its kind stays":                            {contract.PutUnitRequest{Kind: "company", UnitID: contract.ID(branch)}, contract.InvalidArgument, "kind"},
		"nothing is below itself":                   {contract.PutUnitRequest{Kind: "department", UnitID: contract.ID(department), ParentID: contract.ID(below)}, contract.Conflict, ""},
		"nor its own parent":                        {contract.PutUnitRequest{Kind: "department", UnitID: contract.ID(department), ParentID: contract.ID(department)}, contract.Conflict, ""},
		"what has units below is not removed":       {contract.PutUnitRequest{Kind: "company", UnitID: contract.ID(company), Removed: true}, contract.Conflict, ""},
		"a tenant must exist":                       {contract.PutUnitRequest{Kind: "company", TenantID: contract.ID(kit.NewID())}, contract.NotFound, ""},
		"another tenant's unit does not exist here": {contract.PutUnitRequest{Kind: "company", TenantID: elsewhere, UnitID: contract.ID(company)}, contract.NotFound, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.request.TenantID == "" {
				c.request.TenantID = tenant
			}
			c.request.Name = "x"
			_, err := a.PutUnit(bounded(t), &c.request)
			var refused *contract.Error
			require.ErrorAs(t, err, &refused)
			require.Equal(t, c.code, refused.Code)
			require.Equal(t, c.field, refused.Field)
		})
	}
}

// Whatever is moved at once, every unit's way up ends at a company.
func TestMovesKeepTheTreeATree(t *testing.T) {
	t.Parallel()
	a, tenant := newApp(t)
	company := put(t, a, tenant, "company", "")
	units := []string{company}
	for range 12 {
		units = append(units, put(t, a, tenant, "department", units[rand.IntN(len(units))]))
	}
	var movers sync.WaitGroup
	for range 4 {
		movers.Go(func() {
			for range 30 {
				unit, parent := units[1+rand.IntN(len(units)-1)], units[rand.IntN(len(units))]
				_, _ = a.PutUnit(bounded(t), &contract.PutUnitRequest{ // a conflict, often
					TenantID: tenant, UnitID: contract.ID(unit), Kind: "department", ParentID: contract.ID(parent), Name: "moved",
				})
			}
		})
	}
	movers.Wait()
	page, err := a.ListUnits(bounded(t), &contract.SnapshotRequest{})
	require.NoError(t, err)
	parents := map[string]string{}
	for _, unit := range page.Items {
		parents[unit.ID] = unit.ParentID
	}
	require.Len(t, parents, len(units))
	for unit := range parents {
		steps := 0
		for at := unit; at != company; at = parents[at] {
			require.NotEmpty(t, at)
			steps++
			require.LessOrEqual(t, steps, len(units), "a cycle")
		}
	}
}

func TestARemovedUnitIsToldAndGone(t *testing.T) {
	t.Parallel()
	a, tenant := newApp(t)
	company := put(t, a, tenant, "company", "")
	removed, err := a.PutUnit(bounded(t), &contract.PutUnitRequest{TenantID: tenant, UnitID: contract.ID(company), Kind: "company", Name: "x", Removed: true})
	require.NoError(t, err)
	require.True(t, removed.Removed)
	page, err := a.ListUnits(bounded(t), &contract.SnapshotRequest{})
	require.NoError(t, err)
	require.Equal(t, []contract.OrgUnit{*removed}, page.Items)
	_, err = a.PutUnit(bounded(t), &contract.PutUnitRequest{TenantID: tenant, UnitID: contract.ID(company), Kind: "company", Name: "x"})
	require.ErrorIs(t, err, &contract.Error{Code: contract.NotFound})
	_, err = a.PutUnit(bounded(t), &contract.PutUnitRequest{TenantID: tenant, ParentID: contract.ID(company), Kind: "branch", Name: "x"})
	require.ErrorIs(t, err, &contract.Error{Code: contract.NotFound})
}
