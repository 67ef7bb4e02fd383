package saga

import (
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/tests/stack"
)

func refuses(t *testing.T, err error, code contract.Code, field string) {
	t.Helper()
	var refused *contract.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, []any{code, field}, []any{refused.Code, refused.Field}, refused.Message)
}

// Who asked is told why, nothing is left, and the code is free.
func TestATenantWhoseAdministratorIsRefusedLeavesNothing(t *testing.T) {
	t.Parallel()
	s := stack.OneProcess(t)
	w := want()
	w.email = s.PlatformAdmin(t).Email
	_, err := kit.Call(stack.Context(t), s.Core, contract.CreateTenant, w.request())
	refuses(t, err, contract.Conflict, "administrator.email")
	var refused contract.Tenant
	eventually(t, func() error {
		page, err := kit.Call(stack.Context(t), s.Core, contract.ListAllTenants, &contract.ListAllTenantsRequest{State: contract.TenantErased})
		if err == nil {
			require.Len(t, page.Items, 1)
			refused = page.Items[0]
		}
		return err
	})
	var detail *contract.TenantDetail
	require.Eventually(t, func() bool {
		detail = stack.Do(t, s, contract.ReadTenant, &contract.TenantRequest{TenantID: contract.ID(refused.ID)})
		return detail.Progress == nil
	}, stack.Timeout, 10*time.Millisecond)
	require.Contains(t, detail.Reason, "platform administrator")
	require.Empty(t, detail.Code)
	left := leftOf(t, s, refused.ID)
	delete(left, "audit.events") // the platform's own
	require.Equal(t, map[string]int{"auth.tenants": 1, "rbac.revisions": 1, "audit.heads": 1, "tenant.tenants": 1}, left)

	w.email = want().email
	made := stack.Do(t, s, contract.CreateTenant, w.request())
	require.Equal(t, contract.TenantActive, made.State, "the answer waits for it")
	w.isWhole(t, s)
}

func TestWhoHasAnAccountMayBeTheFirstAdministrator(t *testing.T) {
	t.Parallel()
	s := stack.OneProcess(t)
	c := s.Company(t)
	w := want()
	w.email = c.Nobody.Email
	made := stack.Do(t, s, contract.CreateTenant, w.request())
	require.True(t, made.IsActive)
	eventually(t, func() error {
		answer, err := kit.Call(stack.Context(t), s.Core, contract.CheckPermission, &contract.CheckRequest{
			UserID: contract.ID(c.Nobody.ID), TenantID: contract.ID(made.ID), Permission: "users:create:tenant",
		})
		if err == nil && !answer.Allowed {
			err = errNotYet
		}
		return err
	})
	require.Empty(t, s.Mails(t), "nobody is invited who has an account")
}

// In its days of grace a tenant is away and whole.
func TestADeletedTenantComesBackAsItWas(t *testing.T) {
	t.Parallel()
	s := stack.OneProcess(t)
	c := s.Company(t)
	before := leftOf(t, s, c.Tenant.ID)
	module := stack.HTTPCaller{URL: s.HTTPURL, APIKey: c.APIKey}
	body := `{"tenant_id":"` + c.Tenant.ID + `"}`
	_, refused := module.Call(t, contract.GetTenant.Spec, body)
	require.Nil(t, refused)
	bearer := stack.HTTPCaller{URL: s.HTTPURL, Bearer: c.Token(t, c.Admin)}

	removal := stack.Do(t, s, contract.DeleteTenant, &contract.DeleteTenantRequest{TenantID: contract.ID(c.Tenant.ID), Reason: "a mistake"})
	require.Equal(t, contract.TenantDeleting, removal.State)
	require.WithinDuration(t, time.Now().AddDate(0, 0, 30), removal.DeleteAt, time.Minute)
	eventually(t, func() error {
		_, refused := module.Call(t, contract.GetTenant.Spec, body)
		if refused == nil {
			return errNotYet
		}
		require.Equal(t, contract.NotFound, refused.Code)
		_, refused = bearer.Call(t, contract.ListUsers.Spec, `{}`)
		if refused == nil || refused.Code == contract.PermissionDenied { // auth, rbac or neither has heard of it
			return errNotYet
		}
		require.Equal(t, contract.Unauthenticated, refused.Code)
		return nil
	})
	_, err := kit.Call(stack.Context(t), s.Core, contract.Login, &contract.LoginRequest{Email: c.Admin.Email, Password: c.Admin.Password})
	require.ErrorIs(t, err, &contract.Error{Code: contract.Unauthenticated})

	restored := stack.Do(t, s, contract.RestoreTenant, &contract.TenantReasonRequest{TenantID: contract.ID(c.Tenant.ID)})
	require.True(t, restored.IsActive)
	require.Nil(t, restored.DeleteAt)
	eventually(t, func() error {
		_, refused := module.Call(t, contract.GetTenant.Spec, body)
		if refused == nil {
			_, refused = bearer.Call(t, contract.ListUsers.Spec, `{}`)
		}
		if refused == nil {
			return nil
		}
		return refused
	})
	after := leftOf(t, s, c.Tenant.ID)
	for table, n := range before {
		require.GreaterOrEqual(t, after[table], n, table)
	}
}

// What a tenant may have no more of is refused where it would be made.
func TestLimitsHoldInEveryService(t *testing.T) {
	t.Parallel()
	s := stack.OneProcess(t)
	w := want()
	person := stack.User{Email: want().email, Password: rand.Text()}
	request := w.request()
	request.Administrator, request.Limits = nil, &contract.Limits{Users: 1, Companies: 1, Modules: 1}
	tenant := contract.ID(stack.Do(t, s, contract.CreateTenant, request).ID)
	stack.Do(t, s, contract.CreateUser, &contract.CreateUserRequest{TenantID: tenant, Email: want().email})
	_, err := kit.Call(stack.Context(t), s.Core, contract.CreateUser, &contract.CreateUserRequest{TenantID: tenant, Email: want().email})
	refuses(t, err, contract.Conflict, "limits.users")
	unit := func(code string) error {
		_, err := kit.Call(stack.Context(t), s.Core, contract.CreateUnit, &contract.CreateUnitRequest{TenantID: tenant, Kind: contract.Company, Code: code, Name: code})
		return err
	}
	require.NoError(t, unit("ONE"))
	refuses(t, unit("TWO"), contract.Conflict, "limits.companies")

	detail := stack.Do(t, s, contract.ReadTenant, &contract.TenantRequest{TenantID: tenant})
	require.Equal(t, contract.TenantUsage{Users: 1, Companies: 1}, detail.Usage)
	stack.Do(t, s, contract.SetTenantLimits, &contract.SetTenantLimitsRequest{TenantID: tenant, Users: 2, RequestsPerMinute: 3})
	require.NoError(t, unit("TWO"))
	eventually(t, func() error {
		_, err := kit.Call(stack.Context(t), s.Core, contract.CreateUser, &contract.CreateUserRequest{TenantID: tenant, Email: person.Email, Password: person.Password})
		return err
	})
	bearer := stack.HTTPCaller{URL: s.HTTPURL, Bearer: stack.Do(t, s, contract.Login, &contract.LoginRequest{Email: person.Email, Password: person.Password}).AccessToken}
	passed := 0
	eventually(t, func() error {
		_, refused := bearer.Call(t, contract.Me.Spec, `{}`)
		if refused == nil {
			passed++
			return errNotYet
		}
		require.Equal(t, []any{contract.RateLimited, "limits.requests_per_minute"}, []any{refused.Code, refused.Field})
		require.Positive(t, refused.RetryAfter)
		return nil
	})
	require.Equal(t, 3, passed)
}

var errNotYet = errors.New("not yet")
