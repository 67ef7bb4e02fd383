package menu

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/natsconn"
	"github.com/buildify/core/pkg/kit/natsserver"
)

func TestPermissionsAreAskedInBatchesAndTroubleIsUnavailable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, natsserver.Init(dir))
	bus, err := natsserver.Start(bounded(t), natsserver.Config{Dir: dir, Listen: "127.0.0.1:0"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, bus.Stop(bounded(t))) })
	connect := func(name string) *nats.Conn {
		nc, err := natsconn.Connect(bounded(t), natsconn.Config{URL: bus.URL(), User: name, SeedFile: natsserver.SeedFile(dir, name)})
		require.NoError(t, err)
		t.Cleanup(nc.Close)
		return nc
	}
	telemetry, err := kit.NewTelemetry(bounded(t), kit.TelemetryConfig{Process: "test"})
	require.NoError(t, err)
	remote := RemotePermissions{Client: kit.NewClient(connect(natsconn.Tenant), telemetry)}
	user := kit.User{ID: kit.NewID(), TenantID: kit.NewID()}
	unavailable := &contract.Error{Code: contract.Unavailable}

	_, err = remote.Held(bounded(t), user, []string{"crm:x:read"})
	require.ErrorIs(t, err, unavailable, "nobody answers")

	rbac, err := kit.NewServer(kit.ServerConfig{Service: "rbac", NATS: connect(natsconn.RBAC), Telemetry: telemetry})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, rbac.Stop(bounded(t))) })
	answer := func(r *contract.CheckBatchRequest) (*contract.CheckBatchResponse, error) {
		response := &contract.CheckBatchResponse{}
		for _, check := range r.Checks {
			response.Allowed = append(response.Allowed, strings.HasSuffix(check.Permission, "0:read"))
		}
		return response, nil
	}
	handler := make(chan func(context.Context, *contract.CheckBatchRequest) (*contract.CheckBatchResponse, error), 8)
	require.NoError(t, kit.Handle(rbac, contract.CheckPermissions, func(ctx context.Context, r *contract.CheckBatchRequest) (*contract.CheckBatchResponse, error) {
		if r.UserID != contract.ID(user.ID) || r.TenantID != contract.ID(user.TenantID) {
			return nil, contract.Missing("user")
		}
		select {
		case special := <-handler:
			return special(ctx, r)
		default:
			return answer(r)
		}
	}))
	var permissions []string
	for i := range 2*batch + 1 {
		permissions = append(permissions, fmt.Sprintf("crm:x%d:read", i))
	}
	held, err := remote.Held(bounded(t), user, permissions)
	require.NoError(t, err)
	require.Len(t, held, len(permissions))
	for i := range held {
		require.Equal(t, i%10 == 0, held[i], permissions[i])
	}

	_, err = remote.Held(bounded(t), kit.User{ID: kit.NewID(), TenantID: user.TenantID}, permissions)
	require.ErrorIs(t, err, unavailable, "who is not known there yet")
	for name, trouble := range map[string]func(context.Context, *contract.CheckBatchRequest) (*contract.CheckBatchResponse, error){
		"too few answers": func(context.Context, *contract.CheckBatchRequest) (*contract.CheckBatchResponse, error) {
			return &contract.CheckBatchResponse{Allowed: []bool{true}}, nil
		},
		"a denial": func(context.Context, *contract.CheckBatchRequest) (*contract.CheckBatchResponse, error) {
			return nil, contract.Errorf(contract.PermissionDenied, "no")
		},
	} {
		handler <- trouble
		_, err = remote.Held(bounded(t), user, permissions[:2])
		require.ErrorIs(t, err, unavailable, name)
	}

	// Who leaves hears that they left; who waits too long hears of rbac.
	release := make(chan struct{})
	defer close(release)
	hang := func(context.Context, *contract.CheckBatchRequest) (*contract.CheckBatchResponse, error) {
		<-release
		return nil, contract.Missing("user")
	}
	handler <- hang
	gone, leave := context.WithCancel(bounded(t))
	leave()
	_, err = remote.Held(gone, user, permissions[:2])
	require.ErrorIs(t, err, context.Canceled)
	handler <- hang
	soon, cancel := context.WithTimeout(bounded(t), 50*time.Millisecond)
	defer cancel()
	_, err = remote.Held(soon, user, permissions[:2])
	require.ErrorIs(t, err, unavailable)
}
