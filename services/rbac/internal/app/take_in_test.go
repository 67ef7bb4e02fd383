package app

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/decision"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/directory"
)

// state says what a user is at, by the directory of one replica.
func (a *App) tells(o *office, user string, revision int64, change func(*contract.Member)) {
	o.t.Helper()
	m := contract.Member{UserID: user, TenantID: o.tenant, Active: true, Revision: revision}
	change(&m)
	a.Directory.PutMember(m)
	require.NoError(o.t, a.TakeIn(o.service(), []string{o.tenant}, []string{user}))
}

// A replica that knows less than another does not undo what that has taken in.
func TestAReplicaThatKnowsLessTakesNothingBack(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.role("reader", "crm:*:read")
	behind := &App{DB: o.DB, Directory: directory.New(o.Log), Engine: decision.NewEngine(), Log: o.Log, Committed: func() {}}
	behind.Directory.PutTenant(contract.Tenant{ID: o.tenant, IsActive: true, Revision: 1})
	for name, c := range map[string]struct {
		older, newer func(*contract.Member)
		may          bool
	}{
		"disabled after all": {func(*contract.Member) {}, func(m *contract.Member) { m.Active = false }, false},
		"active after all":   {func(m *contract.Member) { m.Active = false }, func(*contract.Member) {}, true},
		"here after all":     {func(m *contract.Member) { m.TenantID = kit.NewID() }, func(*contract.Member) {}, true},
		"deleted after all":  {func(*contract.Member) {}, func(m *contract.Member) { m.Active, m.Deleted = false, true }, false},
	} {
		user := kit.NewID()
		o.tells(o, user, 10, func(*contract.Member) {})
		o.tells(o, user, 12, func(m *contract.Member) { c.older(m); m.Active, m.TenantID = true, o.tenant })
		o.bind(contract.CreateBindingRequest{UserID: contract.ID(user), Role: "reader"})
		o.tells(o, user, 13, c.newer)
		behind.tells(o, user, 11, c.older)
		_, err := o.Load(o.service(), o.tenant)
		require.NoError(t, err)
		require.Equal(t, c.may, o.may(user, "crm:deals:read"), name)
	}
}

// Who is deleted leaves nothing that could come back.
func TestTheBindingsOfADeletedUserEnd(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.role("reader", "crm:*:read")
	user := o.user("reader")
	group := o.group("readers", []string{user}, "reader")
	o.tells(o, user, 1000, func(m *contract.Member) { m.Active, m.Deleted = false, true })
	require.False(t, o.Engine.Policy(o.tenant).Knows(user))
	require.Zero(t, o.count("SELECT count(*) FROM bindings WHERE user_id = $1", user))
	members, err := o.ListGroupMembers(o.service(), &contract.ListGroupMembersRequest{TenantID: o.id(), GroupID: contract.ID(group.ID)})
	require.NoError(t, err)
	require.Empty(t, members.UserIDs)
	o.agrees()
}

// The last administrator may be disabled by the platform: that is taken in like
// anything else that happened elsewhere.
func TestWhatHappenedElsewhereIsNotRefused(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.tells(o, o.admin, 1000, func(m *contract.Member) { m.Active = false })
	require.False(t, o.may(o.admin, "users:read:tenant"))
	o.agrees()
}

// What others own comes in steps that the bus takes, however much of it there is.
func TestManyUnitsAreTakenInByStepsOfABoundedSize(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	const units = 2*stepSize + 500
	var last string
	for i := range units {
		last = kit.NewID()
		o.Directory.PutUnit(contract.OrgUnit{TenantID: o.tenant, ID: last, Kind: "company", Name: "x", Revision: int64(i + 1)})
	}
	had := o.count("SELECT count(*) FROM units")
	before := o.Engine.Policy(o.tenant).Revision()
	require.NoError(t, o.TakeIn(o.service(), []string{o.tenant}, nil))
	require.Equal(t, before+3, o.Engine.Policy(o.tenant).Revision())
	require.Equal(t, had+units, o.count("SELECT count(*) FROM units"))
	require.Zero(t, o.count("SELECT count(*) FROM outbox WHERE length(event::text) > 1000000"))
	require.NoError(t, o.TakeIn(o.service(), []string{o.tenant}, nil))
	require.Equal(t, before+3, o.Engine.Policy(o.tenant).Revision(), "once")
	o.agrees()
}

// So do people, of whom as many may have left while nobody heard it.
func TestManyWhoLeftAreTakenInByStepsOfABoundedSize(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	role := o.role("reader", "crm:*:read")
	const people = stepSize + 1
	o.exec(`INSERT INTO bindings (id, tenant_id, user_id, role_id, deny, resource_type, resource_id, revision)
		SELECT gen_random_uuid(), $1, gen_random_uuid(), $2, false, '', '', 1 FROM generate_series(1, $3)`, o.tenant, role.ID, people)
	var users []string
	require.NoError(t, o.DB.In(o.service(), o.tenant, func(tx pgx.Tx) error {
		rows, err := tx.Query(o.service(), "SELECT user_id::text FROM bindings WHERE role_id = $1", role.ID)
		if err != nil {
			return err
		}
		users, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	}))
	require.Len(t, users, people)
	o.reload()
	for i, user := range users {
		o.Directory.PutMember(contract.Member{UserID: user, TenantID: o.tenant, Deleted: i%2 == 0, Revision: 1000})
	}
	before := o.Engine.Policy(o.tenant).Revision()
	require.NoError(t, o.TakeIn(o.service(), []string{o.tenant}, nil))
	require.Equal(t, before+2, o.Engine.Policy(o.tenant).Revision())
	for _, step := range o.steps(o.tenant)[before:] {
		require.LessOrEqual(t, len(step.Changes), stepSize)
	}
	for _, user := range users {
		require.False(t, o.may(user, "crm:deals:read"))
	}
	read, err := o.Read(o.service(), o.tenant)
	require.NoError(t, err)
	require.Equal(t, read.Digest(), o.Engine.Policy(o.tenant).Digest())
}

// What people call a unit decides nothing: it is no step of the policy.
func TestARenamedUnitIsNoStep(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	unit := contract.OrgUnit{TenantID: o.tenant, ID: kit.NewID(), Kind: "company", Code: "a", Name: "A", Revision: 10}
	tell := func() int64 {
		o.Directory.PutUnit(unit)
		require.NoError(t, o.TakeIn(o.service(), []string{o.tenant}, nil))
		return o.Engine.Policy(o.tenant).Revision()
	}
	made := tell()
	unit.Code, unit.Name, unit.HeadUserID, unit.Revision = "b", "B", o.admin, 11
	require.Equal(t, made, tell())
	unit.Removed, unit.Revision = true, 12
	require.Equal(t, made+1, tell())
	unit.Removed, unit.Revision = false, 13
	require.Equal(t, made+2, tell())
	o.agrees()
}
