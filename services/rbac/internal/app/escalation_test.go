package app

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
)

// managed is an office with somebody who may administer, and holds little: to
// read everywhere, all in the branch and on deal 7, and to write for an hour.
type managed struct {
	*office
	manager, someone string
	soon, later      time.Time // within the hour, and after it
}

func newManaged(t *testing.T) *managed {
	t.Helper()
	m := &managed{office: newOffice(t), soon: time.Now().Add(30 * time.Minute), later: time.Now().Add(2 * time.Hour)}
	m.role("manager", "roles:*:tenant", "groups:*:tenant", "bindings:*:tenant")
	m.role("reader", "crm:*:read")
	m.role("writer", "crm:*:write")
	m.role("all", "crm:**")
	m.manager, m.someone = m.user("manager", "reader"), m.user()
	hour, manager := time.Now().Add(time.Hour), contract.ID(m.manager)
	m.bind(contract.CreateBindingRequest{UserID: manager, Role: "writer", ExpiresAt: &hour})
	m.bind(contract.CreateBindingRequest{UserID: manager, Role: "all", UnitID: contract.ID(m.branch)})
	m.bind(contract.CreateBindingRequest{UserID: manager, Role: "all", ResourceType: "deal", ResourceID: "7"})
	return m
}

// refused has the manager try what must not succeed, nor change anything.
func (m *managed) refused(field, why string, err error) {
	m.t.Helper()
	require.True(m.t, assertRefused(m.t, err, contract.PermissionDenied, field, why))
}

func (m *managed) create(codes ...string) error {
	_, err := m.CreateRole(m.as(m.manager), &contract.CreateRoleRequest{Name: "new", Permissions: codes})
	return err
}

func (m *managed) update(role string, codes ...string) error {
	_, err := m.UpdateRole(m.as(m.manager), &contract.UpdateRoleRequest{RoleID: m.named(role), Permissions: &codes})
	return err
}

func (m *managed) named(role string) contract.ID {
	m.t.Helper()
	list, err := m.ListRoles(m.service(), &contract.ListRolesRequest{TenantID: m.id(), Search: role})
	require.NoError(m.t, err)
	require.Len(m.t, list.Items, 1)
	return contract.ID(list.Items[0].ID)
}

func (m *managed) give(r contract.CreateBindingRequest) error {
	if r.UserID == "" && r.GroupID == "" {
		r.UserID = contract.ID(m.someone)
	}
	_, err := m.CreateBinding(m.as(m.manager), &r)
	return err
}

func (m *managed) revoke(b *contract.Binding) error {
	_, err := m.DeleteBinding(m.as(m.manager), &contract.DeleteBindingRequest{BindingID: contract.ID(b.ID)})
	return err
}

func (m *managed) prolong(b *contract.Binding, until *time.Time) error {
	_, err := m.UpdateBinding(m.as(m.manager), &contract.UpdateBindingRequest{BindingID: contract.ID(b.ID), ExpiresAt: until})
	return err
}

func (m *managed) members(g *contract.Group, add, remove []string) error {
	_, err := m.ChangeGroupMembers(m.as(m.manager), &contract.ChangeGroupMembersRequest{GroupID: contract.ID(g.ID), Add: add, Remove: remove})
	return err
}

func TestNobodyMakesARoleOfWhatTheyDoNotHold(t *testing.T) {
	t.Parallel()
	m := newManaged(t)
	before := m.Engine.Policy(m.tenant).Revision()
	m.refused("permissions[1]", "a code not held", m.create("crm:deals:read", "crm:deals:delete"))
	m.refused("permissions[0]", "held in a branch only", m.create("crm:**"))
	m.refused("permissions[0]", "wider than what is held", m.create("*:*:read"))
	m.refused("permissions[0]", "everything", m.create("*:**"))
	m.refused("permissions[0]", "of a module not enabled yet", m.create("financial:accounts:read"))
	m.refused("permissions[0]", "of the platform", m.create("users:read:tenant"))
	m.refused("permissions[1]", "more for a role there is", m.update("reader", "crm:*:read", "crm:notes:delete"))
	m.refused("permissions[0]", "held for an hour, and a role stays", m.update("reader", "crm:*:write"))
	_, err := m.CloneRole(m.as(m.manager), &contract.CloneRoleRequest{RoleID: TenantAdministrator, Name: "mine"})
	m.refused("role_id", "a clone of more", err)
	require.Equal(t, before, m.Engine.Policy(m.tenant).Revision())

	require.NoError(t, m.create("crm:*:read", "crm:deals:read", "crm:deals:write", "groups:read:tenant"))
	require.NoError(t, m.update("all", "crm:*:read"), "less than before")
	_, err = m.CloneRole(m.as(m.manager), &contract.CloneRoleRequest{RoleID: m.named("manager"), Name: "mine"})
	require.NoError(t, err)
	m.agrees()
}

func TestNobodyBindsToWhatTheyDoNotHold(t *testing.T) {
	t.Parallel()
	m := newManaged(t)
	group, before := contract.ID(m.group("readers", nil).ID), m.Engine.Policy(m.tenant).Revision()
	m.refused("role", "held in a branch only", m.give(contract.CreateBindingRequest{Role: "all"}))
	m.refused("role", "held in the branch, not in its company", m.give(contract.CreateBindingRequest{Role: "all", UnitID: contract.ID(m.company)}))
	m.refused("role", "held on another resource", m.give(contract.CreateBindingRequest{Role: "all", ResourceType: "deal", ResourceID: "8"}))
	m.refused("role", "held for an hour", m.give(contract.CreateBindingRequest{Role: "writer"}))
	m.refused("role", "for longer than it is held", m.give(contract.CreateBindingRequest{Role: "writer", ExpiresAt: &m.later}))
	m.refused("role", "by a group", m.give(contract.CreateBindingRequest{Role: "all", GroupID: group}))
	m.refused("role", "to themselves", m.give(contract.CreateBindingRequest{Role: "all", UserID: contract.ID(m.manager)}))
	m.refused("role", "of the platform", m.give(contract.CreateBindingRequest{Role: "auditor"}))
	m.refused("role", "a deny of more", m.give(contract.CreateBindingRequest{Role: "all", Effect: "deny"}))
	m.refused("role_id", "by its id", m.give(contract.CreateBindingRequest{RoleID: TenantAdministrator}))
	_, err := m.ChangeBindings(m.as(m.manager), &contract.ChangeBindingsRequest{Grant: []contract.BindingFields{
		{UserID: m.someone, Role: "reader"}, {UserID: m.someone, Role: "all", UnitID: m.branch}, {UserID: m.someone, Role: "all"},
	}})
	m.refused("grant[2].role", "among others", err)
	require.Equal(t, before, m.Engine.Policy(m.tenant).Revision())

	for _, r := range []contract.CreateBindingRequest{
		{Role: "reader"}, {Role: "reader", UnitID: contract.ID(m.company)}, {Role: "reader", ResourceType: "deal", ResourceID: "8"},
		{Role: "all", UnitID: contract.ID(m.branch)}, {Role: "all", ResourceType: "deal", ResourceID: "7"},
		{Role: "writer", ExpiresAt: &m.soon}, {Role: "reader", Effect: "deny", UnitID: contract.ID(m.branch)}, {Role: "manager", GroupID: group},
	} {
		require.NoError(t, m.give(r), "%+v", r)
	}
	m.agrees()
}

// What is denied to somebody somewhere, they do not hold where that is included.
func TestNobodyGivesWhatIsDeniedToThem(t *testing.T) {
	t.Parallel()
	m := newManaged(t)
	m.bind(contract.CreateBindingRequest{UserID: contract.ID(m.manager), Role: "reader", Effect: "deny", UnitID: contract.ID(m.branch)})
	m.refused("role", "everywhere", m.give(contract.CreateBindingRequest{Role: "reader"}))
	m.refused("role", "above", m.give(contract.CreateBindingRequest{Role: "reader", UnitID: contract.ID(m.company)}))
	m.refused("role", "there", m.give(contract.CreateBindingRequest{Role: "reader", UnitID: contract.ID(m.branch)}))
	m.refused("role", "a resource may be there", m.give(contract.CreateBindingRequest{Role: "reader", ResourceType: "deal", ResourceID: "8"}))
	m.refused("role", "more than what is denied", m.give(contract.CreateBindingRequest{Role: "all", UnitID: contract.ID(m.branch)}))
	require.NoError(t, m.give(contract.CreateBindingRequest{Role: "writer", ExpiresAt: &m.soon}), "that is not denied")
}

func TestNobodyProlongsWhatTheyDoNotHold(t *testing.T) {
	t.Parallel()
	m := newManaged(t)
	user := contract.ID(m.someone)
	all := m.bind(contract.CreateBindingRequest{UserID: user, Role: "all", ExpiresAt: &m.soon})
	writer := m.bind(contract.CreateBindingRequest{UserID: user, Role: "writer", ExpiresAt: &m.soon})
	over := m.bind(contract.CreateBindingRequest{UserID: user, Role: "all", UnitID: contract.ID(m.company), ExpiresAt: &m.soon})
	m.exec("UPDATE bindings SET expires_at = now() - interval '1 hour' WHERE id = $1", over.ID)
	m.reload()
	deny := m.bind(contract.CreateBindingRequest{UserID: contract.ID(m.admin), Role: "all", Effect: "deny", UnitID: contract.ID(m.company), ExpiresAt: &m.later})
	sooner, longer := m.soon.Add(-10*time.Minute), m.soon.Add(10*time.Minute)
	m.refused("expires_at", "not held at all", m.prolong(all, &m.later))
	m.refused("expires_at", "held for an hour, for ever", m.prolong(writer, nil))
	m.refused("expires_at", "held for an hour, for two", m.prolong(writer, &m.later))
	m.refused("expires_at", "it came back to life", m.prolong(over, &m.soon))
	m.refused("expires_at", "a deny that would end sooner", m.prolong(deny, &m.soon))
	m.refused("expires_at", "a deny that would end later", m.prolong(deny, nil))
	require.NoError(t, m.prolong(all, &sooner), "to end it sooner takes away")
	require.NoError(t, m.prolong(writer, &longer))
	require.NoError(t, m.revoke(all), "so does to end it now")
}

func TestNobodyLetsOthersIntoAGroupThatHoldsMore(t *testing.T) {
	t.Parallel()
	m := newManaged(t)
	rich, poor, branch, short := m.group("rich", nil, "reader", "all"), m.group("poor", nil, "reader"), m.group("branch", nil), m.group("short", nil)
	m.bind(contract.CreateBindingRequest{GroupID: contract.ID(branch.ID), Role: "all", UnitID: contract.ID(m.branch)})
	m.bind(contract.CreateBindingRequest{GroupID: contract.ID(short.ID), Role: "writer", ExpiresAt: &m.soon})
	m.refused("add", "others", m.members(rich, []string{m.someone}, nil))
	m.refused("add", "themselves", m.members(rich, []string{m.manager}, nil))
	for _, g := range []*contract.Group{poor, branch, short} {
		require.NoError(t, m.members(g, []string{m.someone}, nil), g.Name)
	}
	m.bind(contract.CreateBindingRequest{GroupID: contract.ID(short.ID), Role: "writer", UnitID: contract.ID(m.company)})
	m.refused("add", "for ever", m.members(short, []string{m.manager}, nil))
	require.NoError(t, m.members(short, []string{m.someone}, nil), "who is in already gets nothing")
	require.NoError(t, m.members(short, nil, []string{m.someone}), "to take out takes away")
	m.agrees()
}

// The end of a deny gives what it took.
func TestNobodyEndsADenyOfWhatTheyDoNotHold(t *testing.T) {
	t.Parallel()
	m := newManaged(t)
	m.role("special", "crm:special:do")
	m.role("odd", "crm:odd:do")
	barred := m.group("barred", []string{m.someone})
	own := m.bind(contract.CreateBindingRequest{UserID: contract.ID(m.someone), Role: "special", Effect: "deny"})
	m.bind(contract.CreateBindingRequest{GroupID: contract.ID(barred.ID), Role: "odd", Effect: "deny"})
	light := m.bind(contract.CreateBindingRequest{UserID: contract.ID(m.someone), Role: "reader", Effect: "deny", UnitID: contract.ID(m.company)})
	before := m.Engine.Policy(m.tenant).Revision()
	m.refused("binding_id", "revoked", m.revoke(own))
	_, err := m.ChangeBindings(m.as(m.manager), &contract.ChangeBindingsRequest{Revoke: []string{light.ID, own.ID}})
	m.refused("revoke[1]", "revoked among others", err)
	m.refused("remove", "by leaving a group", m.members(barred, nil, []string{m.someone}))
	_, err = m.DeleteGroup(m.as(m.manager), &contract.DeleteGroupRequest{GroupID: contract.ID(barred.ID)})
	m.refused("group_id", "with its group", err)
	_, err = m.DeleteRole(m.as(m.manager), &contract.DeleteRoleRequest{RoleID: m.named("special")})
	m.refused("role_id", "with its role", err)
	m.refused("permissions", "with what the role holds", m.update("special"))
	m.refused("permissions", "that a group is denied", m.update("odd", "crm:*:read"))
	require.Equal(t, before, m.Engine.Policy(m.tenant).Revision())

	require.NoError(t, m.revoke(light), "they hold it there")
	require.NoError(t, m.members(barred, []string{m.manager}, nil), "to join it takes away")
	_, err = m.DeleteRole(m.as(m.manager), &contract.DeleteRoleRequest{RoleID: m.named("all")})
	require.NoError(t, err, "a role that is only allowed")
	m.agrees()
}
