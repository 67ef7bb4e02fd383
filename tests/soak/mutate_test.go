package soak

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/decision/naive"
	"github.com/buildify/core/pkg/kit"
)

// mutator changes one tenant at random, by the operations that people use.
type mutator struct {
	core    *kit.Client
	tenant  *tenant
	shared  *shared
	rand    *rand.Rand
	history *history
	report  *report
	made    int
}

// shared are the platform's roles, which all tenants bind.
type shared struct{ roles []string }

// mutation is one kind of change, weight times as likely as others.
type mutation struct {
	kind   string
	weight int
	make   func(*mutator, context.Context) (revision int64, err error)
}

var mutations = []mutation{
	{"create role", 4, (*mutator).createRole},
	{"update role", 6, (*mutator).updateRole},
	{"delete role", 1, (*mutator).deleteRole},
	{"create group", 1, (*mutator).createGroup},
	{"delete group", 1, (*mutator).deleteGroup},
	{"change members", 8, (*mutator).changeMembers},
	{"bind", 20, (*mutator).bind},
	{"unbind", 14, (*mutator).unbind},
	{"change end", 3, (*mutator).changeEnd},
	{"change bindings", 3, (*mutator).changeBindings},
	{"put unit", 6, (*mutator).putUnit},
	{"move unit", 4, (*mutator).moveUnit},
	{"remove unit", 1, (*mutator).removeUnit},
	{"set module", 6, (*mutator).setModule},
	{"set active", 4, (*mutator).setActive},
	{"suspend", 5, (*mutator).suspend},
	{"replace user", 1, (*mutator).replaceUser},
	{"update platform role", 1, (*mutator).updatePlatformRole},
}

// run changes things until ctx ends. Between two changes is a pause of up to
// twice pace; at times there is none, for a while.
func (m *mutator) run(ctx context.Context, pace time.Duration) {
	pause := time.NewTimer(0)
	defer pause.Stop()
	burst := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
		m.mutate(ctx)
		switch {
		case burst > 0:
			burst--
			pause.Reset(0)
		default:
			if m.rand.IntN(100) == 0 {
				burst = 10
			}
			pause.Reset(time.Duration(m.rand.Int64N(int64(2 * pace))))
		}
	}
}

// populate makes what there is to change, so that everybody has something.
func (m *mutator) populate(ctx context.Context) {
	for range 8 {
		m.attempt(ctx, mutation{kind: "create role", make: (*mutator).createRole})
		m.attempt(ctx, mutation{kind: "put unit", make: (*mutator).putUnit})
	}
	for range 3 {
		m.attempt(ctx, mutation{kind: "create group", make: (*mutator).createGroup})
	}
	for _, user := range slices.Concat(m.tenant.users, m.tenant.users) {
		m.attempt(ctx, mutation{kind: "bind", make: func(m *mutator, ctx context.Context) (int64, error) {
			made, err := kit.Call(ctx, m.core, contract.CreateBinding, &contract.CreateBindingRequest{
				TenantID: m.id(), UserID: contract.ID(user), RoleID: contract.ID(m.tenant.any(m.rand, &m.tenant.roles)),
			})
			if err != nil {
				return 0, err
			}
			return m.bound(made), nil
		}})
	}
}

func (m *mutator) mutate(ctx context.Context) {
	all := 0
	for _, k := range mutations {
		all += k.weight
	}
	at := m.rand.IntN(all)
	for _, k := range mutations {
		if at -= k.weight; at < 0 {
			m.attempt(ctx, k)
			return
		}
	}
}

func (m *mutator) attempt(ctx context.Context, k mutation) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	revision, err := k.make(m, ctx)
	var e *contract.Error
	switch {
	case err == nil:
		m.tenant.reach(revision)
		m.report.mutated(k.kind, "")
	case errors.As(err, &e):
		m.report.mutated(k.kind, string(e.Code))
		if e.Code == contract.InternalError || e.Code == contract.InvalidArgument && !strings.Contains(e.Message, "in the past") {
			m.report.fail("%s in tenant %s was answered: %v", k.kind, m.tenant.id, err)
		}
	default:
		m.report.mutated(k.kind, "lost")
	}
}

// said has the policy at a revision held to what an answer said.
func (m *mutator) said(revision int64, what string, kept func(*naive.Model) bool) int64 {
	m.history.expect(m.tenant.id, promise{revision: revision, what: what, kept: kept})
	return revision
}

// bound is what an answer about a binding says.
func (m *mutator) bound(b *contract.Binding) int64 {
	return m.said(b.Revision, "binding "+b.ID, func(p *naive.Model) bool {
		held := p.Bindings[b.ID]
		ends := held.ExpiresAt == nil && b.ExpiresAt == nil || held.ExpiresAt != nil && b.ExpiresAt != nil && held.ExpiresAt.Equal(*b.ExpiresAt)
		return ends && held.UserID == b.UserID && held.GroupID == b.GroupID && held.RoleID == b.RoleID && held.Deny == (b.Effect == "deny") &&
			held.UnitID == b.UnitID && held.ResourceType == b.ResourceType && held.ResourceID == b.ResourceID
	})
}

func (m *mutator) granted(r *contract.Role) int64 {
	return m.said(r.Revision, "role "+r.ID, func(p *naive.Model) bool {
		return slices.Equal(slices.Sorted(slices.Values(p.Roles[r.ID].Permissions)), slices.Sorted(slices.Values(r.Permissions)))
	})
}

func (m *mutator) id() contract.ID { return contract.ID(m.tenant.id) }

func (m *mutator) name(kind string) string {
	m.made++
	return fmt.Sprintf("%s%d-%d", kind, m.made, m.rand.IntN(1_000_000))
}

func (m *mutator) createRole(ctx context.Context) (int64, error) {
	if m.tenant.size(&m.tenant.roles) > 14 {
		return m.deleteRole(ctx)
	}
	made, err := kit.Call(ctx, m.core, contract.CreateRole, &contract.CreateRoleRequest{
		TenantID: m.id(), Name: m.name("role"), Permissions: grants(m.rand),
	})
	if err != nil {
		return 0, err
	}
	m.tenant.add(&m.tenant.roles, made.ID)
	return m.granted(made), nil
}

func (m *mutator) updateRole(ctx context.Context) (int64, error) {
	permissions := grants(m.rand)
	made, err := kit.Call(ctx, m.core, contract.UpdateRole, &contract.UpdateRoleRequest{
		TenantID: m.id(), RoleID: contract.ID(m.tenant.any(m.rand, &m.tenant.roles)), Permissions: &permissions,
	})
	if err != nil {
		return 0, err
	}
	return m.granted(made), nil
}

func (m *mutator) deleteRole(ctx context.Context) (int64, error) {
	role := m.tenant.any(m.rand, &m.tenant.roles)
	gone, err := kit.Call(ctx, m.core, contract.DeleteRole, &contract.DeleteRoleRequest{TenantID: m.id(), RoleID: contract.ID(role)})
	if err != nil {
		return 0, m.unless(err, contract.NotFound, func() { m.tenant.drop(&m.tenant.roles, role) })
	}
	m.tenant.drop(&m.tenant.roles, role)
	return m.said(gone.Revision, "no role "+role, func(p *naive.Model) bool {
		_, there := p.Roles[role]
		return !there
	}), nil
}

// unless returns the error, after f when it has the code.
func (m *mutator) unless(err error, code contract.Code, f func()) error {
	if errors.Is(err, &contract.Error{Code: code}) {
		f()
	}
	return err
}

func (m *mutator) createGroup(ctx context.Context) (int64, error) {
	if m.tenant.size(&m.tenant.groups) > 6 {
		return m.deleteGroup(ctx)
	}
	made, err := kit.Call(ctx, m.core, contract.CreateGroup, &contract.CreateGroupRequest{TenantID: m.id(), Name: m.name("group")})
	if err != nil {
		return 0, err
	}
	m.tenant.add(&m.tenant.groups, made.ID)
	return made.Revision, nil
}

func (m *mutator) deleteGroup(ctx context.Context) (int64, error) {
	if m.tenant.size(&m.tenant.groups) < 3 {
		return m.createGroup(ctx)
	}
	group := m.tenant.any(m.rand, &m.tenant.groups)
	gone, err := kit.Call(ctx, m.core, contract.DeleteGroup, &contract.DeleteGroupRequest{TenantID: m.id(), GroupID: contract.ID(group)})
	if err != nil {
		return 0, m.unless(err, contract.NotFound, func() { m.tenant.drop(&m.tenant.groups, group) })
	}
	m.tenant.drop(&m.tenant.groups, group)
	return gone.Revision, nil
}

func (m *mutator) changeMembers(ctx context.Context) (int64, error) {
	request := &contract.ChangeGroupMembersRequest{TenantID: m.id(), GroupID: contract.ID(m.tenant.any(m.rand, &m.tenant.groups))}
	add, remove := m.tenant.any(m.rand, &m.tenant.users), m.tenant.any(m.rand, &m.tenant.users)
	if add != remove {
		request.Remove = []string{remove}
	}
	request.Add = []string{add}
	made, err := kit.Call(ctx, m.core, contract.ChangeGroupMembers, request)
	if err != nil {
		return 0, err
	}
	return m.said(made.Revision, add+" in group "+made.ID, func(p *naive.Model) bool {
		return p.Members[contract.PolicyMember{GroupID: made.ID, UserID: add}]
	}), nil
}

// fields is a random binding.
func (m *mutator) fields() contract.BindingFields {
	w, r := m.tenant, m.rand
	f := contract.BindingFields{RoleID: w.any(r, &w.roles)}
	switch r.IntN(12) {
	case 0:
		f.RoleID = one(r, m.shared.roles)
	case 1:
		f.RoleID = fmt.Sprintf("00000000-0000-7000-8000-%012d", 1+r.IntN(3)) // the product's own
	}
	if r.IntN(3) == 0 {
		f.GroupID = w.any(r, &w.groups)
	} else {
		f.UserID = w.any(r, &w.users)
	}
	if r.IntN(4) == 0 {
		f.Effect = "deny"
	}
	switch r.IntN(5) {
	case 0, 1:
		f.UnitID = w.unit(r)
	case 2:
		f.ResourceType, f.ResourceID = resource(r)
	}
	if r.IntN(3) == 0 {
		at := time.Now().Add(time.Second + time.Duration(r.Int64N(int64(4*time.Second))))
		f.ExpiresAt = &at
	}
	return f
}

func (m *mutator) bind(ctx context.Context) (int64, error) {
	if m.tenant.size(&m.tenant.bindings) > 50 {
		return m.unbind(ctx)
	}
	f := m.fields()
	made, err := kit.Call(ctx, m.core, contract.CreateBinding, &contract.CreateBindingRequest{
		TenantID: m.id(), UserID: contract.ID(f.UserID), GroupID: contract.ID(f.GroupID), RoleID: contract.ID(f.RoleID), Effect: f.Effect,
		UnitID: contract.ID(f.UnitID), ResourceType: f.ResourceType, ResourceID: contract.ID(f.ResourceID), ExpiresAt: f.ExpiresAt,
	})
	if err != nil {
		return 0, err
	}
	m.tenant.add(&m.tenant.bindings, made.ID)
	return m.bound(made), nil
}

func (m *mutator) unbind(ctx context.Context) (int64, error) {
	binding := m.tenant.any(m.rand, &m.tenant.bindings)
	gone, err := kit.Call(ctx, m.core, contract.DeleteBinding, &contract.DeleteBindingRequest{TenantID: m.id(), BindingID: contract.ID(binding)})
	if err != nil {
		return 0, m.unless(err, contract.NotFound, func() { m.tenant.drop(&m.tenant.bindings, binding) })
	}
	m.tenant.drop(&m.tenant.bindings, binding)
	return m.said(gone.Revision, "no binding "+binding, func(p *naive.Model) bool {
		_, there := p.Bindings[binding]
		return !there
	}), nil
}

func (m *mutator) changeEnd(ctx context.Context) (int64, error) {
	request := &contract.UpdateBindingRequest{TenantID: m.id(), BindingID: contract.ID(m.tenant.any(m.rand, &m.tenant.bindings))}
	if m.rand.IntN(3) > 0 {
		at := time.Now().Add(2 * time.Second)
		request.ExpiresAt = &at
	}
	made, err := kit.Call(ctx, m.core, contract.UpdateBinding, request)
	if err != nil {
		return 0, err
	}
	return m.bound(made), nil
}

func (m *mutator) changeBindings(ctx context.Context) (int64, error) {
	request := &contract.ChangeBindingsRequest{TenantID: m.id(), Revoke: []string{m.tenant.any(m.rand, &m.tenant.bindings)}}
	for range m.rand.IntN(4) {
		request.Grant = append(request.Grant, m.fields())
	}
	made, err := kit.Call(ctx, m.core, contract.ChangeBindings, request)
	if err != nil {
		return 0, err
	}
	m.tenant.drop(&m.tenant.bindings, request.Revoke[0])
	for _, binding := range made.Granted {
		m.tenant.add(&m.tenant.bindings, binding.ID)
		m.bound(&binding)
	}
	return made.Revision, nil
}

// kinds of units, and what they may be in.
func (m *mutator) place() (kind string, list *[]string, parent string) {
	w, r := m.tenant, m.rand
	switch r.IntN(4) {
	case 0:
		return "company", &w.companies, ""
	case 1:
		return "branch", &w.branches, w.any(r, &w.companies)
	case 2:
		return "department", &w.lowest, w.any(r, &w.branches)
	}
	return "department", &w.lowest, w.any(r, &w.lowest)
}

func (m *mutator) putUnit(ctx context.Context) (int64, error) {
	kind, list, parent := m.place()
	if m.tenant.size(list) > 8 {
		return m.removeUnit(ctx)
	}
	made, err := kit.Call(ctx, m.core, contract.CreateUnit, &contract.CreateUnitRequest{
		TenantID: m.id(), Kind: kind, ParentID: contract.ID(parent), Code: m.name("u"), Name: kind,
	})
	if err != nil {
		return 0, err
	}
	m.tenant.add(list, made.ID)
	return 0, nil
}

func (m *mutator) moveUnit(ctx context.Context) (int64, error) {
	kind, list, parent := m.place()
	if kind == contract.Company {
		return m.putUnit(ctx) // it cannot be moved
	}
	_, err := kit.Call(ctx, m.core, contract.MoveUnit, &contract.MoveUnitRequest{
		TenantID: m.id(), UnitID: contract.ID(m.tenant.any(m.rand, list)), ParentID: contract.ID(parent),
	})
	return 0, err
}

func (m *mutator) removeUnit(ctx context.Context) (int64, error) {
	_, list, _ := m.place()
	unit := m.tenant.any(m.rand, list)
	_, err := kit.Call(ctx, m.core, contract.DeleteUnit, &contract.DeleteUnitRequest{TenantID: m.id(), UnitID: contract.ID(unit)})
	if err == nil {
		m.tenant.drop(list, unit)
	}
	return 0, err
}

func (m *mutator) setModule(ctx context.Context) (int64, error) {
	module := "gamma"
	if m.tenant.shaky {
		module = one(m.rand, modules)
	}
	_, err := kit.Call(ctx, m.core, contract.SetTenantModule, &contract.SetTenantModuleRequest{
		TenantID: m.id(), ModuleName: module, Enabled: m.rand.IntN(4) > 0,
	})
	return 0, err
}

func (m *mutator) setActive(ctx context.Context) (int64, error) {
	if !m.tenant.shaky {
		return m.setModule(ctx)
	}
	active := m.rand.IntN(5) > 0
	switched := contract.SuspendTenant
	if active {
		switched = contract.ResumeTenant
	}
	_, err := kit.Call(ctx, m.core, switched, &contract.TenantReasonRequest{TenantID: m.id()})
	return 0, err
}

// unsteady is somebody who need not be seen.
func (m *mutator) unsteady() string {
	m.tenant.mu.Lock()
	defer m.tenant.mu.Unlock()
	return m.tenant.users[steady+m.rand.IntN(people-steady)]
}

func (m *mutator) suspend(ctx context.Context) (int64, error) {
	verb := contract.EnableUser
	if m.rand.IntN(3) == 0 {
		verb = contract.DisableUser
	}
	_, err := kit.Call(ctx, m.core, verb, &contract.UserRequest{TenantID: m.id(), UserID: contract.ID(m.unsteady())})
	return 0, err
}

func (m *mutator) replaceUser(ctx context.Context) (int64, error) {
	leaving := m.unsteady()
	joining, err := kit.Call(ctx, m.core, contract.CreateUser, newUser(m.tenant.id))
	if err != nil {
		return 0, err
	}
	_, err = kit.Call(ctx, m.core, contract.DeleteUser, &contract.UserRequest{TenantID: m.id(), UserID: contract.ID(leaving)})
	m.tenant.mu.Lock()
	defer m.tenant.mu.Unlock()
	if err == nil {
		m.tenant.gone = append(m.tenant.gone, leaving)
	}
	for i, user := range m.tenant.users {
		if user == leaving {
			m.tenant.users[i] = joining.ID
		}
	}
	return 0, err
}

func (m *mutator) updatePlatformRole(ctx context.Context) (int64, error) {
	permissions := grants(m.rand)
	_, err := kit.Call(ctx, m.core, contract.UpdateRole, &contract.UpdateRoleRequest{
		TenantID: m.id(), RoleID: contract.ID(one(m.rand, m.shared.roles)), Permissions: &permissions,
	})
	return 0, err // its revision is the platform's
}
