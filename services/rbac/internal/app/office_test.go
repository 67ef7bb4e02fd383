package app

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/decision"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/directory"
	"github.com/buildify/core/pkg/kit/kittest"
)

// patience bounds every wait; nothing waits that long unless a test fails.
const patience = time.Minute

func migrateAll(ctx context.Context, url string) error { return database.Migrate(ctx, url, nil) }

// office is the administrative operations on a database of their own, with a
// tenant that has the module crm enabled, two units, one in the other, and a
// tenant administrator.
type office struct {
	*App
	t                *testing.T
	tenant           string
	company, branch  string
	admin            string
	members, commits atomic.Int64
}

func newOffice(t *testing.T) *office {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	pool, err := database.Open(ctx, kittest.Database(t, migrateAll), "rbac", 8)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	log := slog.New(slog.DiscardHandler)
	o := &office{t: t, App: &App{DB: pool, Directory: directory.New(log), Engine: decision.NewEngine(), Log: log}}
	o.Committed = func() { o.commits.Add(1) }
	o.tenant = o.newTenant()
	o.company, o.branch = kit.NewID(), kit.NewID()
	o.exec("INSERT INTO modules VALUES ($1, 'crm', true, 1), ($1, 'financial', false, 1)", o.tenant)
	o.exec("INSERT INTO units VALUES ($1, $2, NULL, false, 1), ($1, $3, $2, false, 1)", o.tenant, o.company, o.branch)
	o.reload()
	o.admin = o.user("tenant-administrator")
	return o
}

// replica is another replica on the same database, which knows as much of
// others' data and nothing of the policies.
func (o *office) replica() *App {
	return &App{DB: o.DB, Directory: o.Directory, Engine: decision.NewEngine(), Log: o.Log, Committed: func() {}}
}

// service is the context of a service's request; it holds everything.
func (o *office) service() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	o.t.Cleanup(cancel)
	return ctx
}

// as is the context of a person's request in the office's tenant.
func (o *office) as(user string) context.Context { return o.in(user, o.tenant) }

func (o *office) in(user, tenant string) context.Context {
	return kit.WithCaller(o.service(), kit.Caller{User: kit.User{ID: user, TenantID: tenant}})
}

// platform is the context of a platform administrator's request.
func (o *office) platform(tenant string) context.Context {
	return kit.WithCaller(o.service(), kit.Caller{User: kit.User{ID: kit.NewID(), TenantID: tenant, Platform: true}})
}

// declare has a module declare permissions, without more.
func (o *office) declare(module string, codes ...string) *contract.DeclarePermissionsResponse {
	o.t.Helper()
	request := &contract.DeclarePermissionsRequest{ModuleName: module}
	for _, code := range codes {
		request.Permissions = append(request.Permissions, contract.DeclaredPermission{Code: code})
	}
	response, err := o.DeclarePermissions(o.platform(""), request)
	require.NoError(o.t, err)
	return response
}

func (o *office) id() contract.ID { return contract.ID(o.tenant) }

func (o *office) exec(sql string, args ...any) {
	o.t.Helper()
	require.NoError(o.t, o.DB.In(o.service(), database.Everything, func(tx pgx.Tx) error {
		_, err := tx.Exec(o.service(), sql, args...)
		return err
	}))
}

func (o *office) count(sql string, args ...any) (n int) {
	o.t.Helper()
	require.NoError(o.t, o.DB.In(o.service(), database.Everything, func(tx pgx.Tx) error {
		return tx.QueryRow(o.service(), sql, args...).Scan(&n)
	}))
	return n
}

func (o *office) newTenant() string {
	id := kit.NewID()
	o.Directory.PutTenant(contract.Tenant{ID: id, IsActive: true, Revision: 1})
	o.exec("INSERT INTO tenants VALUES ($1, true, 1)", id)
	_, err := o.Load(o.service(), id)
	require.NoError(o.t, err)
	return id
}

// reload has the engine know what was changed behind its back.
func (o *office) reload() {
	o.t.Helper()
	o.Engine.Drop(o.tenant)
	_, err := o.Load(o.service(), o.tenant)
	require.NoError(o.t, err)
}

// user is a new member of the office's tenant, bound to roles by their names.
func (o *office) user(roles ...string) string { return o.userOf(o.tenant, roles...) }

func (o *office) userOf(tenant string, roles ...string) string {
	o.t.Helper()
	id := kit.NewID()
	o.Directory.PutMember(contract.Member{UserID: id, TenantID: tenant, Active: true, Revision: o.members.Add(1)})
	for _, role := range roles {
		o.bind(contract.CreateBindingRequest{TenantID: contract.ID(tenant), UserID: contract.ID(id), Role: role})
	}
	return id
}

func (o *office) bind(r contract.CreateBindingRequest) *contract.Binding {
	o.t.Helper()
	if r.TenantID == "" {
		r.TenantID = o.id()
	}
	b, err := o.CreateBinding(o.service(), &r)
	require.NoError(o.t, err)
	return b
}

// role is a new role of the office's tenant.
func (o *office) role(name string, codes ...string) *contract.Role {
	o.t.Helper()
	r, err := o.CreateRole(o.service(), &contract.CreateRoleRequest{TenantID: o.id(), Name: name, Permissions: codes})
	require.NoError(o.t, err)
	return r
}

// group is a new group of the office's tenant, bound to roles by their names.
func (o *office) group(name string, members []string, roles ...string) *contract.Group {
	o.t.Helper()
	g, err := o.CreateGroup(o.service(), &contract.CreateGroupRequest{TenantID: o.id(), Name: name})
	require.NoError(o.t, err)
	for _, role := range roles {
		o.bind(contract.CreateBindingRequest{GroupID: contract.ID(g.ID), Role: role})
	}
	if len(members) > 0 {
		g, err = o.ChangeGroupMembers(o.service(), &contract.ChangeGroupMembersRequest{TenantID: o.id(), GroupID: contract.ID(g.ID), Add: members})
		require.NoError(o.t, err)
	}
	return g
}

func (o *office) may(user, permission string) bool {
	return o.Engine.Policy(o.tenant).Check(decision.Question{User: user, Permission: permission}, decision.Now)
}

// events are those that wait, in their order.
func (o *office) events() []events.Event {
	o.t.Helper()
	rows, err := o.DB.Query(o.service(), "SELECT event FROM outbox ORDER BY id")
	require.NoError(o.t, err)
	raw, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	require.NoError(o.t, err)
	all := make([]events.Event, len(raw))
	for i, data := range raw {
		require.NoError(o.t, all[i].UnmarshalJSON(data))
	}
	return all
}

// steps are the events of a tenant's policy.
func (o *office) steps(tenant string) (steps []events.PolicyStep) {
	o.t.Helper()
	for _, e := range o.events() {
		var step events.PolicyStep
		if events.PolicyChanged.Is(e) && json.Unmarshal(e.Data(), &step) == nil && step.TenantID == tenant {
			steps = append(steps, step)
		}
	}
	return steps
}

// agrees holds what this replica decides by against the database, and the events
// against both.
func (o *office) agrees(tenants ...string) {
	o.t.Helper()
	for _, tenant := range append(tenants, o.tenant) {
		held := o.Engine.Policy(tenant)
		read, err := o.Read(o.service(), tenant)
		require.NoError(o.t, err)
		require.Equal(o.t, read.Revision(), held.Revision())
		require.Equal(o.t, read.Digest(), held.Digest(), "the engine differs from the database")
		told := decision.New().Apply(0, []contract.PolicyChange{{Tenant: &contract.PolicyTenant{Active: true}}})
		if tenant == o.tenant {
			told = told.Apply(0, []contract.PolicyChange{
				{Module: &contract.PolicyModule{Name: "crm", Enabled: true}},
				{Unit: &contract.PolicyUnit{ID: o.company}}, {Unit: &contract.PolicyUnit{ID: o.branch, ParentID: o.company}},
			})
		}
		steps := o.steps(tenant)
		for i, step := range steps {
			require.EqualValues(o.t, i+1, step.Revision, "a gap")
			told = told.Apply(step.Revision, step.Changes)
		}
		require.EqualValues(o.t, len(steps), read.Revision())
		require.Equal(o.t, read.Digest(), told.Digest(), "the events add up to something else than the database")
	}
}

// refuses requires an answer of this code about this field.
func refuses(t testing.TB, err error, code contract.Code, field string) {
	t.Helper()
	if !assertRefused(t, err, code, field) {
		t.FailNow()
	}
}

// assertRefused is refuses for goroutines, which cannot end a test.
func assertRefused(t testing.TB, err error, code contract.Code, field string, why ...any) bool {
	t.Helper()
	var answer *contract.Error
	return assert.ErrorAs(t, err, &answer, why...) &&
		assert.Equal(t, [2]string{string(code), field}, [2]string{string(answer.Code), answer.Field}, fmt.Sprintln(append(why, answer.Message)...))
}
