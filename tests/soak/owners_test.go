package soak

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/decision/naive"
	"github.com/buildify/core/tests/stack"
)

// compareOwners holds the sum of all steps of a tenant against what those who
// own its parts say in the end: a step that was never told would be missed by
// the naive evaluator too.
func (s *soak) compareOwners(t *testing.T, w *tenant) {
	t.Helper()
	why := ""
	if !assertSoon(func() bool {
		why = s.unlikeOwners(t, w)
		return why == ""
	}) {
		s.report.fail("tenant %s: what its services say now is not the sum of its policy's steps: %s", w.id, why)
	}
}

func assertSoon(holds func() bool) bool {
	for end := time.Now().Add(resume); time.Now().Before(end); <-time.After(50 * time.Millisecond) {
		if holds() {
			return true
		}
	}
	return false
}

// unlikeOwners is one of many questions to which the two answer differently, or
// empty.
func (s *soak) unlikeOwners(t *testing.T, w *tenant) string {
	t.Helper()
	told, revision := s.history.model(w.id)
	owned, now, draw := s.owned(t, w), time.Now().Unix(), s.rand()
	for n := range 4000 {
		q := w.question(draw, one(draw, modules))
		if n%10 == 0 && len(w.gone) > 0 {
			q.User = one(draw, w.gone)
		}
		if told.Check(q, now) != owned.Check(q, now) {
			return fmt.Sprintf("at revision %d %+v is %t", revision, q, told.Check(q, now))
		}
	}
	return ""
}

// owned is the tenant's policy as its services tell it, without any revisions.
func (s *soak) owned(t *testing.T, w *tenant) *naive.Model {
	t.Helper()
	m, id := naive.New(), contract.ID(w.id)
	for r := (&contract.SnapshotRequest{}); ; {
		page := stack.Do(t, s.stack, contract.ListTenants, r)
		for _, item := range page.Items {
			if item.Tenant.ID != w.id {
				continue
			}
			m.Active = item.Tenant.IsActive
			for _, a := range item.Activations {
				if a.Enabled {
					m.Modules[a.Module] = true
				}
			}
		}
		if r.Cursor = page.NextCursor; r.Cursor == "" {
			break
		}
	}
	for r := (&contract.SnapshotRequest{}); ; {
		page := stack.Do(t, s.stack, contract.ListUnits, r)
		for _, u := range page.Items {
			if u.TenantID == w.id && !u.Removed {
				m.Units[u.ID] = contract.PolicyUnit{ID: u.ID, ParentID: u.ParentID}
			}
		}
		if r.Cursor = page.NextCursor; r.Cursor == "" {
			break
		}
	}
	for _, r := range stack.Do(t, s.stack, contract.ListRoles, &contract.ListRolesRequest{TenantID: id, Limit: 500}).Items {
		m.Roles[r.ID] = contract.PolicyRole{ID: r.ID, Permissions: r.Permissions}
	}
	for _, g := range stack.Do(t, s.stack, contract.ListGroups, &contract.ListGroupsRequest{TenantID: id, Limit: 500}).Items {
		m.Groups[g.ID] = contract.PolicyGroup{ID: g.ID}
		for _, user := range stack.Do(t, s.stack, contract.ListGroupMembers, &contract.ListGroupMembersRequest{
			TenantID: id, GroupID: contract.ID(g.ID), Limit: 500,
		}).UserIDs {
			m.Members[contract.PolicyMember{GroupID: g.ID, UserID: user}] = true
		}
	}
	bindings := stack.Do(t, s.stack, contract.ListBindings, &contract.ListBindingsRequest{TenantID: id, Limit: 500})
	require.Empty(t, bindings.NextCursor)
	for _, b := range bindings.Items {
		m.Bindings[b.ID] = contract.PolicyBinding{
			ID: b.ID, UserID: b.UserID, GroupID: b.GroupID, RoleID: b.RoleID, Deny: b.Effect == "deny", UnitID: b.UnitID,
			ResourceType: b.ResourceType, ResourceID: b.ResourceID, ExpiresAt: b.ExpiresAt,
		}
	}
	for _, user := range w.gone {
		m.Suspended[user] = true
	}
	for _, u := range stack.Do(t, s.stack, contract.ListUsers, &contract.ListUsersRequest{TenantID: id, Limit: 500}).Items {
		m.Suspended[u.ID] = u.Status == "disabled"
	}
	return m
}
