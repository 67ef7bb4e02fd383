package sdk_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/sdk"
)

func TestClientCallsTheSixOperations(t *testing.T) {
	t.Parallel()
	answers := map[string]string{
		"auth.verify":      `{"user":{"id":"u","email":"e","username":"n","tenant_id":"t","tenant_code":"ACME"}}`,
		"rbac.check":       `{"allowed":true,"revision":3}`,
		"rbac.permissions": `{"permissions":["a:**"]}`,
		"tenant.get":       `{"id":"t","code":"ACME","name":"Acme","is_active":true}`,
		"tenant.module":    `{"enabled":true}`,
		"audit.log":        `{"status":"logged","id":"e"}`,
	}
	sent := map[string]string{}
	c := client(&fake{answer: func(_ context.Context, spec *contract.Spec, request string) (string, error) {
		sent[spec.Name] = request
		return answers[spec.Name], nil
	}})
	ctx := t.Context()

	user, err := c.VerifyToken(ctx, "token")
	require.NoError(t, err)
	assert.Equal(t, &sdk.User{ID: "u", Email: "e", Username: "n", TenantID: "t", TenantCode: "ACME"}, user)
	allowed, err := c.Check(ctx, "u", "a:b", sdk.OnResource("r"), sdk.InTenant("t"))
	require.NoError(t, err)
	assert.True(t, allowed)
	permissions, err := c.Permissions(ctx, "u", sdk.InTenant("t"))
	require.NoError(t, err)
	assert.Equal(t, []string{"a:**"}, permissions)
	tenant, err := c.Tenant(ctx, "t")
	require.NoError(t, err)
	assert.Equal(t, &sdk.Tenant{ID: "t", Code: "ACME", Name: "Acme", IsActive: true}, tenant)
	enabled, err := c.ModuleEnabled(ctx, "t")
	require.NoError(t, err)
	assert.True(t, enabled)
	require.NoError(t, c.LogAudit(ctx, sdk.AuditEvent{
		UserID: "u", TenantID: "t", Action: "invoice.created", ResourceType: "invoice", ResourceID: "1", Details: map[string]int{"n": 1},
	}))

	assert.Equal(t, map[string]string{
		"auth.verify":      `{"token":"token"}`,
		"rbac.check":       `{"user_id":"u","tenant_id":"t","permission":"a:b","resource_id":"r"}`,
		"rbac.permissions": `{"user_id":"u","tenant_id":"t"}`,
		"tenant.get":       `{"tenant_id":"t"}`,
		"tenant.module":    `{"tenant_id":"t","module_name":"financial"}`,
		"audit.log":        `{"user_id":"u","tenant_id":"t","action":"invoice.created","resource_type":"invoice","resource_id":"1","details":{"n":1}}`,
	}, sent)
}

func TestEmptyAnswersGrantNothing(t *testing.T) {
	t.Parallel()
	c := client(script(`{}`))
	ctx := t.Context()

	_, err := c.VerifyToken(ctx, "token")
	require.ErrorIs(t, err, sdk.ErrInternal)
	_, err = c.Tenant(ctx, "t")
	require.ErrorIs(t, err, sdk.ErrInternal)
	require.ErrorIs(t, c.LogAudit(ctx, sdk.AuditEvent{}), sdk.ErrInternal)
	allowed, err := c.Check(ctx, "u", "a:b")
	require.NoError(t, err)
	assert.False(t, allowed)
	enabled, err := c.ModuleEnabled(ctx, "t")
	require.NoError(t, err)
	assert.False(t, enabled)
}

func TestModuleEnabledIsFalseForWhatIsNotFoundAndForErrors(t *testing.T) {
	t.Parallel()
	enabled, err := client(script(``, sdk.Errorf(sdk.ErrNotFound, "x"))).ModuleEnabled(t.Context(), "t")
	require.NoError(t, err)
	assert.False(t, enabled)
	enabled, err = client(script(``, sdk.ErrPermissionDenied)).ModuleEnabled(t.Context(), "t")
	require.ErrorIs(t, err, sdk.ErrPermissionDenied)
	assert.False(t, enabled)
}

func TestErrorsAreOfTheirKindHoweverWrapped(t *testing.T) {
	t.Parallel()
	_, err := client(script(``, fmt.Errorf("layer: %w", &sdk.Error{Code: "not_found", Message: "m", Field: "f"}))).Tenant(t.Context(), "t")
	require.ErrorIs(t, err, sdk.ErrNotFound)
	require.NotErrorIs(t, err, sdk.ErrUnavailable)
	var e *sdk.Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, "f", e.Field)
}
