package app

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/decision"
)

// Random people of a tenant do random things. Whatever succeeds leaves the
// engine, the events and the database agreed, somebody to administer, and nobody
// with anything that the one who did it had not.
func TestNobodyGivesWhatTheyDoNotHoldInRandomLives(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			l := newOfficeLife(t, seed)
			for range 200 {
				l.act()
			}
			l.agrees()
			t.Logf("%d of %d acts were allowed", l.done, l.done+l.refused)
			require.Greater(t, l.done, 10)
			require.Greater(t, l.refused, 20)
		})
	}
}

// officeLife is random acts in an office.
type officeLife struct {
	*office
	*rand.Rand
	users, roles, groups, bindings []string
	done, refused                  int
}

// universe is what is asked about.
var universe = []string{"crm:deals:read", "crm:deals:write", "crm:notes:read", "users:read:tenant", "bindings:create:tenant"}

func newOfficeLife(t *testing.T, seed uint64) *officeLife {
	t.Helper()
	l := &officeLife{office: newOffice(t), Rand: rand.New(rand.NewPCG(seed, 4))}
	hour := time.Now().Add(time.Hour)
	reader, all := l.role("reader", "crm:*:read"), l.role("all", "crm:**")
	l.roles = []string{reader.ID, all.ID, l.role("users", "users:**", "crm:deals:write").ID, TenantAdministrator}
	l.users = []string{l.admin}
	for _, r := range []contract.CreateBindingRequest{
		{Role: "reader"}, {Role: "all", UnitID: contract.ID(l.branch)}, {Role: "all", ExpiresAt: &hour},
		{Role: "users"}, {Role: "all"}, {Role: "reader", ResourceType: "deal", ResourceID: "7"},
	} {
		user := l.user()
		r.UserID = contract.ID(user)
		l.users, l.bindings = append(l.users, user), append(l.bindings, l.bind(r).ID)
	}
	deny := l.bind(contract.CreateBindingRequest{UserID: contract.ID(l.users[5]), Role: "reader", Effect: "deny"})
	l.bindings = append(l.bindings, deny.ID)
	own, err := l.ListBindings(l.service(), &contract.ListBindingsRequest{TenantID: l.id(), UserID: contract.ID(l.admin)})
	require.NoError(t, err)
	outsiders := l.group("outsiders", l.users[3:6])
	deny = l.bind(contract.CreateBindingRequest{GroupID: contract.ID(outsiders.ID), Role: "reader", Effect: "deny"})
	l.bindings = append(l.bindings, deny.ID, own.Items[0].ID)
	l.groups = []string{l.group("readers", l.users[:2], "reader").ID, l.group("writers", nil, "all").ID, outsiders.ID}
	return l
}

func (l *officeLife) one(of []string) contract.ID { return contract.ID(of[l.IntN(len(of))]) }

func (l *officeLife) codes() (codes []string) {
	for range 1 + l.IntN(2) {
		codes = append(codes, []string{
			"crm:deals:read", "crm:deals:write", "crm:*:read", "crm:**", "users:read:tenant", "*:**", "bindings:*:tenant", "crm:notes:read",
		}[l.IntN(8)])
	}
	return codes
}

func (l *officeLife) fields() (f contract.BindingFields) {
	if l.IntN(3) > 0 {
		f.UserID = string(l.one(l.users))
	} else {
		f.GroupID = string(l.one(l.groups))
	}
	f.RoleID = string(l.one(l.roles))
	if l.IntN(8) == 0 {
		f.Effect = "deny"
	}
	switch l.IntN(4) {
	case 0:
		f.UnitID = []string{l.company, l.branch}[l.IntN(2)]
	case 1:
		f.ResourceType, f.ResourceID = "deal", []string{"7", "8"}[l.IntN(2)]
	}
	f.ExpiresAt = l.expiry()
	return f
}

func (l *officeLife) expiry() *time.Time {
	if l.IntN(3) > 0 {
		return nil
	}
	at := time.Now().Add(time.Duration(1+l.IntN(3)) * 30 * time.Minute)
	return &at
}

// act has somebody do something, and looks at what came of it.
func (l *officeLife) act() {
	l.t.Helper()
	by := string(l.one(append(l.users, l.admin, l.admin)))
	before := l.Engine.Policy(l.tenant)
	what, err := l.try(by)
	after := l.Engine.Policy(l.tenant)
	if err != nil {
		var answer *contract.Error
		require.ErrorAs(l.t, err, &answer, what)
		require.NotEqual(l.t, contract.Internal, answer.Code, what)
		require.Equal(l.t, before.Revision(), after.Revision(), "%s: refused, and yet done", what)
		l.refused++
		return
	}
	l.done++
	stored, err := l.Read(l.service(), l.tenant)
	require.NoError(l.t, err)
	require.Equal(l.t, stored.Revision(), after.Revision(), what)
	require.Equal(l.t, stored.Digest(), after.Digest(), "%s: the engine differs from the database", what)
	require.True(l.t, after.Administered(TenantAdministrator, decision.Now), "%s: nobody is left", what)
	for _, later := range []time.Duration{0, 40 * time.Minute, 70 * time.Minute, 3 * time.Hour} {
		at := time.Now().Add(later).Unix()
		clock := func() int64 { return at }
		for _, where := range []decision.Question{
			{}, {Unit: l.company}, {Unit: l.branch}, {ResourceType: "deal", ResourceID: "7"}, {ResourceType: "deal", ResourceID: "8"},
		} {
			for _, code := range universe {
				q := where
				q.Permission, q.User = code, by
				held := before.Check(q, clock)
				for _, user := range l.users {
					q.User = user
					if !held && !before.Check(q, clock) && after.Check(q, clock) {
						require.FailNow(l.t, "an escalation", "%s by %s: %s in %s gets %s in %s",
							what, by, user, where.Unit+where.ResourceID, code, later)
					}
				}
			}
		}
	}
}

func (l *officeLife) try(by string) (what string, err error) {
	ctx := l.as(by)
	switch l.IntN(11) {
	case 0:
		var r *contract.Role
		what = "create role"
		if r, err = l.CreateRole(ctx, &contract.CreateRoleRequest{Name: fmt.Sprint("r", l.done), Permissions: l.codes()}); err == nil {
			l.roles = append(l.roles, r.ID)
		}
	case 1:
		codes := l.codes()
		what = fmt.Sprint("update role to ", codes)
		_, err = l.UpdateRole(ctx, &contract.UpdateRoleRequest{RoleID: l.one(l.roles), Permissions: &codes})
	case 2:
		var r *contract.Role
		what = "clone role"
		if r, err = l.CloneRole(ctx, &contract.CloneRoleRequest{RoleID: l.one(l.roles), Name: fmt.Sprint("c", l.done)}); err == nil {
			l.roles = append(l.roles, r.ID)
		}
	case 3:
		what = "delete role"
		_, err = l.DeleteRole(ctx, &contract.DeleteRoleRequest{RoleID: l.one(l.roles)})
	case 4, 5:
		f := l.fields()
		what = fmt.Sprintf("bind %+v", f)
		var b *contract.Binding
		if b, err = l.CreateBinding(ctx, &contract.CreateBindingRequest{
			UserID: contract.ID(f.UserID), GroupID: contract.ID(f.GroupID), RoleID: contract.ID(f.RoleID), Effect: f.Effect,
			UnitID: contract.ID(f.UnitID), ResourceType: f.ResourceType, ResourceID: contract.ID(f.ResourceID), ExpiresAt: f.ExpiresAt,
		}); err == nil {
			l.bindings = append(l.bindings, b.ID)
		}
	case 6:
		what = "update binding"
		_, err = l.UpdateBinding(ctx, &contract.UpdateBindingRequest{BindingID: l.one(l.bindings), ExpiresAt: l.expiry()})
	case 7:
		what = "delete binding"
		_, err = l.DeleteBinding(ctx, &contract.DeleteBindingRequest{BindingID: l.one(l.bindings)})
	case 8:
		what = "change bindings"
		var r *contract.ChangeBindingsResponse
		if r, err = l.ChangeBindings(ctx, &contract.ChangeBindingsRequest{
			Grant: []contract.BindingFields{l.fields()}, Revoke: []string{string(l.one(l.bindings))},
		}); err == nil {
			l.bindings = append(l.bindings, r.Granted[0].ID)
		}
	case 9:
		what = "change members"
		r := &contract.ChangeGroupMembersRequest{GroupID: l.one(l.groups)}
		if l.IntN(2) == 0 {
			r.Add = []string{string(l.one(l.users))}
		} else {
			r.Remove = []string{string(l.one(l.users))}
		}
		_, err = l.ChangeGroupMembers(ctx, r)
	case 10:
		if len(l.groups) < 2 {
			return "nothing", errNothing
		}
		what = "delete group"
		_, err = l.DeleteGroup(ctx, &contract.DeleteGroupRequest{GroupID: l.one(l.groups)})
	}
	return what, err
}

var errNothing = error(contract.Errorf(contract.NotFound, "nothing to do"))

// Everybody at once, by two replicas: whoever succeeds takes the next revision.
func TestChangesAtOnceTakeOneRevisionEach(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.role("reader", "crm:*:read")
	replicas := []*App{o.App, o.replica()}
	const many = 24
	revisions := make(chan int64, many)
	for i := range many {
		user := o.user()
		go func() {
			b, err := replicas[i%2].CreateBinding(o.as(o.admin), &contract.CreateBindingRequest{UserID: contract.ID(user), Role: "reader"})
			if err != nil {
				t.Error(err)
				revisions <- 0
				return
			}
			revisions <- b.Revision
		}()
	}
	seen := map[int64]bool{}
	for range many {
		seen[<-revisions] = true
	}
	require.Len(t, seen, many)
	o.reload() // as the other replica's announcements do
	o.agrees()
}

// A role of the platform changes while tenants bind it and let go of it: each
// decides by its last form.
func TestARoleOfThePlatformChangesWhileTenantsBindIt(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	role, err := o.CreateRole(o.service(), &contract.CreateRoleRequest{Platform: true, Name: "guest", Permissions: []string{"users:read:tenant"}})
	require.NoError(t, err)
	var tenants, users []string
	for range 6 {
		tenants = append(tenants, o.newTenant())
		users = append(users, o.userOf(tenants[len(tenants)-1]))
	}
	var all sync.WaitGroup
	for i, tenant := range tenants {
		all.Go(func() {
			for range 5 {
				b, err := o.CreateBinding(o.service(), &contract.CreateBindingRequest{
					TenantID: contract.ID(tenant), UserID: contract.ID(users[i]), RoleID: contract.ID(role.ID),
				})
				if err == nil && i%2 == 0 {
					_, err = o.DeleteBinding(o.service(), &contract.DeleteBindingRequest{TenantID: contract.ID(tenant), BindingID: contract.ID(b.ID)})
				}
				if i%2 == 1 && b == nil && assertRefused(t, err, contract.AlreadyExists, "role_id") {
					continue
				}
				assert.NoError(t, err)
			}
		})
	}
	last := []string{"groups:read:tenant"}
	for i := range 8 {
		codes := []string{"users:read:tenant", "roles:read:tenant"}[i%2 : i%2+1]
		if i == 7 {
			codes = last
		}
		_, err := o.UpdateRole(o.service(), &contract.UpdateRoleRequest{RoleID: contract.ID(role.ID), Permissions: &codes})
		require.NoError(t, err)
	}
	all.Wait()
	for i, tenant := range tenants {
		q := decision.Question{User: users[i], Permission: last[0]}
		require.Equal(t, i%2 == 1, o.Engine.Policy(tenant).Check(q, decision.Now))
	}
	o.agrees(tenants...)
}

// Of two administrators who remove each other at once, one stays.
func TestTwoAdministratorsDoNotRemoveEachOther(t *testing.T) {
	t.Parallel()
	for range 5 {
		o := newOffice(t)
		other := o.user("tenant-administrator")
		var bindings []string
		for _, user := range []string{o.admin, other} {
			list, err := o.ListBindings(o.service(), &contract.ListBindingsRequest{TenantID: o.id(), UserID: contract.ID(user)})
			require.NoError(t, err)
			bindings = append(bindings, list.Items[0].ID)
		}
		failures := make(chan error, 2)
		for i, by := range []string{other, o.admin} {
			go func() {
				_, err := o.DeleteBinding(o.as(by), &contract.DeleteBindingRequest{BindingID: contract.ID(bindings[i])})
				failures <- err
			}()
		}
		one, two := <-failures, <-failures
		require.True(t, (one == nil) != (two == nil), "%v, %v", one, two)
		refuses(t, errors.Join(one, two), contract.Conflict, "")
		o.agrees()
	}
}

// Of two updates from the same revision, one is lost, and told so.
func TestOneOfTwoUpdatesFromTheSameRevisionConflicts(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	role := o.role("reader", "crm:*:read")
	failures := make(chan error, 2)
	for _, title := range []string{"one", "two"} {
		go func() {
			_, err := o.UpdateRole(o.as(o.admin), &contract.UpdateRoleRequest{RoleID: contract.ID(role.ID), Title: &title, Revision: role.Revision})
			failures <- err
		}()
	}
	one, two := <-failures, <-failures
	require.True(t, (one == nil) != (two == nil), "%v, %v", one, two)
	refuses(t, errors.Join(one, two), contract.Conflict, "")
}
