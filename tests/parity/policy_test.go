package parity

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/tests/stack"
)

// testPolicy tells the stories of roles, bindings and decisions: as a tenant's
// administrator and a module live them, over both transports.
func testPolicy(t *testing.T, s *stack.Stack) {
	t.Parallel()
	for name, story := range map[string]func(*testing.T, *policyWorld){
		"a role in every scope":                 testScopes,
		"a group":                               testGroups,
		"a deny wins":                           testDeny,
		"many at once":                          testBulk,
		"a module disabled":                     testModuleDisabled,
		"a department is moved":                 testMovedDepartment,
		"where people hold something":           testMyUnits,
		"nobody gives by a move":                testNoGiftByMove,
		"who leaves heads nothing":              testHeadLeaves,
		"why":                                   testWhy,
		"who can":                               testWhoCan,
		"a batch is its single checks":          testBatch,
		"expiry at its second":                  testExpiry,
		"supposed is as it then is":             testSimulate,
		"a dry run is what then happens":        testDryRun,
		"a lost update":                         testLostUpdate,
		"nobody grants what they do not hold":   testNoGrantBeyond,
		"no escalation in two steps":            testNoTwoSteps,
		"what holds in a branch is given there": testNoGrantBeyondABranch,
		"the last administrator stays":          testLastAdministrator,
		"a disabled person holds nothing":       testDisabledHoldsNothing,
	} {
		for transport, bus := range map[string]bool{"http": false, "nats": true} {
			t.Run(name+" over "+transport, func(t *testing.T) {
				t.Parallel()
				w := &policyWorld{world: world{fixture: fixture{s: s, ours: s.Company(t)}, bus: bus}}
				w.boss = w.ours.AddUser(t, stack.TenantAdministrator)
				w.admin = w.ours.Token(t, w.boss)
				w.module = w.s.Callers(t, w.ours)[transport]
				story(t, w)
			})
		}
	}
}

// policyWorld is a world with a tenant-administrator, and its module's calls.
type policyWorld struct {
	world
	boss   stack.User
	admin  string // the boss's token
	module stack.Caller
}

// code is a permission of the module.
func (w *policyWorld) code(rest string) string { return w.ours.Module + ":" + rest }

// may asks as the module whether a user holds a permission at a revision.
func (w *policyWorld) may(t *testing.T, user, permission string, atLeast int64, where fields) bool {
	t.Helper()
	r := fields{"user_id": user, "permission": permission, "at_least": atLeast}
	for name, value := range where {
		r[name] = value
	}
	out, refused := w.module.Call(t, contract.CheckPermission.Spec, r.body())
	require.Nil(t, refused)
	var answer contract.CheckResponse
	require.NoError(t, json.Unmarshal(out, &answer))
	require.GreaterOrEqual(t, answer.Revision, atLeast)
	return answer.Allowed
}

// role makes a role as the administrator.
func (w *policyWorld) role(t *testing.T, codes ...string) *contract.Role {
	t.Helper()
	return as(t, &w.world, w.admin, contract.CreateRole, fields{"name": "r" + fresh(), "permissions": codes})
}

// bind binds as the administrator: r names who and what.
func (w *policyWorld) bind(t *testing.T, r fields) *contract.Binding {
	t.Helper()
	return as(t, &w.world, w.admin, contract.CreateBinding, r)
}

// unbind takes it away again and returns the revision.
func (w *policyWorld) unbind(t *testing.T, b *contract.Binding) int64 {
	t.Helper()
	return as(t, &w.world, w.admin, contract.DeleteBinding, fields{"binding_id": b.ID}).Revision
}

// tree is a company with two branches, one with a department.
type tree struct{ company, branch, other, department string }

func (w *policyWorld) tree(t *testing.T) (x tree) {
	t.Helper()
	x.company = w.ours.Unit(t, "company", "")
	x.branch, x.other = w.ours.Unit(t, "branch", x.company), w.ours.Unit(t, "branch", x.company)
	x.department = w.ours.Unit(t, "department", x.branch)
	return x
}

// eventuallyMay waits until a decision is as wanted: what others tell rbac
// travels by event.
func (w *policyWorld) eventuallyMay(t *testing.T, want bool, user, permission string, where fields) {
	t.Helper()
	require.Eventually(t, func() bool { return w.may(t, user, permission, 0, where) == want }, stack.Timeout, 5*time.Millisecond)
}

func testScopes(t *testing.T, w *policyWorld) {
	x, user := w.tree(t), w.ours.Nobody.ID
	cashier := w.role(t, w.code("till:open"))
	require.False(t, w.may(t, user, w.code("till:open"), cashier.Revision, nil))

	inBranch := w.bind(t, fields{"user_id": user, "role_id": cashier.ID, "unit_id": x.branch})
	require.Equal(t, []string{w.boss.ID, cashier.Name, "allow"}, []string{inBranch.CreatedBy, inBranch.Role, inBranch.Effect})
	w.eventuallyMay(t, true, user, w.code("till:open"), fields{"department_id": x.department})
	for _, c := range []struct {
		name  string
		where fields
		want  bool
	}{
		{"nowhere in particular", nil, false},
		{"in the branch", fields{"branch_id": x.branch}, true},
		{"in its department", fields{"department_id": x.department}, true},
		{"the lowest unit counts", fields{"company_id": x.company, "branch_id": x.branch, "department_id": x.department}, true},
		{"in its company", fields{"company_id": x.company}, false},
		{"in the other branch", fields{"branch_id": x.other}, false},
		{"in a unit that nobody knows", fields{"branch_id": w.boss.ID}, false},
		{"about a resource in the branch", fields{"branch_id": x.branch, "resource_type": "till", "resource_id": "7"}, true},
	} {
		require.Equal(t, c.want, w.may(t, user, w.code("till:open"), inBranch.Revision, c.where), c.name)
	}
	gone := w.unbind(t, inBranch)
	require.False(t, w.may(t, user, w.code("till:open"), gone, fields{"branch_id": x.branch}))

	onTill := w.bind(t, fields{"user_id": user, "role": cashier.Name, "resource_type": "till", "resource_id": "7"})
	for _, c := range []struct {
		name  string
		where fields
		want  bool
	}{
		{"this one", fields{"resource_type": "till", "resource_id": "7"}, true},
		{"this one, by a number", fields{"resource_type": "till", "resource_id": 7}, true},
		{"another one", fields{"resource_type": "till", "resource_id": "8"}, false},
		{"the same id of another type", fields{"resource_type": "safe", "resource_id": "7"}, false},
		{"without a type", fields{"resource_id": "7"}, false},
		{"none", nil, false},
	} {
		require.Equal(t, c.want, w.may(t, user, w.code("till:open"), onTill.Revision, c.where), c.name)
	}
	inTenant := w.bind(t, fields{"user_id": user, "role_id": cashier.ID})
	require.True(t, w.may(t, user, w.code("till:open"), inTenant.Revision, nil))
	require.True(t, w.may(t, user, w.code("till:open"), inTenant.Revision, fields{"branch_id": x.other}))
	w.refused(t, contract.AlreadyExists, w.admin, contract.CreateBinding.Spec, fields{"user_id": user, "role_id": cashier.ID})

	// What the role grants changes for all who are bound.
	changed := as(t, &w.world, w.admin, contract.UpdateRole, fields{"role_id": cashier.ID, "permissions": []string{w.code("till:*")}})
	require.True(t, w.may(t, user, w.code("till:close"), changed.Revision, nil))
	require.False(t, w.may(t, user, w.code("till:close:all"), changed.Revision, nil))
	deleted := as(t, &w.world, w.admin, contract.DeleteRole, fields{"role_id": cashier.ID})
	require.Equal(t, []int{2, 1}, []int{deleted.Bindings, deleted.Users})
	require.False(t, w.may(t, user, w.code("till:open"), deleted.Revision, nil))
	w.refused(t, contract.NotFound, w.admin, contract.GetBinding.Spec, fields{"binding_id": inTenant.ID})
}

func testGroups(t *testing.T, w *policyWorld) {
	user, code := w.ours.Nobody.ID, w.code("till:open")
	tellers := as(t, &w.world, w.admin, contract.CreateGroup, fields{"name": "g" + fresh()})
	bound := w.bind(t, fields{"group_id": tellers.ID, "role_id": w.role(t, code).ID})
	require.False(t, w.may(t, user, code, bound.Revision, nil))
	in := as(t, &w.world, w.admin, contract.ChangeGroupMembers, fields{"group_id": tellers.ID, "add": []string{user, w.ours.Reader.ID}})
	require.Equal(t, 2, in.Members)
	require.Equal(t, []string{bound.RoleID}, in.Roles)
	require.True(t, w.may(t, user, code, in.Revision, nil))
	again := as(t, &w.world, w.admin, contract.ChangeGroupMembers, fields{"group_id": tellers.ID, "add": []string{user}})
	require.Equal(t, in.Revision, again.Revision, "nothing has changed")
	out := as(t, &w.world, w.admin, contract.ChangeGroupMembers, fields{"group_id": tellers.ID, "remove": []string{user}})
	require.False(t, w.may(t, user, code, out.Revision, nil))
	require.True(t, w.may(t, w.ours.Reader.ID, code, out.Revision, nil))
	gone := as(t, &w.world, w.admin, contract.DeleteGroup, fields{"group_id": tellers.ID})
	require.Equal(t, []int{1, 1}, []int{gone.Bindings, gone.Users})
	require.Equal(t, []contract.Loss{{UserID: w.ours.Reader.ID, Permissions: []string{code}}}, gone.Losses)
	require.False(t, w.may(t, w.ours.Reader.ID, code, gone.Revision, nil))

	// All or nothing, and nobody from elsewhere.
	other := w.s.Company(t)
	club := as(t, &w.world, w.admin, contract.CreateGroup, fields{"name": "g" + fresh()})
	w.refused(t, contract.NotFound, w.admin, contract.ChangeGroupMembers.Spec, fields{"group_id": club.ID, "add": []string{user, other.Nobody.ID}})
	require.Zero(t, as(t, &w.world, w.admin, contract.GetGroup, fields{"group_id": club.ID}).Members)
}

func testDeny(t *testing.T, w *policyWorld) {
	x, user := w.tree(t), w.ours.Nobody.ID
	all, closing := w.role(t, w.code("till:**")), w.role(t, w.code("till:close"))
	w.bind(t, fields{"user_id": user, "role_id": all.ID})
	deny := w.bind(t, fields{"user_id": user, "role_id": closing.ID, "effect": "deny", "unit_id": x.branch})
	w.eventuallyMay(t, false, user, w.code("till:close"), fields{"department_id": x.department})
	for _, c := range []struct {
		code  string
		where fields
		want  bool
	}{
		{"till:close", nil, true},
		{"till:close", fields{"branch_id": x.other}, true},
		{"till:close", fields{"branch_id": x.branch}, false},
		{"till:open", fields{"branch_id": x.branch}, true},
	} {
		require.Equal(t, c.want, w.may(t, user, w.code(c.code), deny.Revision, c.where), "%v", c)
	}
	gone := w.unbind(t, deny)
	require.True(t, w.may(t, user, w.code("till:close"), gone, fields{"branch_id": x.branch}))

	// A group's deny takes away what the person's own binding gives.
	group := w.ours.Group(t, "g"+fresh(), user)
	deny = w.bind(t, fields{"group_id": group.ID, "role_id": closing.ID, "effect": "deny"})
	require.False(t, w.may(t, user, w.code("till:close"), deny.Revision, nil))
	require.True(t, w.may(t, user, w.code("till:open"), deny.Revision, nil))
}

func testBulk(t *testing.T, w *policyWorld) {
	x, user := w.tree(t), w.ours.Nobody.ID
	opening, closing := w.role(t, w.code("till:open")), w.role(t, w.code("till:close"))
	first := w.bind(t, fields{"user_id": user, "role_id": opening.ID})
	done := as(t, &w.world, w.admin, contract.ChangeBindings, fields{
		"revoke": []string{first.ID},
		"grant": []fields{
			{"user_id": user, "role_id": closing.ID},
			{"user_id": w.ours.Reader.ID, "role": opening.Name, "unit_id": x.branch},
		},
	})
	require.Equal(t, 1, done.Revoked)
	require.Len(t, done.Granted, 2)
	for i, want := range []string{closing.ID, opening.ID} {
		require.Equal(t, want, done.Granted[i].RoleID)
		require.Equal(t, done.Revision, done.Granted[i].Revision)
	}
	require.False(t, w.may(t, user, w.code("till:open"), done.Revision, nil))
	require.True(t, w.may(t, user, w.code("till:close"), done.Revision, nil))
	require.True(t, w.may(t, w.ours.Reader.ID, w.code("till:open"), done.Revision, fields{"branch_id": x.branch}))

	// All or nothing.
	for name, r := range map[string]fields{
		"an unknown role":   {"grant": []fields{{"user_id": user, "role_id": opening.ID}, {"user_id": user, "role": "r" + fresh()}}},
		"an unknown person": {"grant": []fields{{"user_id": user, "role_id": opening.ID}, {"user_id": w.ours.Tenant.ID, "role_id": opening.ID}}},
		"a binding gone":    {"revoke": []string{done.Granted[0].ID, first.ID}},
	} {
		w.refused(t, contract.NotFound, w.admin, contract.ChangeBindings.Spec, r)
		require.True(t, w.may(t, user, w.code("till:close"), 0, nil), name)
		require.False(t, w.may(t, user, w.code("till:open"), 0, nil), name)
	}
	w.refused(t, contract.AlreadyExists, w.admin, contract.ChangeBindings.Spec, fields{"grant": []fields{{"user_id": user, "role_id": closing.ID}}})
}

func testModuleDisabled(t *testing.T, w *policyWorld) {
	second := "m" + fresh()
	code, user := second+":till:open", w.ours.Nobody.ID
	bound := w.bind(t, fields{"user_id": user, "role_id": w.role(t, code).ID})
	require.False(t, w.may(t, user, code, bound.Revision, nil), "the module is not enabled")
	why := func() *contract.Explanation {
		return as(t, &w.world, w.admin, contract.Explain, fields{"user_id": user, "permission": code})
	}
	require.Equal(t, "module_disabled", why().Reason)
	for _, enabled := range []bool{true, false, true} {
		w.ours.EnableModule(t, second, enabled)
		w.eventuallyMay(t, enabled, user, code, nil)
		require.Equal(t, enabled, why().Allowed)
	}
	require.False(t, w.may(t, w.boss.ID, "nobody-has-this:till:open", 0, nil), "whatever a wildcard covers")
	require.True(t, w.may(t, w.boss.ID, code, 0, nil))
}

func testMovedDepartment(t *testing.T, w *policyWorld) {
	x, user, code := w.tree(t), w.ours.Nobody.ID, w.code("till:open")
	w.bind(t, fields{"user_id": user, "role_id": w.role(t, code).ID, "unit_id": x.branch})
	below := w.ours.Unit(t, "department", x.department)
	for _, unit := range []string{x.department, below} {
		w.eventuallyMay(t, true, user, code, fields{"department_id": unit})
	}
	move := func(parent string) {
		stack.Do(t, w.s, contract.MoveUnit, &contract.MoveUnitRequest{
			TenantID: contract.ID(w.ours.Tenant.ID), UnitID: contract.ID(x.department), ParentID: contract.ID(parent),
		})
	}
	move(x.other)
	for _, unit := range []string{x.department, below} {
		w.eventuallyMay(t, false, user, code, fields{"department_id": unit})
	}
	move(x.branch)
	for _, unit := range []string{x.department, below} {
		w.eventuallyMay(t, true, user, code, fields{"department_id": unit})
	}
	require.False(t, w.may(t, user, code, 0, fields{"branch_id": x.other}))
}

func testWhy(t *testing.T, w *policyWorld) {
	x, user, code := w.tree(t), w.ours.Nobody.ID, w.code("till:open")
	why := func(r fields) *contract.Explanation {
		r["user_id"], r["permission"] = user, code
		return as(t, &w.world, w.admin, contract.Explain, r)
	}
	kinds := func(e *contract.Explanation) (all []string) {
		for _, miss := range e.Misses {
			require.NotEmpty(t, miss.Hint)
			all = append(all, miss.Kind)
		}
		return all
	}
	role := w.role(t, code)
	none := why(fields{"at_least": role.Revision})
	require.Equal(t, []any{false, "not_granted", false}, []any{none.Allowed, none.Reason, none.Declared})
	require.Contains(t, kinds(none), "role")

	group := w.ours.Group(t, "g"+fresh(), user)
	inBranch := w.bind(t, fields{"group_id": group.ID, "role_id": role.ID, "unit_id": x.branch})
	w.eventuallyMay(t, true, user, code, fields{"branch_id": x.branch})
	yes := why(fields{"branch_id": x.branch})
	require.Equal(t, []any{true, "allowed"}, []any{yes.Allowed, yes.Reason})
	require.Equal(t, contract.TraceStep{
		BindingID: inBranch.ID, RoleID: role.ID, Role: role.Name, GroupID: group.ID, Group: group.Name,
		Effect: "allow", Scope: "unit:" + x.branch, Code: code, Outcome: "applies",
	}, *yes.Deciding)
	elsewhere := why(fields{"branch_id": x.other})
	require.Equal(t, "not_granted", elsewhere.Reason)
	require.Contains(t, kinds(elsewhere), "scope")
	require.Equal(t, "other_scope", elsewhere.Trace[0].Outcome)

	deny := w.bind(t, fields{"user_id": user, "role_id": role.ID, "effect": "deny"})
	no := why(fields{"branch_id": x.branch, "at_least": deny.Revision})
	require.Equal(t, []any{false, "denied"}, []any{no.Allowed, no.Reason})
	require.Equal(t, deny.ID, no.Deciding.BindingID)
	require.Equal(t, deny.ID, no.Trace[0].BindingID, "denies first")
	require.Contains(t, kinds(no), "deny")

	stack.Do(t, w.s, contract.DeclarePermissions, &contract.DeclarePermissionsRequest{
		ModuleName: w.ours.Module, Permissions: []contract.DeclaredPermission{{Code: code}},
	})
	require.True(t, why(fields{}).Declared)
	effective := as(t, &w.world, w.admin, contract.EffectivePermissions, fields{"user_id": user})
	require.Len(t, effective.Items, 1)
	require.Equal(t, code, effective.Items[0].Permission)
	require.Len(t, effective.Items[0].Sources, 2)
}

func testWhoCan(t *testing.T, w *policyWorld) {
	code := w.code("till:open")
	role := w.role(t, code)
	want := []string{w.boss.ID, w.ours.Admin.ID} // by their wildcards
	grant := []fields{}
	for range 5 {
		user := w.invite(t, w.ours).ID
		grant = append(grant, fields{"user_id": user, "role_id": role.ID})
		want = append(want, user)
	}
	grant = append(grant, fields{"user_id": w.ours.Reader.ID, "role_id": role.ID, "resource_type": "till", "resource_id": "7"})
	done := as(t, &w.world, w.admin, contract.ChangeBindings, fields{"grant": grant})
	for name, ask := range map[string]func(fields) (json.RawMessage, *contract.Error){
		"the administrator": func(r fields) (json.RawMessage, *contract.Error) {
			return w.by(w.admin).Call(t, contract.WhoCan.Spec, r.body())
		},
		"the module": func(r fields) (json.RawMessage, *contract.Error) {
			r["tenant_id"] = w.ours.Tenant.ID
			return w.module.Call(t, contract.WhoCan.Spec, r.body())
		},
	} {
		list := func(more fields) (all []string) {
			for cursor := ""; ; {
				r := fields{"permission": code, "limit": 2, "at_least": done.Revision}
				for name, value := range more {
					r[name] = value
				}
				if cursor != "" {
					r["cursor"] = cursor
				}
				out, refused := ask(r)
				require.Nil(t, refused, name)
				var page contract.WhoCanResponse
				require.NoError(t, json.Unmarshal(out, &page))
				require.LessOrEqual(t, len(page.UserIDs), 2)
				all = append(all, page.UserIDs...)
				if cursor = page.NextCursor; cursor == "" {
					return all
				}
			}
		}
		require.ElementsMatch(t, want, list(nil), name)
		require.ElementsMatch(t, append([]string{w.ours.Reader.ID}, want...), list(fields{"resource_type": "till", "resource_id": "7"}), name)
		_, refused := ask(fields{"permission": code, "cursor": "\u0001"})
		requireCode(t, contract.InvalidArgument, "cursor", refused)
	}
	_, refused := w.module.Call(t, contract.WhoCan.Spec, fields{"tenant_id": w.ours.Tenant.ID, "permission": "users:read:tenant"}.body())
	require.NotNil(t, refused, "what is not its own")
	require.Contains(t, []contract.Code{contract.PermissionDenied, contract.NotFound, contract.InvalidArgument}, refused.Code)
}

func testBatch(t *testing.T, w *policyWorld) {
	x := w.tree(t)
	role := w.role(t, w.code("till:open"))
	bound := w.bind(t, fields{"user_id": w.ours.Nobody.ID, "role_id": role.ID, "unit_id": x.branch})
	w.eventuallyMay(t, true, w.ours.Nobody.ID, w.code("till:open"), fields{"department_id": x.department})
	type single struct{ user, permission, unit, kind, resource string }
	var all []single
	for _, user := range []string{w.boss.ID, w.ours.Admin.ID, w.ours.Reader.ID, w.ours.Nobody.ID} {
		for _, permission := range []string{w.code("till:open"), w.code("accounts:read"), "users:read:tenant", "unheard-of:x:y"} {
			for _, unit := range []string{"", x.company, x.branch, x.department} {
				all = append(all, single{user, permission, unit, "", ""}, single{user, permission, unit, "till", "7"})
			}
		}
	}
	checks, want := []fields{}, []bool{}
	for _, s := range all {
		where := fields{}
		check := fields{"user_id": s.user, "permission": s.permission}
		if s.unit != "" {
			where["department_id"], check["unit_id"] = s.unit, s.unit
		}
		if s.kind != "" {
			where["resource_type"], where["resource_id"] = s.kind, s.resource
			check["resource_type"], check["resource_id"] = s.kind, s.resource
		}
		checks = append(checks, check)
		want = append(want, w.may(t, s.user, s.permission, bound.Revision, where))
	}
	require.Contains(t, want, true)
	require.Contains(t, want, false)
	out, refused := w.module.Call(t, contract.CheckPermissions.Spec, fields{"checks": checks, "at_least": bound.Revision}.body())
	require.Nil(t, refused)
	var batch contract.CheckBatchResponse
	require.NoError(t, json.Unmarshal(out, &batch))
	require.Equal(t, want, batch.Allowed)
	require.GreaterOrEqual(t, batch.Revision, bound.Revision)

	// A stranger among them is nobody, and a batch is bounded.
	other := w.s.Company(t)
	out, refused = w.module.Call(t, contract.CheckPermissions.Spec, fields{
		"tenant_id": w.ours.Tenant.ID, "permission": w.code("accounts:read"),
		"checks": []fields{{"user_id": other.Admin.ID}, {"user_id": w.ours.Reader.ID}},
	}.body())
	require.Nil(t, refused)
	batch = contract.CheckBatchResponse{}
	require.NoError(t, json.Unmarshal(out, &batch))
	require.Equal(t, []bool{false, true}, batch.Allowed)
	many := make([]fields, 1001)
	for i := range many {
		many[i] = fields{"user_id": w.ours.Reader.ID}
	}
	_, refused = w.module.Call(t, contract.CheckPermissions.Spec, fields{"permission": w.code("accounts:read"), "checks": many}.body())
	requireCode(t, contract.InvalidArgument, "checks", refused)
	out, refused = w.module.Call(t, contract.CheckPermissions.Spec, fields{"permission": w.code("accounts:read"), "checks": many[1:]}.body())
	require.Nil(t, refused)
	require.NoError(t, json.Unmarshal(out, &batch))
	require.Len(t, batch.Allowed, 1000)
}

// The machine has one clock, so each answer can be held to when it was asked
// for and when it came.
func testExpiry(t *testing.T, w *policyWorld) {
	user, code := w.ours.Nobody.ID, w.code("till:open")
	end := time.Now().Truncate(time.Second).Add(3 * time.Second)
	bound := w.bind(t, fields{"user_id": user, "role_id": w.role(t, code).ID, "expires_at": end.UTC()})
	require.WithinDuration(t, end, *bound.ExpiresAt, 0)
	require.True(t, w.may(t, user, code, bound.Revision, nil))
	require.Eventually(t, func() bool {
		before := time.Now()
		allowed := w.may(t, user, code, bound.Revision, nil)
		if allowed {
			require.True(t, before.Before(end), "allowed %v after its end", before.Sub(end))
			return false
		}
		require.False(t, time.Now().Before(end), "refused before its end")
		return true
	}, stack.Timeout, time.Millisecond)
	kept := as(t, &w.world, w.admin, contract.GetBinding, fields{"binding_id": bound.ID})
	require.True(t, kept.Expired)
	require.Equal(t, bound.Revision, kept.Revision, "without a write")
	why := as(t, &w.world, w.admin, contract.Explain, fields{"user_id": user, "permission": code})
	require.Equal(t, "expired", why.Trace[0].Outcome)
	longer := as(t, &w.world, w.admin, contract.UpdateBinding, fields{"binding_id": bound.ID})
	require.Nil(t, longer.ExpiresAt)
	require.True(t, w.may(t, user, code, longer.Revision, nil))
}

func testSimulate(t *testing.T, w *policyWorld) {
	user, code := w.ours.Nobody.ID, w.code("till:open")
	role, group := w.role(t, code), w.ours.Group(t, "g"+fresh())
	w.ours.BindGroup(t, group.ID, role.Name)
	ask := func(supposed fields) *contract.SimulateResponse {
		r := fields{"user_id": user, "permission": code}
		for name, value := range supposed {
			r[name] = value
		}
		return as(t, &w.world, w.admin, contract.Simulate, r)
	}
	require.False(t, ask(nil).After.Allowed)
	for name, supposed := range map[string]fields{
		"a grant": {"grant": []fields{{"user_id": user, "role_id": role.ID}}}, "a group": {"join_groups": []string{group.ID}},
	} {
		answer := ask(supposed)
		require.Equal(t, []bool{false, true}, []bool{answer.Before.Allowed, answer.After.Allowed}, name)
	}
	bound := w.bind(t, fields{"user_id": user, "role_id": role.ID})
	require.True(t, w.may(t, user, code, bound.Revision, nil), "as was supposed")
	for name, supposed := range map[string]fields{
		"a revocation": {"revoke": []string{bound.ID}},
		"a deny":       {"grant": []fields{{"user_id": user, "role_id": role.ID, "effect": "deny"}}},
		"another role": {"roles": []fields{{"role_id": role.ID, "permissions": []string{w.code("till:close")}}}},
		"no module":    {"modules": []fields{{"name": w.ours.Module, "enabled": false}}},
	} {
		supposed["at_least"] = bound.Revision
		answer := ask(supposed)
		require.Equal(t, []bool{true, false}, []bool{answer.Before.Allowed, answer.After.Allowed}, name)
	}
	require.True(t, w.may(t, user, code, 0, nil), "nothing was done")
}

func testDryRun(t *testing.T, w *policyWorld) {
	code := w.code("till:open")
	role, wide := w.role(t, code), w.role(t, w.code("till:**"))
	group := w.ours.Group(t, "g"+fresh(), w.ours.Reader.ID, w.ours.Nobody.ID)
	w.bind(t, fields{"group_id": group.ID, "role_id": role.ID})
	w.bind(t, fields{"user_id": w.ours.Reader.ID, "role_id": wide.ID}) // loses nothing
	bound := w.bind(t, fields{"user_id": w.ours.Nobody.ID, "role_id": role.ID})
	losing := func(spec *contract.Spec, r fields) *contract.Removal {
		out, refused := w.by(w.admin).Call(t, spec, r.body())
		require.Nil(t, refused)
		gone := &contract.Removal{}
		require.NoError(t, json.Unmarshal(out, gone))
		return gone
	}
	about := fields{"group_id": group.ID}
	dry := losing(contract.DeleteGroup.Spec, fields{"group_id": group.ID, "dry_run": true})
	require.Equal(t, []any{true, 1, 0}, []any{dry.DryRun, dry.Bindings, dry.Users}, "both have it elsewhere")
	require.Equal(t, bound.Revision, dry.Revision)
	require.True(t, w.may(t, w.ours.Nobody.ID, code, 0, nil))
	as(t, &w.world, w.admin, contract.GetGroup, about)

	dry = losing(contract.DeleteRole.Spec, fields{"role_id": role.ID, "dry_run": true})
	require.Equal(t, []contract.Loss{{UserID: w.ours.Nobody.ID, Permissions: []string{code}}}, dry.Losses)
	require.Equal(t, []int{2, 1}, []int{dry.Bindings, dry.Users})
	require.True(t, w.may(t, w.ours.Nobody.ID, code, 0, nil))
	gone := losing(contract.DeleteRole.Spec, fields{"role_id": role.ID})
	require.Equal(t, dry.Revision+1, gone.Revision)
	require.False(t, gone.DryRun)
	gone.DryRun, gone.Revision = dry.DryRun, dry.Revision
	require.Equal(t, dry, gone)
	require.False(t, w.may(t, w.ours.Nobody.ID, code, gone.Revision, nil))
	require.True(t, w.may(t, w.ours.Reader.ID, code, gone.Revision, nil))
}

func testDisabledHoldsNothing(t *testing.T, w *policyWorld) {
	user, code := w.ours.AddUser(t), w.code("till:open")
	bound := w.bind(t, fields{"user_id": user.ID, "role_id": w.role(t, code).ID})
	require.True(t, w.may(t, user.ID, code, bound.Revision, nil))
	as(t, &w.world, w.admin, contract.DisableUser, fields{"user_id": user.ID})
	why := func() *contract.Explanation {
		return as(t, &w.world, w.admin, contract.Explain, fields{"user_id": user.ID, "permission": code})
	}
	require.Eventually(t, func() bool { return !why().Allowed }, stack.Timeout, 5*time.Millisecond)
	require.Equal(t, "user_suspended", why().Reason)
	as(t, &w.world, w.admin, contract.EnableUser, fields{"user_id": user.ID})
	require.Eventually(t, func() bool { return why().Allowed }, stack.Timeout, 5*time.Millisecond)
}
