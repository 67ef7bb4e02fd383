package app

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/decision"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/rbac/internal/store/db"
)

// Load reads a tenant's policy from the database, decides by it from now on,
// and returns it.
func (a *App) Load(ctx context.Context, tenant string) (*decision.Policy, error) {
	p, err := a.Read(ctx, tenant)
	if err != nil {
		return nil, err
	}
	a.Engine.Put(tenant, p)
	return p, nil
}

// Read reads a tenant's policy from the database and leaves the engine as it is.
func (a *App) Read(ctx context.Context, tenant string) (p *decision.Policy, err error) {
	err = a.DB.Read(ctx, tenant, func(tx pgx.Tx) error {
		read, err := load(ctx, db.New(tx), []string{tenant})
		p = read[tenant]
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("policy of %s: %w", tenant, err)
	}
	return p, nil
}

// catchUp returns a tenant's policy, read anew if the engine's is behind the
// database.
func (a *App) catchUp(ctx context.Context, tenant string) (*decision.Policy, error) {
	if err := a.catchUpAll(ctx, []string{tenant}); err != nil {
		return nil, err
	}
	if p := a.Engine.Policy(tenant); p != nil {
		return p, nil
	}
	return a.Load(ctx, tenant) // nothing is known of it yet, or it was evicted
}

func (a *App) catchUpAll(ctx context.Context, tenants []string) error {
	var revisions []db.RevisionsRow
	err := a.DB.Read(ctx, database.Everything, func(tx pgx.Tx) (err error) {
		revisions, err = db.New(tx).Revisions(ctx, tenants)
		return err
	})
	for _, row := range revisions {
		if p := a.Engine.Policy(row.TenantID); err == nil && (p == nil || p.Revision() < row.Revision) {
			_, err = a.Load(ctx, row.TenantID)
		}
	}
	return err
}

// chunk is how many tenants are loaded in one go.
const chunk = 200

// LoadAll reads the policies of all tenants. progress is told how many there
// are so far.
func (a *App) LoadAll(ctx context.Context, progress func(tenants int)) error {
	after, all := Platform, 0
	for {
		var tenants []string
		err := a.DB.Read(ctx, database.Everything, func(tx pgx.Tx) (err error) {
			q := db.New(tx)
			if tenants, err = q.TenantsAfter(ctx, db.TenantsAfterParams{After: after, Page: chunk}); err != nil {
				return err
			}
			read, err := load(ctx, q, tenants)
			for tenant, p := range read {
				a.Engine.Put(tenant, p)
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("policies: %w", err)
		}
		if all += len(tenants); len(tenants) < chunk {
			return nil
		}
		after = tenants[len(tenants)-1]
		progress(all)
	}
}

// changes collects the policies of some tenants.
type changes map[string][]contract.PolicyChange

func (c changes) add(tenant string, change contract.PolicyChange) {
	c[tenant] = append(c[tenant], change)
}

// load reads the whole policies of tenants, those without any at revision 0.
func load(ctx context.Context, q *db.Queries, tenants []string) (map[string]*decision.Policy, error) {
	revisions, err := q.Revisions(ctx, tenants)
	if err != nil {
		return nil, err
	}
	all := changes{}
	for _, read := range []func(context.Context, *db.Queries, []string) error{
		all.states, all.units, all.roles, all.groups, all.bindings,
	} {
		if err := read(ctx, q, tenants); err != nil {
			return nil, err
		}
	}
	at := map[string]int64{}
	for _, r := range revisions {
		at[r.TenantID] = r.Revision
	}
	policies := make(map[string]*decision.Policy, len(tenants))
	for _, tenant := range tenants {
		policies[tenant] = decision.New().Apply(at[tenant], all[tenant])
		delete(all, tenant)
	}
	return policies, nil
}

func (c changes) states(ctx context.Context, q *db.Queries, tenants []string) error {
	states, err := q.LoadTenants(ctx, tenants)
	if err != nil {
		return err
	}
	for _, s := range states {
		c.add(s.TenantID, contract.PolicyChange{Tenant: &contract.PolicyTenant{Active: s.Active}})
	}
	modules, err := q.LoadModules(ctx, tenants)
	for _, m := range modules {
		c.add(m.TenantID, contract.PolicyChange{Module: &contract.PolicyModule{Name: m.Name, Enabled: m.Enabled}})
	}
	return err
}

func (c changes) units(ctx context.Context, q *db.Queries, tenants []string) error {
	units, err := q.LoadUnits(ctx, tenants)
	for _, u := range units {
		if !u.Removed {
			c.add(u.TenantID, contract.PolicyChange{Unit: &contract.PolicyUnit{ID: u.ID, ParentID: value(u.ParentID)}})
		}
	}
	return err
}

func (c changes) roles(ctx context.Context, q *db.Queries, tenants []string) error {
	roles, err := q.LoadRoles(ctx, tenants)
	if err != nil {
		return err
	}
	for _, r := range roles {
		c.add(r.TenantID, contract.PolicyChange{Role: &contract.PolicyRole{ID: r.ID, Name: r.Name, Permissions: r.Permissions}})
	}
	platform, err := q.LoadPlatformRoles(ctx, tenants)
	for _, r := range platform {
		c.add(r.TenantID, contract.PolicyChange{Role: &contract.PolicyRole{ID: r.ID, Name: r.Name, Permissions: r.Permissions}})
	}
	return err
}

func (c changes) groups(ctx context.Context, q *db.Queries, tenants []string) error {
	groups, err := q.LoadGroups(ctx, tenants)
	if err != nil {
		return err
	}
	for _, g := range groups {
		c.add(g.TenantID, contract.PolicyChange{Group: &contract.PolicyGroup{ID: g.ID, Name: g.Name}})
	}
	members, err := q.LoadMembers(ctx, tenants)
	for _, m := range members {
		c.add(m.TenantID, contract.PolicyChange{Member: &contract.PolicyMember{GroupID: m.GroupID, UserID: m.UserID}})
	}
	return err
}

func (c changes) bindings(ctx context.Context, q *db.Queries, tenants []string) error {
	suspended, err := q.LoadSuspended(ctx, tenants)
	if err != nil {
		return err
	}
	for _, s := range suspended {
		c.add(s.TenantID, contract.PolicyChange{User: &contract.PolicyUser{ID: s.UserID, Suspended: true}})
	}
	bindings, err := q.LoadBindings(ctx, tenants)
	for _, b := range bindings {
		c.add(b.TenantID, contract.PolicyChange{Binding: &contract.PolicyBinding{
			ID: b.ID, UserID: value(b.UserID), GroupID: value(b.GroupID), RoleID: b.RoleID, Deny: b.Deny,
			UnitID: value(b.UnitID), ResourceType: b.ResourceType, ResourceID: b.ResourceID, ExpiresAt: b.ExpiresAt,
		}})
	}
	return err
}

// value is what a nullable column holds, empty for NULL.
func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
