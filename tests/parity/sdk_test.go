package parity

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/sdk"
	"github.com/buildify/core/tests/stack"
)

// clients returns the SDK's client of the company's module on each transport.
func clients(t *testing.T, s *stack.Stack, c *stack.Company) map[string]*sdk.Client {
	t.Helper()
	all := map[string]*sdk.Client{}
	for transport, cfg := range map[string]sdk.Config{
		"nats": {NATSURL: s.NATSURL, APIKey: c.APIKey}, "http": {APIURL: s.HTTPURL, APIKey: c.APIKey},
	} {
		client, err := sdk.New(stack.Context(t), cfg)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, client.Close()) })
		all[transport] = client
	}
	return all
}

func testSDK(t *testing.T, s *stack.Stack) {
	t.Parallel()
	c, other := s.Company(t), s.Company(t)
	for transport, client := range clients(t, s, c) {
		t.Run("six calls over "+transport, func(t *testing.T) {
			ctx := stack.Context(t)
			user, err := client.VerifyToken(ctx, c.Token(t, c.Reader))
			require.NoError(t, err)
			require.Equal(t, c.Reader.ID, user.ID)
			for permission, want := range map[string]bool{c.Module + ":accounts:read": true, c.Module + ":accounts:write": false} {
				allowed, err := client.Check(ctx, c.Reader.ID, permission, sdk.OnResource("17"))
				require.NoError(t, err)
				require.Equal(t, want, allowed)
			}
			codes, err := client.Permissions(ctx, c.Reader.ID)
			require.NoError(t, err)
			require.Equal(t, []string{c.Module + ":accounts:read"}, codes)
			tenant, err := client.Tenant(ctx, c.Tenant.ID)
			require.NoError(t, err)
			require.Equal(t, c.Tenant.Code, tenant.Code)
			enabled, err := client.ModuleEnabled(ctx, c.Tenant.ID)
			require.NoError(t, err)
			require.True(t, enabled)
			enabled, err = client.ModuleEnabled(ctx, other.Tenant.ID)
			require.NoError(t, err)
			require.False(t, enabled)
			require.NoError(t, client.LogAudit(ctx, sdk.AuditEvent{
				UserID: c.Reader.ID, Action: "sdk.test", ResourceType: "x", ResourceID: "1", Details: map[string]any{"a": 1},
			}))
		})
		t.Run("errors over "+transport, func(t *testing.T) {
			ctx := stack.Context(t)
			_, err := client.VerifyToken(ctx, "x")
			require.ErrorIs(t, err, sdk.ErrUnauthenticated)
			_, err = client.VerifyToken(ctx, other.Token(t, other.Reader))
			require.ErrorIs(t, err, sdk.ErrNotFound)
			_, err = client.Check(ctx, other.Reader.ID, "a:b")
			require.ErrorIs(t, err, sdk.ErrNotFound)
			_, err = client.Check(ctx, c.Reader.ID, "a")
			require.ErrorIs(t, err, sdk.ErrInvalidArgument)
			var wire *sdk.Error
			require.True(t, errors.As(err, &wire))
			require.Equal(t, "permission", wire.Field)
			require.NotEmpty(t, wire.RequestID)
			_, err = client.Tenant(ctx, uuid.NewString())
			require.ErrorIs(t, err, sdk.ErrNotFound)
			_, err = client.Tenant(ctx, "../auth/verify")
			require.ErrorIs(t, err, sdk.ErrInvalidArgument)
			past, cancel := context.WithDeadline(ctx, time.Now().Add(-time.Second))
			defer cancel()
			_, err = client.Check(past, c.Reader.ID, "a:b")
			require.ErrorIs(t, err, context.DeadlineExceeded)
			gone, cancel := context.WithCancel(ctx)
			cancel()
			_, err = client.Check(gone, c.Reader.ID, "a:b")
			require.ErrorIs(t, err, context.Canceled)
		})
	}
	t.Run("a key without the grant is told so", func(t *testing.T) {
		key := stack.Do(t, s, contract.CreateKey, &contract.CreateKeyRequest{
			Module: c.Module, Environment: "dev", Operations: []string{"tenant.get"},
		})
		weak := *c
		weak.APIKey = key.APIKey
		for transport, client := range clients(t, s, &weak) {
			_, err := client.Tenant(stack.Context(t), c.Tenant.ID)
			require.NoError(t, err, transport)
			_, err = client.Check(stack.Context(t), c.Reader.ID, "a:b")
			require.ErrorIs(t, err, sdk.ErrPermissionDenied, transport)
		}
	})
	t.Run("a wrong key is told so", func(t *testing.T) {
		for _, key := range wrongKeys(t, c.APIKey) {
			if _, err := contract.ParseAPIKey(key); err != nil {
				continue
			}
			_, err := sdk.New(stack.Context(t), sdk.Config{NATSURL: s.NATSURL, APIKey: key})
			require.ErrorIs(t, err, sdk.ErrUnauthenticated)
			client, err := sdk.New(stack.Context(t), sdk.Config{APIURL: s.HTTPURL, APIKey: key})
			require.NoError(t, err)
			_, err = client.Tenant(stack.Context(t), c.Tenant.ID)
			require.ErrorIs(t, err, sdk.ErrUnauthenticated)
		}
	})
}
