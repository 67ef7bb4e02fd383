package app

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/decision"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/services/rbac/internal/store/db"
)

func TestABindingIsReadAsItWasMade(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	role, user := o.role("reader", "crm:*:read"), o.user()
	ends := time.Now().Add(time.Hour)
	whole := ends.UTC().Truncate(time.Second)
	made, err := o.CreateBinding(o.as(o.admin), &contract.CreateBindingRequest{
		UserID: contract.ID(user), Role: "reader", UnitID: contract.ID(o.branch), ExpiresAt: &ends,
	})
	require.NoError(t, err)
	require.Equal(t, contract.Binding{
		ID: made.ID, UserID: user, RoleID: role.ID, Role: "reader", Effect: "allow", UnitID: o.branch, ExpiresAt: &whole,
		CreatedAt: made.CreatedAt, CreatedBy: o.admin, Revision: o.Engine.Policy(o.tenant).Revision(),
	}, *made)
	read, err := o.GetBinding(o.as(o.admin), &contract.BindingRequest{BindingID: contract.ID(made.ID)})
	require.NoError(t, err)
	require.Equal(t, made, read)
	o.agrees()
}

func TestABindingHoldsInItsScope(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.role("reader", "crm:*:read")
	for name, c := range map[string]struct {
		scope contract.CreateBindingRequest
		holds []decision.Question
		fails []decision.Question
	}{
		"tenant": {
			holds: []decision.Question{{}, {Unit: o.company}, {Unit: kit.NewID()}, {ResourceType: "deal", ResourceID: "7"}},
		},
		"company": {
			scope: contract.CreateBindingRequest{UnitID: contract.ID(o.company)},
			holds: []decision.Question{{Unit: o.company}, {Unit: o.branch}},
			fails: []decision.Question{{}, {Unit: kit.NewID()}, {ResourceType: "deal", ResourceID: "7"}},
		},
		"branch": {
			scope: contract.CreateBindingRequest{UnitID: contract.ID(o.branch)},
			holds: []decision.Question{{Unit: o.branch}},
			fails: []decision.Question{{}, {Unit: o.company}},
		},
		"resource": {
			scope: contract.CreateBindingRequest{ResourceType: "deal", ResourceID: "7"},
			holds: []decision.Question{{ResourceType: "deal", ResourceID: "7"}, {Unit: o.branch, ResourceType: "deal", ResourceID: "7"}},
			fails: []decision.Question{{}, {ResourceID: "7"}, {ResourceType: "note", ResourceID: "7"}, {ResourceType: "deal", ResourceID: "8"}},
		},
	} {
		user := o.user()
		c.scope.UserID, c.scope.Role = contract.ID(user), "reader"
		o.bind(c.scope)
		for want, questions := range map[bool][]decision.Question{true: c.holds, false: c.fails} {
			for _, q := range questions {
				q.User, q.Permission = user, "crm:deals:read"
				require.Equal(t, want, o.Engine.Policy(o.tenant).Check(q, decision.Now), "%s: %+v", name, q)
			}
		}
	}
	o.agrees()
}

// What is wrong with a binding is said of the field, in a list with its place.
func TestABindingThatCannotBeIsRefused(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	other := o.newTenant()
	role, user, group := o.role("reader", "crm:*:read").ID, o.user(), o.group("readers", nil).ID
	foreignRole, err := o.CreateRole(o.service(), &contract.CreateRoleRequest{TenantID: contract.ID(other), Name: "theirs"})
	require.NoError(t, err)
	foreignGroup, err := o.CreateGroup(o.service(), &contract.CreateGroupRequest{TenantID: contract.ID(other), Name: "theirs"})
	require.NoError(t, err)
	stranger, suspended, foreignUnit, removed := o.userOf(other), o.user(), kit.NewID(), kit.NewID()
	o.tells(o, suspended, 1000, func(m *contract.Member) { m.Active = false })
	o.exec("INSERT INTO units VALUES ($1, $2, NULL, false, 1), ($3, $4, NULL, true, 1)", other, foreignUnit, o.tenant, removed)
	o.bind(contract.CreateBindingRequest{UserID: contract.ID(user), RoleID: contract.ID(role)})
	now, past := time.Now(), time.Now().Add(-time.Hour)
	var waits sync.WaitGroup // some names are waited for
	for name, c := range map[string]struct {
		fields contract.BindingFields
		code   contract.Code
		field  string
	}{
		"nobody":                  {contract.BindingFields{RoleID: role}, contract.InvalidArgument, "user_id"},
		"a user and a group":      {contract.BindingFields{UserID: user, GroupID: group, RoleID: role}, contract.InvalidArgument, "user_id"},
		"no role":                 {contract.BindingFields{UserID: user}, contract.InvalidArgument, "role_id"},
		"two roles":               {contract.BindingFields{UserID: user, RoleID: role, Role: "reader"}, contract.InvalidArgument, "role_id"},
		"no id":                   {contract.BindingFields{UserID: "me", RoleID: role}, contract.InvalidArgument, "user_id"},
		"no effect":               {contract.BindingFields{UserID: user, RoleID: role, Effect: "maybe"}, contract.InvalidArgument, "effect"},
		"half a resource":         {contract.BindingFields{UserID: user, RoleID: role, ResourceType: "deal"}, contract.InvalidArgument, "resource_id"},
		"the other half":          {contract.BindingFields{UserID: user, RoleID: role, ResourceID: "7"}, contract.InvalidArgument, "resource_id"},
		"a unit and a resource":   {contract.BindingFields{UserID: user, RoleID: role, UnitID: o.branch, ResourceType: "deal", ResourceID: "7"}, contract.InvalidArgument, "unit_id"},
		"over already":            {contract.BindingFields{UserID: user, RoleID: role, ExpiresAt: &past}, contract.InvalidArgument, "expires_at"},
		"over now":                {contract.BindingFields{UserID: user, RoleID: role, ExpiresAt: &now}, contract.InvalidArgument, "expires_at"},
		"another tenant's user":   {contract.BindingFields{UserID: stranger, RoleID: role}, contract.NotFound, "user_id"},
		"a suspended user":        {contract.BindingFields{UserID: suspended, RoleID: role}, contract.NotFound, "user_id"},
		"an unknown user":         {contract.BindingFields{UserID: kit.NewID(), RoleID: role}, contract.NotFound, "user_id"},
		"another tenant's group":  {contract.BindingFields{GroupID: foreignGroup.ID, RoleID: role}, contract.NotFound, "group_id"},
		"another tenant's role":   {contract.BindingFields{UserID: user, RoleID: foreignRole.ID}, contract.NotFound, "role_id"},
		"another tenant's name":   {contract.BindingFields{UserID: user, Role: "theirs"}, contract.NotFound, "role"},
		"another tenant's unit":   {contract.BindingFields{UserID: user, RoleID: role, UnitID: foreignUnit}, contract.NotFound, "unit_id"},
		"a unit that was removed": {contract.BindingFields{UserID: user, RoleID: role, UnitID: removed}, contract.NotFound, "unit_id"},
		"an unknown unit":         {contract.BindingFields{UserID: user, RoleID: role, UnitID: kit.NewID()}, contract.NotFound, "unit_id"},
		"one there is":            {contract.BindingFields{UserID: user, RoleID: role}, contract.AlreadyExists, "role_id"},
		"one there is, by name":   {contract.BindingFields{UserID: user, Role: "reader"}, contract.AlreadyExists, "role"},
	} {
		f := c.fields
		waits.Go(func() {
			_, err := o.CreateBinding(o.as(o.admin), &contract.CreateBindingRequest{
				UserID: contract.ID(f.UserID), GroupID: contract.ID(f.GroupID), RoleID: contract.ID(f.RoleID), Role: f.Role, Effect: f.Effect,
				UnitID: contract.ID(f.UnitID), ResourceType: f.ResourceType, ResourceID: contract.ID(f.ResourceID), ExpiresAt: f.ExpiresAt,
			})
			assertRefused(t, err, c.code, c.field, name)
		})
		waits.Go(func() {
			good := contract.BindingFields{GroupID: group, RoleID: role}
			_, err := o.ChangeBindings(o.as(o.admin), &contract.ChangeBindingsRequest{Grant: []contract.BindingFields{good, f}})
			assertRefused(t, err, c.code, "grant[1]."+c.field, name)
		})
	}
	waits.Wait()
	require.Zero(t, o.count("SELECT count(*) FROM bindings WHERE group_id IS NOT NULL"), "all or nothing")
	o.agrees()
}

func TestManyBindingsChangeAtOnceAndAtOneRevision(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.role("reader", "crm:*:read")
	o.role("writer", "crm:*:write")
	user, before := o.user(), o.Engine.Policy(o.tenant).Revision()
	old := o.bind(contract.CreateBindingRequest{UserID: contract.ID(user), Role: "reader"})
	got, err := o.ChangeBindings(o.as(o.admin), &contract.ChangeBindingsRequest{
		Revoke: []string{old.ID},
		Grant: []contract.BindingFields{
			{UserID: user, Role: "writer", Effect: "deny", UnitID: o.branch}, {UserID: user, Role: "reader"}, {UserID: user, Role: "writer"},
		},
	})
	require.NoError(t, err, "what is revoked may be granted anew")
	require.Equal(t, before+2, got.Revision)
	require.Equal(t, 1, got.Revoked)
	var roles []string
	for _, b := range got.Granted {
		require.Equal(t, got.Revision, b.Revision)
		roles = append(roles, b.Effect+" "+b.Role)
	}
	require.Equal(t, []string{"deny writer", "allow reader", "allow writer"}, roles, "in the order asked for")
	require.True(t, o.may(user, "crm:deals:write"))
	require.False(t, o.Engine.Policy(o.tenant).Check(decision.Question{User: user, Permission: "crm:deals:write", Unit: o.branch}, decision.Now))
	o.agrees()
}

// The largest change that requests can ask for is told in one event; what would
// not be is refused, and names the fix.
func TestAChangeOfBindingsFitsAnEventOrIsRefused(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.role("reader", "crm:*:read")
	user, ends := o.user(), time.Now().Add(time.Hour)
	const most = 1000
	thousand := func(character string) *contract.ChangeBindingsRequest {
		r := &contract.ChangeBindingsRequest{Grant: make([]contract.BindingFields, most)}
		for i := range r.Grant {
			r.Grant[i] = contract.BindingFields{
				UserID: user, Role: "reader", Effect: "deny", ExpiresAt: &ends,
				ResourceType: strings.Repeat(character, 100), ResourceID: fmt.Sprintf("%04d", i) + strings.Repeat(character, 196),
			}
		}
		return r
	}
	first, err := o.ChangeBindings(o.as(o.admin), thousand("x"))
	require.NoError(t, err)
	revoking := func(r *contract.ChangeBindingsRequest, made []contract.Binding) *contract.ChangeBindingsRequest {
		for _, b := range made {
			r.Revoke = append(r.Revoke, b.ID)
		}
		return r
	}
	second, err := o.ChangeBindings(o.as(o.admin), revoking(thousand(`"`), first.Granted)) // two bytes in JSON
	require.NoError(t, err, "a thousand of the longest, in place of a thousand")
	require.Equal(t, most, second.Revoked)

	_, err = o.ChangeBindings(o.as(o.admin), revoking(thousand("\U0001f600"), second.Granted)) // the schema lets nobody
	refuses(t, err, contract.PayloadTooLarge, "")
	require.ErrorContains(t, err, "in several")
	require.Equal(t, second.Revision, o.Engine.Policy(o.tenant).Revision())
	require.Equal(t, most, o.count("SELECT count(*) FROM bindings WHERE user_id = $1", user))
	o.agrees()
}

func TestOfManyBindingsNoneChangesIfOneCannot(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	role := o.role("reader", "crm:*:read").ID
	user := o.user("reader")
	list, err := o.ListBindings(o.service(), &contract.ListBindingsRequest{TenantID: o.id(), RoleID: contract.ID(role)})
	require.NoError(t, err)
	id, before := list.Items[0].ID, o.Engine.Policy(o.tenant).Revision()
	fresh := contract.BindingFields{UserID: user, RoleID: role, UnitID: o.branch}
	for name, c := range map[string]struct {
		revoke []string
		grant  []contract.BindingFields
		code   contract.Code
		field  string
	}{
		"nothing":                {code: contract.InvalidArgument, field: "grant"},
		"revoke an unknown one":  {[]string{id, kit.NewID()}, []contract.BindingFields{fresh}, contract.NotFound, "revoke[1]"},
		"revoke no id":           {[]string{id, "it"}, nil, contract.InvalidArgument, "revoke[1]"},
		"revoke twice":           {[]string{id, id}, nil, contract.InvalidArgument, "revoke[1]"},
		"grant the same twice":   {[]string{id}, []contract.BindingFields{fresh, fresh}, contract.AlreadyExists, "grant[1].role_id"},
		"grant what there is":    {nil, []contract.BindingFields{fresh, {UserID: user, RoleID: role}}, contract.AlreadyExists, "grant[1].role_id"},
		"grant an unknown role":  {[]string{id}, []contract.BindingFields{fresh, {UserID: user, Role: "none"}}, contract.NotFound, "grant[1].role"},
		"grant an unknown group": {[]string{id}, []contract.BindingFields{fresh, {GroupID: kit.NewID(), RoleID: role}}, contract.NotFound, "grant[1].group_id"},
	} {
		_, err := o.ChangeBindings(o.as(o.admin), &contract.ChangeBindingsRequest{Revoke: c.revoke, Grant: c.grant})
		refuses(t, err, c.code, c.field)
		require.Equal(t, before, o.Engine.Policy(o.tenant).Revision(), name)
		require.True(t, o.may(user, "crm:deals:read"), name)
	}
	require.Equal(t, 2, o.count("SELECT count(*) FROM bindings"), "this one and the administrator's")
	o.agrees()
}

// Who may grant only cannot revoke along the way.
func TestRevokingInAListAsksForItsOwnPermission(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.role("granter", "bindings:create:tenant")
	b := o.bind(contract.CreateBindingRequest{UserID: contract.ID(o.user()), Role: "granter"})
	_, err := o.ChangeBindings(o.as(o.user("granter")), &contract.ChangeBindingsRequest{Revoke: []string{b.ID}})
	refuses(t, err, contract.PermissionDenied, "revoke")
	_, err = o.ChangeBindings(o.as(o.admin), &contract.ChangeBindingsRequest{Revoke: []string{b.ID}})
	require.NoError(t, err)
}

func TestTheEndOfABindingMoves(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.role("reader", "crm:*:read")
	user := o.user()
	b := o.bind(contract.CreateBindingRequest{UserID: contract.ID(user), Role: "reader"})
	hour, past := time.Now().Add(time.Hour), time.Now().Add(-time.Second)
	at := func(later time.Duration) bool {
		clock := func() int64 { return time.Now().Add(later).Unix() }
		return o.Engine.Policy(o.tenant).Check(decision.Question{User: user, Permission: "crm:deals:read"}, clock)
	}
	_, err := o.UpdateBinding(o.as(o.admin), &contract.UpdateBindingRequest{BindingID: contract.ID(b.ID), ExpiresAt: &past})
	refuses(t, err, contract.InvalidArgument, "expires_at")
	ending, err := o.UpdateBinding(o.as(o.admin), &contract.UpdateBindingRequest{BindingID: contract.ID(b.ID), ExpiresAt: &hour, Revision: b.Revision})
	require.NoError(t, err)
	require.Equal(t, hour.UTC().Truncate(time.Second), *ending.ExpiresAt)
	require.True(t, at(0))
	require.False(t, at(time.Hour))
	same, err := o.UpdateBinding(o.as(o.admin), &contract.UpdateBindingRequest{BindingID: contract.ID(b.ID), ExpiresAt: &hour})
	require.NoError(t, err)
	require.Equal(t, ending, same, "nothing changed, so nothing happened")
	_, err = o.UpdateBinding(o.as(o.admin), &contract.UpdateBindingRequest{BindingID: contract.ID(b.ID), Revision: b.Revision})
	refuses(t, err, contract.Conflict, "")
	_, err = o.DeleteBinding(o.as(o.admin), &contract.DeleteBindingRequest{BindingID: contract.ID(b.ID), Revision: b.Revision})
	refuses(t, err, contract.Conflict, "")
	_, err = o.UpdateBinding(o.as(o.admin), &contract.UpdateBindingRequest{BindingID: contract.ID(b.ID)})
	require.NoError(t, err)
	require.True(t, at(time.Hour), "never again")
	gone, err := o.DeleteBinding(o.as(o.admin), &contract.DeleteBindingRequest{BindingID: contract.ID(b.ID)})
	require.NoError(t, err)
	require.Equal(t, o.Engine.Policy(o.tenant).Revision(), gone.Revision)
	require.False(t, at(0))
	_, err = o.DeleteBinding(o.as(o.admin), &contract.DeleteBindingRequest{BindingID: contract.ID(b.ID)})
	refuses(t, err, contract.NotFound, "")
	o.agrees()
}

// A role of the platform is part of a tenant's policy while it is bound there.
func TestThePlatformsRolesComeAndGoWithTheirBindings(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	user, group := o.user(), o.group("auditors", nil)
	held := func() bool {
		changes, _ := o.Engine.Policy(o.tenant).Part("", 0, "")
		for _, c := range changes {
			if c.Role != nil && c.Role.Name == "auditor" {
				return true
			}
		}
		return false
	}
	require.False(t, held())
	one := o.bind(contract.CreateBindingRequest{UserID: contract.ID(user), Role: "auditor"})
	two := o.bind(contract.CreateBindingRequest{GroupID: contract.ID(group.ID), Role: "auditor"})
	_, err := o.DeleteBinding(o.service(), &contract.DeleteBindingRequest{TenantID: o.id(), BindingID: contract.ID(one.ID)})
	require.NoError(t, err)
	require.True(t, held())
	swapped, err := o.ChangeBindings(o.service(), &contract.ChangeBindingsRequest{
		TenantID: o.id(), Revoke: []string{two.ID}, Grant: []contract.BindingFields{{GroupID: group.ID, Role: "auditor"}},
	})
	require.NoError(t, err)
	require.True(t, held())
	_, err = o.ChangeBindings(o.service(), &contract.ChangeBindingsRequest{TenantID: o.id(), Revoke: []string{swapped.Granted[0].ID}})
	require.NoError(t, err)
	require.False(t, held())
	last := o.bind(contract.CreateBindingRequest{UserID: contract.ID(user), Role: "auditor"})
	_, err = o.DeleteBinding(o.service(), &contract.DeleteBindingRequest{TenantID: o.id(), BindingID: contract.ID(last.ID)})
	require.NoError(t, err)
	require.False(t, held())
	o.bind(contract.CreateBindingRequest{GroupID: contract.ID(group.ID), Role: "auditor"})
	_, err = o.DeleteGroup(o.service(), &contract.DeleteGroupRequest{TenantID: o.id(), GroupID: contract.ID(group.ID)})
	require.NoError(t, err)
	require.False(t, held())
	o.agrees()
}

func TestBindingsAreFoundByWhatTheyName(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	reader := o.role("reader", "crm:*:read")
	user, group := o.user("reader", "auditor"), o.group("readers", nil, "reader")
	o.bind(contract.CreateBindingRequest{UserID: contract.ID(user), Role: "reader", UnitID: contract.ID(o.branch)})
	o.bind(contract.CreateBindingRequest{UserID: contract.ID(user), Role: "reader", ResourceType: "deal", ResourceID: "7"})
	soon := time.Now().Add(time.Hour)
	ends := o.bind(contract.CreateBindingRequest{UserID: contract.ID(user), Role: "reader", Effect: "deny", ResourceType: "note", ResourceID: "7", ExpiresAt: &soon})
	o.exec("UPDATE bindings SET expires_at = now() - interval '1 hour' WHERE id = $1", ends.ID)
	for name, c := range map[string]struct {
		ask  contract.ListBindingsRequest
		want int
	}{
		"all":        {contract.ListBindingsRequest{}, 7},
		"user":       {contract.ListBindingsRequest{UserID: contract.ID(user)}, 5},
		"group":      {contract.ListBindingsRequest{GroupID: contract.ID(group.ID)}, 1},
		"role":       {contract.ListBindingsRequest{RoleID: contract.ID(reader.ID)}, 5},
		"unit":       {contract.ListBindingsRequest{UnitID: contract.ID(o.branch)}, 1},
		"above":      {contract.ListBindingsRequest{UnitID: contract.ID(o.company)}, 0},
		"type":       {contract.ListBindingsRequest{ResourceType: "deal"}, 1},
		"resource":   {contract.ListBindingsRequest{ResourceID: "7"}, 2},
		"role, user": {contract.ListBindingsRequest{UserID: contract.ID(user), RoleID: contract.ID(reader.ID), Search: "READ"}, 4},
		"search":     {contract.ListBindingsRequest{Search: "audit"}, 1},
		"none":       {contract.ListBindingsRequest{UserID: contract.ID(kit.NewID())}, 0},
	} {
		c.ask.Limit = 2
		var got []contract.Binding
		for {
			page, err := o.ListBindings(o.as(o.admin), &c.ask)
			require.NoError(t, err)
			require.LessOrEqual(t, len(page.Items), 2)
			got = append(got, page.Items...)
			if c.ask.Cursor = page.NextCursor; c.ask.Cursor == "" {
				break
			}
		}
		require.Len(t, got, c.want, name)
		for i, b := range got {
			require.Equal(t, b.ID == ends.ID, b.Expired, name)
			require.True(t, i == 0 || got[i-1].ID < b.ID, "the oldest first")
		}
	}
	_, err := o.ListBindings(o.as(o.admin), &contract.ListBindingsRequest{Cursor: "nonsense"})
	refuses(t, err, contract.InvalidArgument, "cursor")
}

func TestBindingsOfAnotherTenantAreNotFound(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	other := o.newTenant()
	stranger := o.userOf(other)
	b := o.bind(contract.CreateBindingRequest{TenantID: contract.ID(other), UserID: contract.ID(stranger), Role: "auditor"})
	id := contract.ID(b.ID)
	_, err := o.GetBinding(o.as(o.admin), &contract.BindingRequest{BindingID: id})
	refuses(t, err, contract.NotFound, "")
	_, err = o.UpdateBinding(o.as(o.admin), &contract.UpdateBindingRequest{BindingID: id})
	refuses(t, err, contract.NotFound, "")
	_, err = o.DeleteBinding(o.as(o.admin), &contract.DeleteBindingRequest{BindingID: id})
	refuses(t, err, contract.NotFound, "")
	_, err = o.ChangeBindings(o.as(o.admin), &contract.ChangeBindingsRequest{Revoke: []string{b.ID}})
	refuses(t, err, contract.NotFound, "revoke[0]")
	_, err = o.CreateBinding(o.as(o.admin), &contract.CreateBindingRequest{TenantID: contract.ID(other), UserID: contract.ID(stranger), Role: "auditor"})
	refuses(t, err, contract.NotFound, "")
	list, err := o.ListBindings(o.as(o.admin), &contract.ListBindingsRequest{UserID: contract.ID(stranger)})
	require.NoError(t, err)
	require.Empty(t, list.Items)
	o.agrees(other)
}

// Queries that name no tenant see one tenant's rows all the same.
func TestTheDatabaseKeepsTenantsApart(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	other := o.newTenant()
	role, group := o.role("reader", "crm:*:read"), o.group("readers", []string{o.user()})
	ends := time.Now().Add(time.Hour)
	b := o.bind(contract.CreateBindingRequest{GroupID: contract.ID(group.ID), Role: "reader"})
	require.NoError(t, o.DB.In(o.service(), other, func(tx pgx.Tx) error {
		for _, table := range []string{"groups", "members", "bindings", "modules", "units", "users", "tenants", "revisions"} {
			var n int
			require.NoError(t, tx.QueryRow(o.service(), "SELECT count(*) FROM "+table+" WHERE tenant_id <> $1", other).Scan(&n))
			require.Zero(t, n, table)
		}
		q := db.New(tx)
		require.NoError(t, q.UpdateBinding(o.service(), db.UpdateBindingParams{ID: b.ID, ExpiresAt: &ends, Revision: 99}))
		require.NoError(t, q.UpdateGroup(o.service(), db.UpdateGroupParams{ID: group.ID, Name: "stolen"}))
		require.NoError(t, q.DeleteRole(o.service(), role.ID))
		require.NoError(t, q.DeleteRole(o.service(), TenantAdministrator))
		return q.DeleteGroup(o.service(), group.ID)
	}))
	require.Error(t, o.DB.In(o.service(), other, func(tx pgx.Tx) error {
		_, err := tx.Exec(o.service(), "INSERT INTO groups (id, tenant_id, name, revision) VALUES ($1, $2, 'smuggled', 1)", kit.NewID(), o.tenant)
		return err
	}))
	read, err := o.GetGroup(o.as(o.admin), &contract.GroupRequest{GroupID: contract.ID(group.ID)})
	require.NoError(t, err)
	require.Equal(t, "readers", read.Name)
	require.Equal(t, 4, o.count("SELECT count(*) FROM roles"))
	o.agrees()
}
