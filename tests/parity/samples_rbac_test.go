package parity

import (
	"maps"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/tests/stack"
)

// rbacSamples are of decisions, roles, groups, bindings and the catalogue.
func rbacSamples() map[string]sample {
	all := map[string]sample{}
	for _, area := range []map[string]sample{decisionSamples(), roleSamples(), groupSamples(), bindingSamples(), catalogueSamples()} {
		maps.Copy(all, area)
	}
	return all
}

func decisionSamples() map[string]sample {
	return map[string]sample{
		"rbac.check": aboutUser(func(f *fixture) fields {
			return fields{"permission": f.ours.Module + ":accounts:read", "resource_id": 17}
		}, func(t *testing.T, _ *fixture, got map[string]any) { require.Equal(t, true, got["allowed"]) }),
		"rbac.check_batch": aboutUser(func(f *fixture) fields {
			return fields{"checks": []fields{
				{"permission": f.ours.Module + ":accounts:read"},
				{"permission": f.ours.Module + ":accounts:write", "unit_id": uuid.NewString()},
				{"permission": f.ours.Module + ":accounts:read", "resource_type": "invoice", "resource_id": "17"},
			}}
		}, func(t *testing.T, _ *fixture, got map[string]any) {
			require.Equal(t, []any{true, false, true}, got["allowed"])
		}),
		"rbac.permissions": aboutUser(nil, func(t *testing.T, f *fixture, got map[string]any) {
			require.Equal(t, []any{f.ours.Module + ":accounts:read"}, got["permissions"])
		}),
		"rbac.who_can": aboutTenant(func(f *fixture) fields {
			return fields{"permission": f.ours.Module + ":accounts:read", "limit": 500}
		}, func(t *testing.T, f *fixture, got map[string]any) {
			require.Contains(t, got["user_ids"], f.ours.Reader.ID)
			require.NotContains(t, got["user_ids"], f.theirs.Reader.ID)
		}),
		"rbac.explain": aboutUser(func(f *fixture) fields {
			return fields{"permission": f.ours.Module + ":accounts:read"}
		}, func(t *testing.T, _ *fixture, got map[string]any) {
			require.Equal(t, true, got["allowed"])
			require.Equal(t, "allowed", got["reason"])
			require.NotEmpty(t, got["trace"])
		}),
		"rbac.simulate": aboutUser(func(f *fixture) fields {
			return fields{"permission": f.ours.Module + ":accounts:read", "modules": []fields{{"name": f.ours.Module, "enabled": false}}}
		}, func(t *testing.T, _ *fixture, got map[string]any) {
			before, _ := got["before"].(map[string]any)
			after, _ := got["after"].(map[string]any)
			require.Equal(t, []any{true, "allowed"}, []any{before["allowed"], before["reason"]})
			require.Equal(t, []any{false, "module_disabled"}, []any{after["allowed"], after["reason"]})
		}),
		"rbac.effective": aboutUser(nil, func(t *testing.T, f *fixture, got map[string]any) {
			items, _ := got["items"].([]any)
			require.Len(t, items, 1)
			first, _ := items[0].(map[string]any)
			require.Equal(t, f.ours.Module+":accounts:read", first["permission"])
			require.Len(t, first["sources"], 1)
		}),
		"rbac.may_administer": {request: func(_ *testing.T, f *fixture) request {
			return fields{"tenant_id": f.ours.Tenant.ID, "user_id": f.ours.Reader.ID, "by_user_id": f.master.ID}.request()
		}},
		"rbac.snapshot": aboutTenant(nil, func(t *testing.T, f *fixture, got map[string]any) {
			items, _ := got["items"].([]any)
			require.NotEmpty(t, items)
			for _, item := range items {
				part, _ := item.(map[string]any)
				require.Equal(t, f.ours.Tenant.ID, part["tenant_id"])
			}
			require.NotEmpty(t, got["feed"])
		}),
	}
}

// code is a permission of ours' module that nothing else grants but wildcards.
func (f *fixture) code() string { return f.ours.Module + ":" + fresh() + ":read" }

// newRole makes a role that grants a code of its own.
func newRole(t *testing.T, f *fixture, c *stack.Company) contract.Role {
	t.Helper()
	return c.PutRole(t, "r"+fresh(), f.code())
}

func newGroup(t *testing.T, _ *fixture, c *stack.Company) contract.Group {
	t.Helper()
	return c.Group(t, "g"+fresh(), c.Nobody.ID)
}

// newBinding binds a person to a role of its own.
func newBinding(t *testing.T, f *fixture, c *stack.Company) contract.Binding {
	t.Helper()
	return c.Bind(t, c.Nobody.ID, newRole(t, f, c).Name)
}

// aboutMade samples what is done with an entity that a tenant has: what makes
// it, and more says what else there is to say of it.
func aboutMade[T any](name string, makes func(*testing.T, *fixture, *stack.Company) T, id func(T) string,
	more func(*testing.T, *fixture, *T) fields, want func(*testing.T, *fixture, map[string]any),
) sample {
	of := func(t *testing.T, f *fixture, id string, made *T) request {
		r := fields{}
		if more != nil {
			r = more(t, f, made)
		}
		r[name] = id
		return r.request()
	}
	return sample{
		request: func(t *testing.T, f *fixture) request {
			made := makes(t, f, f.ours)
			return of(t, f, id(made), &made)
		},
		foreign: func(t *testing.T, f *fixture) request { return of(t, f, id(makes(t, f, f.theirs)), nil) },
		absent:  func(t *testing.T, f *fixture) request { return of(t, f, uuid.NewString(), nil) },
		want:    want,
	}
}

// aboutRole samples what is done with a role.
func aboutRole(more func(*testing.T, *fixture, *contract.Role) fields, want func(*testing.T, *fixture, map[string]any)) sample {
	return aboutMade("role_id", newRole, func(r contract.Role) string { return r.ID }, more, want)
}

// aboutGroup samples what is done with a group.
func aboutGroup(more func(*testing.T, *fixture, *contract.Group) fields, want func(*testing.T, *fixture, map[string]any)) sample {
	return aboutMade("group_id", newGroup, func(g contract.Group) string { return g.ID }, more, want)
}

// aboutBinding samples what is done with a binding.
func aboutBinding(more func(*testing.T, *fixture, *contract.Binding) fields, want func(*testing.T, *fixture, map[string]any)) sample {
	return aboutMade("binding_id", newBinding, func(b contract.Binding) string { return b.ID }, more, want)
}

// has looks at one member of an answer.
func has(name string, want any) func(*testing.T, *fixture, map[string]any) {
	return func(t *testing.T, _ *fixture, got map[string]any) { require.Equal(t, want, got[name], name) }
}

// one holds that an answer is a list of one.
func one(t *testing.T, _ *fixture, got map[string]any) { require.Len(t, got["items"], 1) }

func roleSamples() map[string]sample {
	return map[string]sample{
		"rbac.get_role": aboutRole(nil, nil),
		"rbac.list_roles": {request: func(t *testing.T, f *fixture) request {
			return fields{"search": newRole(t, f, f.ours).Name, "kind": "tenant"}.request()
		}, want: one},
		"rbac.create_role": {request: func(_ *testing.T, f *fixture) request {
			return fields{"name": "r" + fresh(), "title": "Made by the table", "permissions": []string{f.code(), f.ours.Module + ":*:write"}}.request()
		}},
		"rbac.update_role": aboutRole(func(_ *testing.T, f *fixture, role *contract.Role) fields {
			r := fields{"title": "Changed by the table", "permissions": []string{f.code()}}
			if role != nil {
				r["revision"] = role.Revision
			}
			return r
		}, has("title", "Changed by the table")),
		"rbac.delete_role": aboutMade("role_id", func(t *testing.T, f *fixture, c *stack.Company) contract.Binding { return newBinding(t, f, c) },
			func(b contract.Binding) string { return b.RoleID }, nil, func(t *testing.T, f *fixture, got map[string]any) {
				require.EqualValues(t, 1, got["bindings"])
				require.EqualValues(t, 1, got["users"])
			}),
		"rbac.clone_role": aboutRole(func(*testing.T, *fixture, *contract.Role) fields {
			return fields{"name": "r" + fresh(), "title": "Cloned by the table"}
		}, has("title", "Cloned by the table")),
		"rbac.compare_roles": aboutRole(func(t *testing.T, f *fixture, _ *contract.Role) fields {
			return fields{"other_id": newRole(t, f, f.ours).ID}
		}, func(t *testing.T, _ *fixture, got map[string]any) {
			codes, _ := got["codes"].(map[string]any)
			require.Len(t, codes["role"], 1)
			require.Len(t, codes["other"], 1)
			require.Empty(t, codes["both"])
		}),
		"rbac.matrix": {request: func(t *testing.T, f *fixture) request {
			f.declare(t)
			return fields{"module": f.ours.Module}.request()
		}, want: func(t *testing.T, f *fixture, got map[string]any) {
			require.NotEmpty(t, got["roles"])
			require.Len(t, got["rows"], len(f.declared()))
		}},
	}
}

func groupSamples() map[string]sample {
	return map[string]sample{
		"rbac.get_group": aboutGroup(nil, has("members", 1.)),
		"rbac.list_groups": {request: func(t *testing.T, f *fixture) request {
			return fields{"search": newGroup(t, f, f.ours).Name, "user_id": f.ours.Nobody.ID}.request()
		}, want: one},
		"rbac.create_group": {request: func(*testing.T, *fixture) request {
			return fields{"name": "g" + fresh(), "title": "Made by the table"}.request()
		}},
		"rbac.update_group": aboutGroup(func(_ *testing.T, _ *fixture, group *contract.Group) fields {
			r := fields{"title": "Changed by the table", "name": "g" + fresh()}
			if group != nil {
				r["revision"] = group.Revision
			}
			return r
		}, has("title", "Changed by the table")),
		"rbac.delete_group": aboutGroup(nil, has("bindings", 0.)),
		"rbac.list_group_members": aboutGroup(nil, func(t *testing.T, f *fixture, got map[string]any) {
			require.Equal(t, []any{f.ours.Nobody.ID}, got["user_ids"])
		}),
		"rbac.change_group_members": aboutGroup(func(_ *testing.T, f *fixture, _ *contract.Group) fields {
			return fields{"add": []string{f.ours.Reader.ID, f.ours.Admin.ID}, "remove": []string{f.ours.Nobody.ID}}
		}, has("members", 2.)),
	}
}

func bindingSamples() map[string]sample {
	return map[string]sample{
		"rbac.get_binding": aboutBinding(nil, has("effect", "allow")),
		"rbac.list_bindings": {request: func(t *testing.T, f *fixture) request {
			return fields{"user_id": f.ours.Nobody.ID, "role_id": newBinding(t, f, f.ours).RoleID}.request()
		}, want: one},
		"rbac.create_binding": {
			request: func(t *testing.T, f *fixture) request {
				return fields{"user_id": f.ours.Nobody.ID, "role": newRole(t, f, f.ours).Name, "expires_at": "2100-01-01T00:00:00Z"}.request()
			},
			want: has("expires_at", "2100-01-01T00:00:00Z"), varies: "created_by",
		},
		"rbac.update_binding": aboutBinding(func(_ *testing.T, _ *fixture, b *contract.Binding) fields {
			r := fields{"expires_at": time.Now().Add(time.Hour).UTC().Format(time.RFC3339)}
			if b != nil {
				r["revision"] = b.Revision
			}
			return r
		}, nil),
		"rbac.delete_binding": aboutBinding(nil, nil),
		"rbac.change_bindings": {
			request: func(t *testing.T, f *fixture) request {
				return fields{
					"revoke": []string{newBinding(t, f, f.ours).ID},
					"grant":  []fields{{"user_id": f.ours.Nobody.ID, "role_id": newRole(t, f, f.ours).ID, "effect": "deny"}},
				}.request()
			},
			want: func(t *testing.T, _ *fixture, got map[string]any) {
				require.EqualValues(t, 1, got["revoked"])
				require.Len(t, got["granted"], 1)
			},
			varies: "created_by",
		},
	}
}

func catalogueSamples() map[string]sample {
	return map[string]sample{
		"rbac.list_permissions": {request: func(t *testing.T, f *fixture) request {
			f.declare(t)
			return fields{"module": f.ours.Module}.request()
		}, want: func(t *testing.T, f *fixture, got map[string]any) { require.Len(t, got["items"], len(f.declared())) }},
		"rbac.grouped_permissions": {request: nothing, want: func(t *testing.T, _ *fixture, got map[string]any) {
			modules, _ := got["modules"].([]any)
			require.NotEmpty(t, modules)
			first, _ := modules[0].(map[string]any)
			require.Equal(t, []any{"platform", true}, []any{first["module"], first["effective"]})
		}},
		"rbac.declare_permissions": {
			request: func(*testing.T, *fixture) request {
				module := "m" + fresh()
				return fields{"module_name": module, "permissions": []fields{
					{"code": module + ":accounts:read", "category": "Accounts", "title": "Read accounts", "risk": "low"},
				}}.request()
			},
			want: func(t *testing.T, _ *fixture, got map[string]any) { require.Len(t, got["added"], 1) },
		},
	}
}

// declared are the permissions of ours' module.
func (f *fixture) declared() []contract.DeclaredPermission {
	return []contract.DeclaredPermission{{Code: f.ours.Module + ":accounts:read"}, {Code: f.ours.Module + ":accounts:write", Risk: "high"}}
}

// declare has ours' module declare its permissions.
func (f *fixture) declare(t *testing.T) {
	t.Helper()
	stack.Do(t, f.s, contract.DeclarePermissions, &contract.DeclarePermissionsRequest{ModuleName: f.ours.Module, Permissions: f.declared()})
}
