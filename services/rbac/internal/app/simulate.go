package app

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/decision"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/services/rbac/internal/store/db"
)

// Simulate answers rbac.simulate.
func (a *App) Simulate(ctx context.Context, r *contract.SimulateRequest) (*contract.SimulateResponse, error) {
	tenant, err := a.questionTenant(ctx, r.UserID, r.TenantID)
	if err != nil {
		return nil, err
	}
	supposed, err := readSupposition(r)
	if err != nil {
		return nil, err
	}
	for _, g := range supposed.grants {
		if member, ok := a.Directory.Member(g.UserID); g.UserID != "" && (!ok || !belongs(member, tenant)) {
			return nil, about(g.prefix+"user_id", contract.Missing("user"))
		}
	}
	p, err := a.policy(ctx, tenant, r.AtLeast)
	if err != nil {
		return nil, err
	}
	if err := a.knowModules(ctx, tenant, p, supposed.modules); err != nil {
		return nil, err
	}
	var changes []contract.PolicyChange
	err = a.DB.Read(ctx, tenant, func(tx pgx.Tx) (err error) {
		changes, err = supposed.changes(ctx, db.New(tx), tenant)
		return err
	})
	if err != nil {
		return nil, err
	}
	q := decision.Question{
		User: supposed.user, Permission: r.Permission, Unit: lowest(r.CompanyID, r.BranchID, r.DepartmentID),
		ResourceType: r.ResourceType, ResourceID: string(r.ResourceID),
	}
	before, err := a.explain(ctx, p, tenant, q)
	if err != nil {
		return nil, err
	}
	after, err := a.explain(ctx, p.Apply(p.Revision(), changes), tenant, q)
	if err != nil {
		return nil, err
	}
	return &contract.SimulateResponse{Before: *before, After: *after}, nil
}

// knowModules holds that the modules are known here: the tenant's, or ones that
// declare permissions. The engine never forgets a name that it has heard.
func (a *App) knowModules(ctx context.Context, tenant string, p *decision.Policy, modules []contract.PolicyModule) error {
	if len(modules) == 0 {
		return nil
	}
	declared, err := a.declared(ctx)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, code := range declared {
		known[contract.PermissionNamespace(code)] = true
	}
	for name := range p.Modules() {
		known[name] = true
	}
	for _, activation := range a.Directory.Activations(tenant) {
		known[activation.Module] = true
	}
	for i, m := range modules {
		if !known[m.Name] {
			return about(indexed("modules", i)+".name", contract.Missing("module"))
		}
	}
	return nil
}

// supposition is what a simulation supposes, with ids in their usual spelling.
type supposition struct {
	user                string
	roles               []string
	codes               map[string][]string // of the roles
	revoke, join, leave []string
	grants              []grant
	modules             []contract.PolicyModule
}

func readSupposition(r *contract.SimulateRequest) (s supposition, err error) {
	s = supposition{user: kit.UUID(r.UserID), codes: map[string][]string{}, modules: r.ModuleStates}
	for i, role := range r.Roles {
		id := kit.UUID(contract.ID(role.RoleID))
		s.roles = append(s.roles, id)
		if s.codes[id], err = readCodes(indexed("roles", i)+".permissions", role.Permissions); err != nil {
			return s, err
		}
	}
	for i, fields := range r.Grant {
		g, err := readGrant(fields, indexed("grant", i)+".")
		if err != nil {
			return s, err
		}
		s.grants = append(s.grants, g)
	}
	if s.revoke, err = readIDs("revoke", r.Revoke); err != nil {
		return s, err
	}
	if s.join, err = readIDs("join_groups", r.JoinGroups); err != nil {
		return s, err
	}
	s.leave, err = readIDs("leave_groups", r.LeaveGroups)
	return s, err
}

// changes lists what the policy would be told, in the order of the request. What
// is named must be the tenant's own, or a role of the platform.
func (s *supposition) changes(ctx context.Context, q *db.Queries, tenant string) ([]contract.PolicyChange, error) {
	if err := find(ctx, q, tenant, s.grants); err != nil {
		return nil, err
	}
	known := map[string]db.RbacRole{}
	rows, err := q.RolesByID(ctx, db.RolesByIDParams{
		TenantID: tenant, Ids: append(idsOf(s.grants, func(g *grant) string { return g.RoleID }), s.roles...),
	})
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		if codes, supposed := s.codes[row.ID]; supposed {
			row.Permissions = codes
		}
		known[row.ID] = row
	}
	var all []contract.PolicyChange
	for i, id := range s.roles {
		row, found := known[id]
		if !found {
			return nil, about(indexed("roles", i)+".role_id", contract.Missing("role"))
		}
		all = append(all, roleChange(row))
	}
	revoked, err := s.revoked(ctx, q, tenant)
	if err != nil {
		return nil, err
	}
	all = append(all, revoked...)
	for _, g := range s.grants {
		all = append(all, roleChange(known[g.RoleID]), contract.PolicyChange{Binding: &contract.PolicyBinding{
			ID: kit.NewID(), UserID: g.UserID, GroupID: g.GroupID, RoleID: g.RoleID, Deny: g.deny,
			UnitID: g.UnitID, ResourceType: g.ResourceType, ResourceID: g.ResourceID, ExpiresAt: g.ExpiresAt,
		}})
	}
	members, err := s.members(ctx, q, tenant)
	all = append(all, members...)
	for i := range s.modules {
		all = append(all, contract.PolicyChange{Module: &s.modules[i]})
	}
	return all, err
}

func (s *supposition) revoked(ctx context.Context, q *db.Queries, tenant string) (changes []contract.PolicyChange, err error) {
	rows, err := q.BindingsByID(ctx, db.BindingsByIDParams{Ids: s.revoke, TenantID: tenant})
	if err != nil {
		return nil, err
	}
	known := make(map[string]bool, len(rows))
	for _, row := range rows {
		known[row.ID] = true
		changes = append(changes, bindingGone(row))
	}
	for i, id := range s.revoke {
		if !known[id] {
			return nil, about(indexed("revoke", i), contract.Missing("binding"))
		}
	}
	return changes, nil
}

func (s *supposition) members(ctx context.Context, q *db.Queries, tenant string) (changes []contract.PolicyChange, err error) {
	for _, list := range []struct {
		field  string
		groups []string
		leave  bool
	}{{"join_groups", s.join, false}, {"leave_groups", s.leave, true}} {
		known, err := q.GroupsByID(ctx, db.GroupsByIDParams{Ids: list.groups, TenantID: tenant})
		if err != nil {
			return nil, err
		}
		for i, id := range list.groups {
			if !slices.Contains(known, id) {
				return nil, about(indexed(list.field, i), contract.Missing("group"))
			}
			changes = append(changes, contract.PolicyChange{Member: &contract.PolicyMember{GroupID: id, UserID: s.user, Removed: list.leave}})
		}
	}
	return changes, nil
}
