package saga

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/tests/stack"
)

var (
	dooms  = &step{service: "tenant", tells: events.TenantErasing}
	erases = []*step{
		{service: "auth", tells: events.TenantErased("auth"), after: dooms},
		{service: "rbac", tells: events.TenantErased("rbac"), after: dooms},
		{service: "audit", tells: events.TenantErased("audit"), after: dooms},
	}
	buries = &step{service: "tenant", tells: events.TenantErased("tenant"), after: erases[1]}
)

// settled is a company with something in every corner.
func settled(t *testing.T, s *stack.Stack, beside *stack.Company) *stack.Company {
	t.Helper()
	c := s.Company(t)
	tenant := contract.ID(c.Tenant.ID)
	stack.Do(t, s, contract.CreateKey, &contract.CreateKeyRequest{Module: c.Module, Environment: "dev", Tenants: []string{c.Tenant.ID}})
	stack.Do(t, s, contract.CreateUser, &contract.CreateUserRequest{TenantID: tenant, Email: want().email}) // invited
	group := stack.Do(t, s, contract.CreateGroup, &contract.CreateGroupRequest{TenantID: tenant, Name: "group"})
	stack.Do(t, s, contract.ChangeGroupMembers, &contract.ChangeGroupMembersRequest{TenantID: tenant, GroupID: contract.ID(group.ID), Add: []string{c.Reader.ID}})
	stack.Do(t, s, contract.CreateUnit, &contract.CreateUnitRequest{TenantID: tenant, Kind: contract.Company, Code: "C1", Name: "Company"})
	stack.Do(t, s, contract.SetPasswordPolicy, &contract.SetPasswordPolicyRequest{TenantID: tenant, MinLength: 14})
	c.Token(t, c.Admin)
	// A person of ours is a guest elsewhere, and somebody from there is ours.
	stack.Do(t, s, contract.AddMembership, &contract.MembershipRequest{UserID: contract.ID(c.Reader.ID), TenantID: contract.ID(beside.Tenant.ID)})
	stack.Do(t, s, contract.AddMembership, &contract.MembershipRequest{UserID: contract.ID(beside.Nobody.ID), TenantID: tenant})
	eventually(t, func() error {
		_, err := kit.Call(stack.Context(t), s.Core, contract.CreateBinding, &contract.CreateBindingRequest{
			TenantID: contract.ID(beside.Tenant.ID), UserID: contract.ID(c.Reader.ID), Role: "reader",
		})
		return err
	})
	return c
}

// isGone holds an erased company to being gone: what is left are marks that it
// is, and what the platform's own trail says.
func isGone(t *testing.T, s *stack.Stack, c, beside *stack.Company) {
	t.Helper()
	marks := map[string]int{"auth.tenants": 1, "rbac.revisions": 1, "audit.heads": 1, "tenant.tenants": 1}
	var left map[string]int
	require.Eventually(t, func() bool {
		left = leftOf(t, s, c.Tenant.ID)
		trail := one[int](t, s, "SELECT count(*) FROM audit.events WHERE tenant_id = '00000000-0000-0000-0000-000000000000' AND resource_id = $1", c.Tenant.ID)
		if left["audit.events"] == trail {
			delete(left, "audit.events")
		}
		return fmt.Sprint(left) == fmt.Sprint(marks)
	}, 3*stack.Timeout, 50*time.Millisecond, "%v", &left)
	for _, person := range []string{c.Admin.ID, c.Reader.ID, c.Nobody.ID} {
		for _, table := range []string{"auth.users WHERE id", "rbac.bindings WHERE user_id", "rbac.members WHERE user_id", "auth.memberships WHERE user_id"} {
			eventually(t, func() error { // guests are forgotten behind it
				if n := one[int](t, s, "SELECT count(*) FROM "+table+" = $1", person); n > 0 {
					return fmt.Errorf("%s: %d", table, n)
				}
				return nil
			})
		}
	}
	eventually(t, func() error {
		n := one[int](t, s, `SELECT count(*) FROM audit.events WHERE tenant_id = '00000000-0000-0000-0000-000000000000'
			AND action = 'tenant.tenant.erased' AND resource_id = $1`, c.Tenant.ID)
		if n != 1 {
			return fmt.Errorf("the platform's trail says %d times that it was erased", n)
		}
		return nil
	})
	// Who was a guest goes on at home.
	beside.Token(t, beside.Nobody)
	detail := stack.Do(t, s, contract.ReadTenant, &contract.TenantRequest{TenantID: contract.ID(c.Tenant.ID)})
	require.Equal(t, []any{contract.TenantErased, "", ""}, []any{detail.State, detail.Code, detail.Name})
	require.Nil(t, detail.Progress)
	eventually(t, func() error {
		_, err := kit.Call(stack.Context(t), s.Core, contract.CreateTenant, &contract.CreateTenantRequest{Code: c.Tenant.Code, Name: "Another of this code"})
		return err
	})
}

func erase(ctx context.Context, s *stack.Stack, c *stack.Company) error {
	now := 0
	_, err := kit.Call(ctx, s.Core, contract.DeleteTenant, &contract.DeleteTenantRequest{TenantID: contract.ID(c.Tenant.ID), GraceDays: &now})
	return err
}

func TestATenantIsErasedWhateverIsKilled(t *testing.T) {
	t.Parallel()
	s := stack.Processes(t)
	beside := s.Company(t)
	for _, at := range append([]*step{dooms, buries}, erases...) {
		for _, c := range crashes {
			if t.Failed() {
				return // what is broken stays so
			}
			if at.after == nil && c.name == "before the step" {
				continue // the next test's
			}
			t.Run(at.service+" tells "+at.tells.Type()+", killed "+c.name, func(t *testing.T) {
				doomed := settled(t, s, beside)
				ctx := stack.Context(t)
				c.run(t, s, at, func() { _ = erase(ctx, s, doomed) }) // whoever asks may hear nothing
				isGone(t, s, doomed, beside)
			})
		}
	}
	t.Run("its time comes while nobody is there", func(t *testing.T) {
		doomed := settled(t, s, beside)
		stack.Do(t, s, contract.DeleteTenant, &contract.DeleteTenantRequest{TenantID: contract.ID(doomed.Tenant.ID)})
		s.Processes["tenant"].Kill()
		conn, err := pgx.Connect(stack.Context(t), s.DatabaseURL)
		require.NoError(t, err)
		defer func() { _ = conn.Close(context.Background()) }()
		_, err = conn.Exec(stack.Context(t), "UPDATE tenant.tenants SET delete_at = clock_timestamp() WHERE id = $1", doomed.Tenant.ID)
		require.NoError(t, err)
		s.Processes["tenant"].Start()
		isGone(t, s, doomed, beside)
	})
}
