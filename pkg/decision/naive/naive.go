// Package naive decides as package decision does, in the most literal way: it
// keeps what it was told in maps and reads all of it for every answer. Tests
// hold the two against each other. It is for tests only.
package naive

import (
	"maps"
	"slices"
	"strings"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/decision"
)

// Model is a tenant's policy. It is not safe for concurrent use.
type Model struct {
	Active    bool
	Modules   map[string]bool                   // enabled
	Units     map[string]contract.PolicyUnit    // by id
	Roles     map[string]contract.PolicyRole    // by id
	Groups    map[string]contract.PolicyGroup   // by id
	Members   map[contract.PolicyMember]bool    // of whom in which group
	Suspended map[string]bool                   // by user
	Bindings  map[string]contract.PolicyBinding // by id
}

// New knows nothing and denies everything.
func New() *Model {
	return &Model{
		Modules: map[string]bool{}, Units: map[string]contract.PolicyUnit{}, Roles: map[string]contract.PolicyRole{},
		Groups: map[string]contract.PolicyGroup{}, Members: map[contract.PolicyMember]bool{},
		Suspended: map[string]bool{}, Bindings: map[string]contract.PolicyBinding{},
	}
}

// Clone returns a model that changes independently.
func (m *Model) Clone() *Model {
	return &Model{
		Active: m.Active, Modules: maps.Clone(m.Modules), Units: maps.Clone(m.Units), Roles: maps.Clone(m.Roles),
		Groups: maps.Clone(m.Groups), Members: maps.Clone(m.Members), Suspended: maps.Clone(m.Suspended),
		Bindings: maps.Clone(m.Bindings),
	}
}

// Apply takes changes in, one after another. They must be well-formed.
func (m *Model) Apply(changes []contract.PolicyChange) {
	for _, c := range changes {
		switch {
		case c.Tenant != nil:
			m.Active = c.Tenant.Active
		case c.Module != nil:
			keep(m.Modules, c.Module.Name, true, c.Module.Enabled)
		case c.Unit != nil:
			keep(m.Units, c.Unit.ID, *c.Unit, !c.Unit.Removed)
		case c.Role != nil:
			keep(m.Roles, c.Role.ID, *c.Role, !c.Role.Removed)
		case c.Group != nil:
			keep(m.Groups, c.Group.ID, *c.Group, !c.Group.Removed)
		case c.Member != nil:
			keep(m.Members, contract.PolicyMember{GroupID: c.Member.GroupID, UserID: c.Member.UserID}, true, !c.Member.Removed)
		case c.User != nil && c.User.Removed:
			m.removeUser(c.User.ID)
		case c.User != nil:
			keep(m.Suspended, c.User.ID, true, c.User.Suspended)
		case c.Binding != nil:
			keep(m.Bindings, c.Binding.ID, *c.Binding, !c.Binding.Removed)
		}
	}
}

func keep[K comparable, V any](all map[K]V, key K, value V, keep bool) {
	if keep {
		all[key] = value
	} else {
		delete(all, key)
	}
}

func (m *Model) removeUser(user string) {
	delete(m.Suspended, user)
	maps.DeleteFunc(m.Members, func(member contract.PolicyMember, _ bool) bool { return member.UserID == user })
	maps.DeleteFunc(m.Bindings, func(_ string, b contract.PolicyBinding) bool { return b.UserID == user })
}

// Check decides a question at a second.
func (m *Model) Check(q decision.Question, now int64) bool {
	if !m.Active || m.Suspended[q.User] || !contract.ValidPermission(q.Permission) || !m.Effective(q.Permission) {
		return false
	}
	allowed := false
	for _, b := range m.Bindings {
		if !m.binds(b, q.User) || !m.inScope(b, q) || b.ExpiresAt != nil && b.ExpiresAt.Unix() <= now {
			continue
		}
		role, known := m.Roles[b.RoleID]
		if !known || !slices.ContainsFunc(role.Permissions, func(grant string) bool { return Matches(grant, q.Permission) }) {
			continue
		}
		if b.Deny {
			return false
		}
		allowed = true
	}
	return allowed
}

// Effective reports whether permissions of the code's namespace count.
func (m *Model) Effective(code string) bool {
	first := strings.Split(code, ":")[0]
	return contract.PlatformNamespace(first) || m.Modules[first]
}

// binds reports whether a binding is the user's, by themselves or by a group.
func (m *Model) binds(b contract.PolicyBinding, user string) bool {
	if b.UserID != "" {
		return b.UserID == user
	}
	_, known := m.Groups[b.GroupID]
	return known && m.Members[contract.PolicyMember{GroupID: b.GroupID, UserID: user}]
}

func (m *Model) inScope(b contract.PolicyBinding, q decision.Question) bool {
	switch {
	case b.UnitID != "":
		return slices.Contains(m.Above(q.Unit), b.UnitID)
	case b.ResourceType != "":
		return b.ResourceType == q.ResourceType && b.ResourceID == q.ResourceID
	}
	return true
}

// Above lists a unit and all above it, up to one that is not known or was there
// before.
func (m *Model) Above(unit string) (units []string) {
	for {
		u, known := m.Units[unit]
		if !known || slices.Contains(units, unit) {
			return units
		}
		units = append(units, unit)
		unit = u.ParentID
	}
}

// Matches reports whether a granted code matches a concrete one.
func Matches(grant, code string) bool {
	if !contract.ValidGrant(grant) {
		return false
	}
	g, c := strings.Split(grant, ":"), strings.Split(code, ":")
	if last := len(g) - 1; g[last] == "**" {
		if len(c) <= last {
			return false
		}
		g, c = g[:last], c[:last]
	}
	return slices.EqualFunc(g, c, func(g, c string) bool { return g == "*" || g == c })
}

// Users lists who has bindings, memberships or a suspension, sorted.
func (m *Model) Users() []string {
	all := maps.Clone(m.Suspended)
	for member := range m.Members {
		all[member.UserID] = true
	}
	for _, b := range m.Bindings {
		all[b.UserID] = true
	}
	delete(all, "")
	return slices.Sorted(maps.Keys(all))
}

// WhoCan lists the users for whom Check answers yes, sorted.
func (m *Model) WhoCan(q decision.Question, now int64) (users []string) {
	for _, user := range m.Users() {
		if q.User = user; m.Check(q, now) {
			users = append(users, user)
		}
	}
	return users
}

// Administered reports whether a user who is not suspended has an allow binding
// to the role that is tenant-wide and never expires, and no tenant-wide deny.
func (m *Model) Administered(role string, now int64) bool {
	if _, known := m.Roles[role]; !known {
		return false
	}
	for _, user := range m.Users() {
		bound, denied := false, false
		for _, b := range m.Bindings {
			_, known := m.Roles[b.RoleID]
			switch {
			case !known || !m.binds(b, user) || b.UnitID != "" || b.ResourceType != "":
			case b.Deny && (b.ExpiresAt == nil || b.ExpiresAt.Unix() > now):
				denied = true
			case !b.Deny && b.ExpiresAt == nil && b.RoleID == role:
				bound = true
			}
		}
		if bound && !denied && !m.Suspended[user] {
			return true
		}
	}
	return false
}

// Changes lists all that is known, as changes.
func (m *Model) Changes() []contract.PolicyChange {
	all := []contract.PolicyChange{{Tenant: &contract.PolicyTenant{Active: m.Active}}}
	for name := range m.Modules {
		all = append(all, contract.PolicyChange{Module: &contract.PolicyModule{Name: name, Enabled: true}})
	}
	for _, u := range m.Units {
		all = append(all, contract.PolicyChange{Unit: &u})
	}
	for _, r := range m.Roles {
		all = append(all, contract.PolicyChange{Role: &r})
	}
	for _, g := range m.Groups {
		all = append(all, contract.PolicyChange{Group: &g})
	}
	for member := range m.Members {
		all = append(all, contract.PolicyChange{Member: &member})
	}
	for user := range m.Suspended {
		all = append(all, contract.PolicyChange{User: &contract.PolicyUser{ID: user, Suspended: true}})
	}
	for _, b := range m.Bindings {
		all = append(all, contract.PolicyChange{Binding: &b})
	}
	return all
}
