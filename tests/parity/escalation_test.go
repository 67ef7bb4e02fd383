package parity

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/tests/stack"
)

// lead is somebody who may administer all, and holds little else.
type lead struct {
	stack.User
	token   string
	role    *contract.Role
	binding *contract.Binding
}

// newLead gives somebody the administration of roles, groups and bindings and
// the codes, with a binding that ends as said.
func (w *policyWorld) newLead(t *testing.T, bind fields, codes ...string) *lead {
	t.Helper()
	l := &lead{User: w.ours.AddUser(t)}
	administration := w.role(t, "roles:*:tenant", "groups:*:tenant", "bindings:*:tenant")
	w.bind(t, fields{"user_id": l.ID, "role_id": administration.ID})
	l.role = w.role(t, codes...)
	r := fields{"user_id": l.ID, "role_id": l.role.ID}
	for name, value := range bind {
		r[name] = value
	}
	l.binding = w.bind(t, r)
	l.token = w.ours.Token(t, l.User)
	w.awaitAdministration(t, l)
	return l
}

func (w *policyWorld) awaitAdministration(t *testing.T, l *lead) {
	t.Helper()
	require.Eventually(t, func() bool {
		_, refused := w.by(l.token).Call(t, contract.ListRoles.Spec, "{}")
		return refused == nil
	}, stack.Timeout, 5*time.Millisecond)
}

// denied holds that a lead may not.
func (w *policyWorld) denied(t *testing.T, l *lead, what string, spec *contract.Spec, r fields) {
	t.Helper()
	_, refused := w.by(l.token).Call(t, spec, r.body())
	require.NotNil(t, refused, what)
	require.Equal(t, contract.PermissionDenied, refused.Code, "%s: %s", what, refused.Error())
}

func testNoGrantBeyond(t *testing.T, w *policyWorld) {
	read, write := w.code("accounts:read"), w.code("accounts:write")
	l := w.newLead(t, nil, read)
	strong := w.role(t, read, write)
	system := w.ours.Role(t, stack.TenantAdministrator)
	user, group := w.ours.Nobody.ID, w.ours.Group(t, "g"+fresh())
	w.bind(t, fields{"group_id": group.ID, "role_id": strong.ID})
	for _, codes := range [][]string{{write}, {read, write}, {w.code("*:read")}, {w.code("**")}, {"*:**"}, {"*:*:read"}, {"users:read:tenant"}} {
		w.denied(t, l, "a role with "+strings.Join(codes, ", "), contract.CreateRole.Spec, fields{"name": "r" + fresh(), "permissions": codes})
	}
	for name, r := range map[string]fields{
		"a binding":            {"user_id": user, "role_id": strong.ID},
		"a binding of oneself": {"user_id": l.ID, "role_id": strong.ID},
		"a system role":        {"user_id": l.ID, "role": stack.TenantAdministrator},
		"in a scope":           {"user_id": user, "role_id": strong.ID, "resource_type": "till", "resource_id": "7"},
		"for a second":         {"user_id": user, "role_id": strong.ID, "expires_at": time.Now().Add(time.Minute).UTC().Format(time.RFC3339)},
		"for a group":          {"group_id": w.ours.Group(t, "g"+fresh(), l.ID).ID, "role_id": strong.ID},
	} {
		w.denied(t, l, name, contract.CreateBinding.Spec, r)
	}
	w.denied(t, l, "a platform role", contract.CreateRole.Spec, fields{"name": "r" + fresh(), "platform": true, "permissions": []string{read}})
	w.denied(t, l, "a clone", contract.CloneRole.Spec, fields{"role_id": strong.ID, "name": "r" + fresh()})
	w.denied(t, l, "a clone of the administrator", contract.CloneRole.Spec, fields{"role_id": system.ID, "name": "r" + fresh()})
	w.denied(t, l, "the membership", contract.ChangeGroupMembers.Spec, fields{"group_id": group.ID, "add": []string{l.ID}})
	w.denied(t, l, "another's membership", contract.ChangeGroupMembers.Spec, fields{"group_id": group.ID, "add": []string{user}})
	w.denied(t, l, "one among many", contract.ChangeBindings.Spec, fields{"grant": []fields{
		{"user_id": user, "role_id": l.role.ID}, {"user_id": user, "role_id": strong.ID},
	}})
	require.False(t, w.may(t, user, read, 0, nil), "all or nothing")

	// What one holds, one may give.
	made := as(t, &w.world, l.token, contract.CreateRole, fields{"name": "r" + fresh(), "permissions": []string{read, "roles:read:tenant"}})
	bound := as(t, &w.world, l.token, contract.CreateBinding, fields{"user_id": user, "role_id": made.ID})
	require.Equal(t, l.ID, bound.CreatedBy)
	require.True(t, w.may(t, user, read, bound.Revision, nil))
	gone := as(t, &w.world, l.token, contract.DeleteBinding, fields{"binding_id": bound.ID})
	require.False(t, w.may(t, user, read, gone.Revision, nil))
	as(t, &w.world, l.token, contract.CloneRole, fields{"role_id": made.ID, "name": "r" + fresh()})

	// Nobody changes what comes with the product, nor the platform's.
	for _, spec := range []*contract.Spec{contract.UpdateRole.Spec, contract.DeleteRole.Spec} {
		for _, token := range []string{l.token, w.admin} {
			_, refused := w.by(token).Call(t, spec, fields{"role_id": system.ID}.body())
			require.NotNil(t, refused, spec.Name)
		}
	}
}

// Each first step is allowed, or was done by others; the second is not.
func testNoTwoSteps(t *testing.T, w *policyWorld) {
	read, write, drop := w.code("accounts:read"), w.code("accounts:write"), w.code("accounts:delete")
	l := w.newLead(t, nil, read)
	w.denied(t, l, "widening a role that one is bound to", contract.UpdateRole.Spec, fields{"role_id": l.role.ID, "permissions": []string{read, write}})
	own := as(t, &w.world, l.token, contract.CreateRole, fields{"name": "r" + fresh(), "permissions": []string{read}})
	as(t, &w.world, l.token, contract.CreateBinding, fields{"user_id": l.ID, "role_id": own.ID})
	for _, code := range []string{write, w.code("*:read"), "*:**"} {
		w.denied(t, l, "widening one's own role by "+code, contract.UpdateRole.Spec, fields{"role_id": own.ID, "permissions": []string{read, code}})
	}
	group := as(t, &w.world, l.token, contract.CreateGroup, fields{"name": "g" + fresh()})
	as(t, &w.world, l.token, contract.ChangeGroupMembers, fields{"group_id": group.ID, "add": []string{l.ID}})
	w.denied(t, l, "binding one's own group", contract.CreateBinding.Spec, fields{"group_id": group.ID, "role": stack.TenantAdministrator})
	require.False(t, w.may(t, l.ID, write, 0, nil))

	// What is held for a while is not held for longer.
	soon := time.Now().Add(time.Hour).Truncate(time.Second).UTC()
	guest := w.newLead(t, fields{"expires_at": soon.Format(time.RFC3339)}, write)
	for name, end := range map[string]any{"for good": nil, "for longer": soon.Add(time.Hour).Format(time.RFC3339)} {
		r := fields{"binding_id": guest.binding.ID}
		if end != nil {
			r["expires_at"] = end
		}
		w.denied(t, guest, "extending one's own binding "+name, contract.UpdateBinding.Spec, r)
		r = fields{"user_id": guest.ID, "role_id": w.role(t, write).ID}
		if end != nil {
			r["expires_at"] = end
		}
		w.denied(t, guest, "a second binding "+name, contract.CreateBinding.Spec, r)
	}

	// What a deny takes away does not come back by one's own hand.
	bad := w.newLead(t, nil, w.code("accounts:**"))
	noDrop := w.role(t, drop)
	deny := w.bind(t, fields{"user_id": bad.ID, "role_id": noDrop.ID, "effect": "deny"})
	club := w.ours.Group(t, "g"+fresh(), bad.ID)
	denyOfGroup := w.bind(t, fields{"group_id": club.ID, "role_id": noDrop.ID, "effect": "deny"})
	soonOver := time.Now().Add(time.Minute).UTC().Format(time.RFC3339)
	for _, step := range []struct {
		what string
		spec *contract.Spec
		r    fields
	}{
		{"removing one's own deny", contract.DeleteBinding.Spec, fields{"binding_id": deny.ID}},
		{"removing it among many", contract.ChangeBindings.Spec, fields{"revoke": []string{deny.ID}}},
		{"letting it expire", contract.UpdateBinding.Spec, fields{"binding_id": deny.ID, "expires_at": soonOver}},
		{"emptying its role", contract.UpdateRole.Spec, fields{"role_id": noDrop.ID, "permissions": []string{}}},
		{"changing its role", contract.UpdateRole.Spec, fields{"role_id": noDrop.ID, "permissions": []string{w.code("accounts:read")}}},
		{"deleting its role", contract.DeleteRole.Spec, fields{"role_id": noDrop.ID}},
		{"removing the group's deny", contract.DeleteBinding.Spec, fields{"binding_id": denyOfGroup.ID}},
		{"leaving the group", contract.ChangeGroupMembers.Spec, fields{"group_id": club.ID, "remove": []string{bad.ID}}},
		{"deleting the group", contract.DeleteGroup.Spec, fields{"group_id": club.ID}},
		{"giving oneself more", contract.CreateRole.Spec, fields{"name": "r" + fresh(), "permissions": []string{drop}}},
	} {
		w.denied(t, bad, step.what, step.spec, step.r)
	}
	require.False(t, w.may(t, bad.ID, drop, 0, nil))
	require.True(t, w.may(t, bad.ID, write, 0, nil))
	// Who holds it may.
	require.NotZero(t, w.unbind(t, deny))
	as(t, &w.world, w.admin, contract.ChangeGroupMembers, fields{"group_id": club.ID, "remove": []string{bad.ID}})
}

func testNoGrantBeyondABranch(t *testing.T, w *policyWorld) {
	x, read := w.tree(t), w.code("accounts:read")
	l := w.newLead(t, fields{"unit_id": x.branch}, read)
	w.eventuallyMay(t, true, l.ID, read, fields{"department_id": x.department})
	user := w.ours.Nobody.ID
	for name, r := range map[string]fields{
		"in the tenant":       {},
		"in the company":      {"unit_id": x.company},
		"in the other branch": {"unit_id": x.other},
		"on a resource":       {"resource_type": "till", "resource_id": "7"},
	} {
		r["user_id"], r["role_id"] = user, l.role.ID
		w.denied(t, l, name, contract.CreateBinding.Spec, r)
	}
	for _, unit := range []string{x.branch, x.department} {
		as(t, &w.world, l.token, contract.CreateBinding, fields{"user_id": user, "role_id": l.role.ID, "unit_id": unit})
	}
}

func testLastAdministrator(t *testing.T, w *policyWorld) {
	role := w.ours.Role(t, stack.TenantAdministrator)
	own := as(t, &w.world, w.admin, contract.ListBindings, fields{"user_id": w.boss.ID}).Items
	require.Len(t, own, 1)
	soon := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	conflict := func(what string, spec *contract.Spec, r fields) {
		t.Helper()
		_, refused := w.by(w.admin).Call(t, spec, r.body())
		require.NotNil(t, refused, what)
		require.Equal(t, contract.Conflict, refused.Code, "%s: %s", what, refused.Error())
		require.True(t, w.may(t, w.boss.ID, "users:read:tenant", 0, nil), what)
	}
	deny := w.role(t, "*:**")
	held := func(what string, binding string) {
		t.Helper()
		conflict(what+": unbound", contract.DeleteBinding.Spec, fields{"binding_id": binding})
		conflict(what+": among many", contract.ChangeBindings.Spec, fields{"revoke": []string{binding}})
		conflict(what+": expiring", contract.UpdateBinding.Spec, fields{"binding_id": binding, "expires_at": soon})
		conflict(what+": exchanged for one that expires", contract.ChangeBindings.Spec, fields{
			"revoke": []string{binding}, "grant": []fields{{"user_id": w.boss.ID, "role_id": role.ID, "expires_at": soon}},
		})
		conflict(what+": denied", contract.CreateBinding.Spec, fields{"user_id": w.boss.ID, "role_id": role.ID, "effect": "deny"})
		conflict(what+": denied by another role", contract.CreateBinding.Spec, fields{"user_id": w.boss.ID, "role_id": deny.ID, "effect": "deny"})
	}
	held("one's own binding", own[0].ID)

	// The same by a group.
	group := w.ours.Group(t, "g"+fresh(), w.boss.ID)
	ofGroup := w.bind(t, fields{"group_id": group.ID, "role_id": role.ID})
	w.unbind(t, &own[0])
	held("the group's binding", ofGroup.ID)
	conflict("leaving the group", contract.ChangeGroupMembers.Spec, fields{"group_id": group.ID, "remove": []string{w.boss.ID}})
	conflict("the group's end", contract.DeleteGroup.Spec, fields{"group_id": group.ID})

	// Whoever else is one lets them go; but not a guest, nor one for a branch.
	x, other := w.tree(t), w.ours.AddUser(t)
	guest := w.bind(t, fields{"user_id": other.ID, "role_id": role.ID, "expires_at": soon})
	require.Eventually(t, func() bool {
		_, refused := w.by(w.admin).Call(t, contract.CreateBinding.Spec, fields{"user_id": other.ID, "role_id": role.ID, "unit_id": x.branch}.body())
		return refused == nil
	}, stack.Timeout, 5*time.Millisecond)
	conflict("with a guest", contract.DeleteBinding.Spec, fields{"binding_id": ofGroup.ID})
	token := w.ours.Token(t, other)
	_, refused := w.by(token).Call(t, contract.DisableUser.Spec, fields{"user_id": w.boss.ID}.body())
	require.NotNil(t, refused, "a guest does not disable the last administrator's account")
	require.Equal(t, contract.PermissionDenied, refused.Code, refused.Error())
	as(t, &w.world, w.admin, contract.UpdateBinding, fields{"binding_id": guest.ID})
	gone := as(t, &w.world, w.admin, contract.DeleteGroup, fields{"group_id": group.ID})
	require.False(t, w.may(t, w.boss.ID, "users:read:tenant", gone.Revision, nil))
	require.True(t, w.may(t, other.ID, "users:read:tenant", gone.Revision, nil))
}

func testLostUpdate(t *testing.T, w *policyWorld) {
	role, group := w.role(t, w.code("till:open")), as(t, &w.world, w.admin, contract.CreateGroup, fields{"name": "g" + fresh()})
	bound := w.bind(t, fields{"user_id": w.ours.Nobody.ID, "role_id": role.ID})
	soon := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	for _, c := range []struct {
		update, remove *contract.Spec
		id             fields
		change         fields
		revision       int64
	}{
		{contract.UpdateBinding.Spec, contract.DeleteBinding.Spec, fields{"binding_id": bound.ID}, fields{"expires_at": soon}, bound.Revision},
		{contract.UpdateGroup.Spec, contract.DeleteGroup.Spec, fields{"group_id": group.ID}, fields{"title": "Changed"}, group.Revision},
		{contract.UpdateRole.Spec, contract.DeleteRole.Spec, fields{"role_id": role.ID}, fields{"permissions": []string{w.code("till:close")}}, role.Revision},
	} {
		at := func(revision int64, more fields) fields {
			r := fields{"revision": revision}
			for _, part := range []fields{c.id, more} {
				for name, value := range part {
					r[name] = value
				}
			}
			return r
		}
		_, refused := w.by(w.admin).Call(t, c.update, at(c.revision, c.change).body())
		require.Nil(t, refused, c.update.Name)
		_, refused = w.by(w.admin).Call(t, c.update, at(c.revision, c.change).body())
		requireCode(t, contract.Conflict, "", refused)
		_, refused = w.by(w.admin).Call(t, c.remove, at(c.revision, nil).body())
		requireCode(t, contract.Conflict, "", refused)
	}
	w.refused(t, contract.Conflict, w.admin, contract.ChangeGroupMembers.Spec, fields{"group_id": group.ID, "revision": group.Revision, "add": []string{w.boss.ID}})
	if !w.bus {
		testIfMatch(t, w)
	}
}

// testIfMatch says the same in HTTP's own words.
func testIfMatch(t *testing.T, w *policyWorld) {
	role := w.role(t, w.code("till:open"))
	path := w.s.HTTPURL + "/api/v1/rbac/roles/" + role.ID
	send := func(method, match, body string) *http.Response {
		request, err := http.NewRequestWithContext(stack.Context(t), method, path, strings.NewReader(body))
		require.NoError(t, err)
		request.Header.Set("Authorization", "Bearer "+w.admin)
		if body != "" {
			request.Header.Set("Content-Type", "application/json")
		}
		if match != "" {
			request.Header.Set("If-Match", match)
		}
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		return response
	}
	first := send(http.MethodGet, "", "")
	require.Equal(t, http.StatusOK, first.StatusCode)
	tag := first.Header.Get("ETag")
	require.NotEmpty(t, tag)
	changed := send(http.MethodPatch, tag, `{"title":"Mine"}`)
	require.Equal(t, http.StatusOK, changed.StatusCode)
	require.NotEqual(t, tag, changed.Header.Get("ETag"))
	lost := send(http.MethodPatch, tag, `{"title":"Theirs"}`)
	require.Equal(t, http.StatusConflict, lost.StatusCode)
	lost = send(http.MethodDelete, tag, "")
	require.Equal(t, http.StatusConflict, lost.StatusCode)
	wrong := send(http.MethodPatch, `W/"1"`, `{"title":"Theirs"}`)
	require.Equal(t, http.StatusBadRequest, wrong.StatusCode)
	gone := send(http.MethodDelete, changed.Header.Get("ETag"), "")
	require.Equal(t, http.StatusOK, gone.StatusCode)
}
