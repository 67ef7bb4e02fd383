package main

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
)

// town is one of many tenants: a company with 3 branches with 3 departments
// each, 20 roles of its own with 6 codes, and users with 5 bindings, a third of
// them to a unit.
type town struct {
	id       string
	units    []string // the company first
	parents  []string
	roles    []string
	codes    [][]string // by role
	users    []string
	bindings []townBinding
}

type townBinding struct{ id, user, role, unit string }

const (
	usersOfOffice  = 100
	rolesOfTown    = 20
	bindingsOfUser = 5
)

// townCodes are what three modules declare.
var townCodes = func() (codes []string) {
	for _, name := range townModules {
		for _, thing := range []string{"accounts", "invoices", "orders", "people", "reports", "settings", "teams", "uploads"} {
			for _, verb := range []string{"read", "create", "update", "delete", "approve", "export"} {
				codes = append(codes, name+":"+thing+":"+verb)
			}
		}
	}
	return codes
}()

var townModules = []string{"crm", "financial", "stock"}

// ids are random but ordered by when they were made, as the platform's are.
func townID(random *rand.Rand, n *uint64) string {
	*n++
	return fmt.Sprintf("%08x-%04x-7%03x-8%03x-%012x", 0x01900000+*n>>28, *n>>12&0xffff, *n&0xfff, random.Uint64()&0xfff, random.Uint64()&(1<<48-1))
}

var townIDs uint64

func newTown(random *rand.Rand) *town {
	id := func() string { return townID(random, &townIDs) }
	t := &town{id: id()}
	unit := func(parent string) string {
		u := id()
		t.units, t.parents = append(t.units, u), append(t.parents, parent)
		return u
	}
	company := unit("")
	for range 3 {
		branch := unit(company)
		for range 3 {
			unit(branch)
		}
	}
	for range rolesOfTown {
		var codes []string
		for _, i := range random.Perm(len(townCodes))[:6] {
			codes = append(codes, townCodes[i])
		}
		t.roles, t.codes = append(t.roles, id()), append(t.codes, codes)
	}
	for range usersOfOffice {
		user := id()
		t.users = append(t.users, user)
		for _, role := range random.Perm(rolesOfTown)[:bindingsOfUser] {
			b := townBinding{id: id(), user: user, role: t.roles[role]}
			if random.IntN(3) == 0 {
				b.unit = t.units[random.IntN(len(t.units))]
			}
			t.bindings = append(t.bindings, b)
		}
	}
	return t
}

// changes are the town as the engine takes it.
func (t *town) changes() []contract.PolicyChange {
	all := []contract.PolicyChange{{Tenant: &contract.PolicyTenant{Active: true}}}
	for _, name := range townModules {
		all = append(all, contract.PolicyChange{Module: &contract.PolicyModule{Name: name, Enabled: true}})
	}
	for i, unit := range t.units {
		all = append(all, contract.PolicyChange{Unit: &contract.PolicyUnit{ID: unit, ParentID: t.parents[i]}})
	}
	for i, role := range t.roles {
		all = append(all, contract.PolicyChange{Role: &contract.PolicyRole{ID: role, Name: fmt.Sprint("role", i), Permissions: t.codes[i]}})
	}
	for _, b := range t.bindings {
		all = append(all, contract.PolicyChange{Binding: &contract.PolicyBinding{ID: b.id, UserID: b.user, RoleID: b.role, UnitID: b.unit}})
	}
	return all
}

// fillTowns copies towns into the tables of tenant, auth and rbac, and returns
// some of the users.
func fillTowns(ctx context.Context, url string, towns int) (users []string, err error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "SET session_replication_role = replica"); err != nil { // no foreign keys: it is all there
		return nil, err
	}
	random := rand.New(rand.NewPCG(9, 9))
	for done := 0; done < towns; {
		var some []*town
		for ; len(some) < 500 && done < towns; done++ {
			some = append(some, newTown(random))
		}
		if err := copyTowns(ctx, conn, some, done); err != nil {
			return nil, err
		}
		for _, t := range some {
			users = append(users, t.users[0])
		}
	}
	for _, statement := range []string{
		"INSERT INTO rbac.revisions (tenant_id, revision, changed_at) SELECT id, 1, now() - interval '1 hour' FROM tenant.tenants",
		"INSERT INTO rbac.tenants SELECT id, state = 'active', revision FROM tenant.tenants",
		"INSERT INTO rbac.modules SELECT tenant_id, module, enabled, revision FROM tenant.activations",
		"INSERT INTO rbac.units SELECT tenant_id, id, parent_id, removed, revision FROM tenant.units",
		"VACUUM ANALYZE",
	} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return nil, fmt.Errorf("%s: %w", statement, err)
		}
	}
	return users, nil
}

func copyTowns(ctx context.Context, conn *pgx.Conn, towns []*town, upTo int) error {
	var tenants, activations, units, people, roles, bindings [][]any
	for i, t := range towns {
		n := upTo - len(towns) + i
		tenants = append(tenants, []any{t.id, fmt.Sprintf("T%d", n), fmt.Sprintf("Town %d", n)})
		for _, name := range townModules {
			activations = append(activations, []any{t.id, name, true})
		}
		for j, unit := range t.units {
			units = append(units, []any{t.id, unit, []string{"company", "branch", "department"}[min(j, 2)], null(t.parents[j]), fmt.Sprint("U", j), "Unit"})
		}
		for j, role := range t.roles {
			roles = append(roles, []any{role, t.id, fmt.Sprint("role", j), t.codes[j], 1})
		}
		for _, user := range t.users {
			people = append(people, []any{user, t.id, user + "@town.example", "", ""})
		}
		for _, b := range t.bindings {
			bindings = append(bindings, []any{b.id, t.id, b.user, b.role, null(b.unit), 1})
		}
	}
	for _, c := range []struct {
		table   pgx.Identifier
		columns []string
		rows    [][]any
	}{
		{pgx.Identifier{"tenant", "tenants"}, []string{"id", "code", "name"}, tenants},
		{pgx.Identifier{"tenant", "activations"}, []string{"tenant_id", "module", "enabled"}, activations},
		{pgx.Identifier{"tenant", "units"}, []string{"tenant_id", "id", "kind", "parent_id", "code", "name"}, units},
		{pgx.Identifier{"auth", "users"}, []string{"id", "tenant_id", "email", "username", "password_hash"}, people},
		{pgx.Identifier{"rbac", "roles"}, []string{"id", "tenant_id", "name", "permissions", "revision"}, roles},
		{pgx.Identifier{"rbac", "bindings"}, []string{"id", "tenant_id", "user_id", "role_id", "unit_id", "revision"}, bindings},
	} {
		if _, err := conn.CopyFrom(ctx, c.table, c.columns, pgx.CopyFromRows(c.rows)); err != nil {
			return fmt.Errorf("copy %v: %w", c.table, err)
		}
	}
	return nil
}

// null is a nullable column's value, NULL for nothing.
func null(s string) any {
	if s == "" {
		return nil
	}
	return s
}
