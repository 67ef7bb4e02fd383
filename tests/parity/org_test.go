package parity

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/tests/stack"
)

// testMyUnits: where somebody has something to do follows from their bindings,
// for people who may not read the organisation.
func testMyUnits(t *testing.T, w *policyWorld) {
	x, code := w.tree(t), w.code("till:open")
	token := w.ours.Token(t, w.ours.Nobody)
	w.bind(t, fields{"user_id": w.ours.Nobody.ID, "role_id": w.role(t, code).ID, "unit_id": x.branch})
	sees := func(r fields, want ...string) {
		t.Helper()
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			got := []string{}
			for _, unit := range as(t, &w.world, token, contract.MyUnits, r).Items {
				got = append(got, unit.ID)
			}
			assert.ElementsMatch(c, want, got)
		}, stack.Timeout, 5*time.Millisecond)
	}
	for _, r := range []fields{{}, {"permission": code}} {
		sees(r, x.branch, x.department)
	}
	sees(fields{"permission": code, "kind": "branch"}, x.branch)
	sees(fields{"permission": code, "kind": "company"})
	sees(fields{"permission": w.code("till:close")})
	w.refused(t, contract.PermissionDenied, token, contract.GetOrgTree.Spec, fields{})

	w.bind(t, fields{"user_id": w.ours.Nobody.ID, "role_id": w.role(t, code).ID, "unit_id": x.department, "effect": "deny"})
	sees(fields{"permission": code}, x.branch)
	gone := as(t, &w.world, w.admin, contract.DeleteUnit, fields{"unit_id": x.branch, "with_below": true})
	require.Equal(t, 2, gone.Units)
	sees(fields{})
	w.eventuallyMay(t, false, w.ours.Nobody.ID, code, fields{"branch_id": x.branch})
	as(t, &w.world, w.admin, contract.RestoreUnit, fields{"unit_id": x.branch, "with_below": true})
	w.eventuallyMay(t, true, w.ours.Nobody.ID, code, fields{"branch_id": x.branch})
	sees(fields{}, x.branch, x.department)
}

// testNoGiftByMove: a unit that is moved takes what holds above it; nobody gets
// around the rule that they give what they hold.
func testNoGiftByMove(t *testing.T, w *policyWorld) {
	x, code := w.tree(t), w.code("till:open")
	foreign := w.ours.Unit(t, "department", x.other)
	l := w.newLead(t, fields{"unit_id": x.branch}, code)
	w.bind(t, fields{"user_id": l.ID, "role_id": w.role(t, "org:*:tenant").ID})
	require.Eventually(t, func() bool {
		_, refused := w.by(l.token).Call(t, contract.GetOrgTree.Spec, "{}")
		return refused == nil
	}, stack.Timeout, 5*time.Millisecond)
	w.denied(t, l, "the till of another branch", contract.MoveUnit.Spec, fields{"unit_id": foreign, "parent_id": x.branch})
	as(t, &w.world, l.token, contract.MoveUnit, fields{"unit_id": x.department, "parent_id": x.other})
	w.eventuallyMay(t, false, l.ID, code, fields{"department_id": x.department})
	w.denied(t, l, "back, who does not hold it there", contract.MoveUnit.Spec, fields{"unit_id": x.department, "parent_id": x.branch})
	as(t, &w.world, w.admin, contract.MoveUnit, fields{"unit_id": x.department, "parent_id": x.branch})
}

func testHeadLeaves(t *testing.T, w *policyWorld) {
	head := w.ours.AddUser(t)
	unit := as(t, &w.world, w.admin, contract.CreateUnit, fields{"kind": "company", "code": "x", "name": "X", "head_user_id": head.ID})
	require.Equal(t, head.ID, unit.HeadUserID)
	as(t, &w.world, w.admin, contract.DeleteUser, fields{"user_id": head.ID})
	require.Eventually(t, func() bool {
		return as(t, &w.world, w.admin, contract.GetUnit, fields{"unit_id": unit.ID}).Unit.HeadUserID == ""
	}, stack.Timeout, 5*time.Millisecond)
	w.refused(t, contract.Conflict, w.admin, contract.UpdateUnit.Spec, fields{"unit_id": unit.ID, "name": "Y", "revision": unit.Revision})
}
