package app

import (
	"encoding/json"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
)

func (o *office) event(kind events.Kind, data any) events.Event {
	o.t.Helper()
	e, err := events.New(kind, o.tenant, 1, data)
	require.NoError(o.t, err)
	return e
}

// toldOf counts the events of a kind that wait.
func (o *office) toldOf(kind events.Kind) (n int) {
	o.t.Helper()
	for _, e := range o.events() {
		if kind.Is(e) {
			n++
		}
	}
	return n
}

// A new tenant is not active, and the directory may not know its people yet.
func TestTheFirstAdministratorIsBoundOnce(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	old := o.tenant
	o.tenant = kit.NewID()
	o.Directory.PutTenant(contract.Tenant{ID: o.tenant, State: contract.TenantProvisioning, Revision: 1})
	p := events.TenantProvision{TenantID: o.tenant, UserID: kit.NewID(), Revision: 100}
	for range 3 { // delivered again and again, to one replica or another
		require.NoError(t, o.replica().BindAdministrator(o.service(), o.event(events.AdministratorReady, p)))
	}
	require.Equal(t, 3, o.toldOf(events.AdministratorBound), "each question is answered")
	require.Equal(t, 1, o.count("SELECT count(*) FROM bindings WHERE tenant_id = $1 AND user_id = $2 AND role_id = $3",
		o.tenant, p.UserID, TenantAdministrator))

	// What is known of before takes nothing back; what is known of after does.
	o.Directory.PutMember(contract.Member{UserID: p.UserID, TenantID: kit.NewID(), Active: true, Revision: 99})
	o.Directory.PutTenant(contract.Tenant{ID: o.tenant, State: contract.TenantActive, IsActive: true, Revision: 2})
	require.NoError(t, o.TakeIn(o.service(), []string{o.tenant}, nil))
	o.reload()
	require.True(t, o.may(p.UserID, "users:create:tenant"))
	o.tells(o, p.UserID, 101, func(m *contract.Member) { m.TenantID = kit.NewID() })
	require.False(t, o.may(p.UserID, "users:create:tenant"))
	made := o.tenant
	o.tenant = old
	o.agrees(made)
}

func TestAnAdministratorWhoLeftMeanwhileIsNotBound(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	p := events.TenantProvision{TenantID: o.newTenant(), UserID: kit.NewID(), Revision: 100}
	o.Directory.PutMember(contract.Member{UserID: p.UserID, TenantID: p.TenantID, Deleted: true, Revision: 101})
	require.NoError(t, o.BindAdministrator(o.service(), o.event(events.AdministratorReady, p)))
	require.Equal(t, 1, o.toldOf(events.AdministratorBound), "the tenant is not held up")
	require.Zero(t, o.count("SELECT count(*) FROM bindings WHERE tenant_id = $1", p.TenantID))
}

// leftOf counts what there is of a tenant in every table that names one.
func (o *office) leftOf(tenant string) map[string]int {
	o.t.Helper()
	left := map[string]int{}
	require.NoError(o.t, o.DB.In(o.service(), database.Everything, func(tx pgx.Tx) error {
		rows, err := tx.Query(o.service(), "SELECT table_name::text FROM information_schema.columns WHERE table_schema = 'rbac' AND column_name = 'tenant_id'")
		require.NoError(o.t, err)
		tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(o.t, err)
		require.Greater(o.t, len(tables), 7)
		for _, table := range tables {
			var n int
			require.NoError(o.t, tx.QueryRow(o.service(), "SELECT count(*) FROM "+table+" WHERE tenant_id = $1", tenant).Scan(&n))
			if n > 0 {
				left[table] = n
			}
		}
		return nil
	}))
	return left
}

func TestNothingIsLeftOfAnErasedTenant(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.role("reader", "crm:*:read")
	user := o.user("reader")
	o.group("readers", []string{user}, "reader")
	o.tells(o, user, 1000, func(m *contract.Member) { m.Active = false })
	other := o.newTenant()
	o.userOf(other, "tenant-administrator")
	before := o.leftOf(other)
	behind := o.replica()
	_, err := behind.Load(o.service(), o.tenant)
	require.NoError(t, err)
	revision := o.Engine.Policy(o.tenant).Revision()

	erase := o.event(events.TenantErasing, events.TenantErasure{TenantID: o.tenant})
	for range 2 {
		require.NoError(t, o.EraseTenant(o.service(), erase))
	}
	require.Equal(t, map[string]int{"revisions": 1}, o.leftOf(o.tenant), "only the mark that it is erased")
	require.Equal(t, before, o.leftOf(other))
	require.Nil(t, o.Engine.Policy(o.tenant))
	var told []events.TenantErasure
	for _, e := range o.events() {
		if events.TenantErased("rbac").Is(e) {
			var done events.TenantErasure
			require.NoError(t, json.Unmarshal(e.Data(), &done))
			told = append(told, done)
		}
	}
	require.Len(t, told, 2, "each question is answered")
	require.Equal(t, told[0], told[1])
	require.EqualValues(t, 3, told[0].Counts["bindings"])

	// A replica that follows the steps decides for nobody.
	steps := o.steps(o.tenant)
	last := steps[len(steps)-1]
	require.Equal(t, []any{"tenant.erased", revision + 1}, []any{last.Change, last.Revision})
	behind.Engine.Step(o.tenant, last.Revision, last.Changes)
	o.Engine = behind.Engine
	require.False(t, o.may(o.admin, "users:read:tenant"))

	// Nothing comes back: not by what is told late, nor by who still acts in it.
	o.tells(o, user, 1001, func(*contract.Member) {})
	require.NoError(t, o.TakeIn(o.service(), []string{o.tenant, other}, nil))
	_, err = o.CreateRole(o.service(), &contract.CreateRoleRequest{TenantID: o.id(), Name: "late", Permissions: []string{"crm:deals:read"}})
	require.ErrorIs(t, err, &contract.Error{Code: contract.NotFound})
	p := events.TenantProvision{TenantID: o.tenant, UserID: kit.NewID()}
	require.NoError(t, o.BindAdministrator(o.service(), o.event(events.AdministratorReady, p)))
	require.Equal(t, map[string]int{"revisions": 1}, o.leftOf(o.tenant))
}

func TestGuestsWhoWereErasedAreForgotten(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.role("reader", "crm:*:read")
	guest := o.user("reader")
	o.group("readers", []string{guest})
	stranger := kit.NewID()
	gone := o.event(events.GuestsErased, events.TenantGuests{TenantID: kit.NewID(), Guests: []contract.Member{
		{UserID: guest, Tenants: []string{o.tenant}, Deleted: true, Revision: 1000},
		{UserID: stranger, Tenants: []string{o.tenant, kit.NewID()}, Deleted: true, Revision: 1001},
	}})
	for range 2 {
		require.NoError(t, o.ForgetGuests(o.service(), gone))
	}
	require.False(t, o.Engine.Policy(o.tenant).Knows(guest))
	require.Zero(t, o.count("SELECT (SELECT count(*) FROM bindings WHERE user_id = $1) + (SELECT count(*) FROM members WHERE user_id = $1)", guest))
	o.agrees()
}
