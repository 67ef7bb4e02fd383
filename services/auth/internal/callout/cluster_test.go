package callout

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/kit/natsconn"
	"github.com/buildify/core/pkg/kit/natsserver"
)

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	return l.Addr().String()
}

func TestKickReachesEveryServerOfTheCluster(t *testing.T) {
	t.Parallel()
	b := &bus{t: t, dir: t.TempDir(), keyring: &keyring{grants: map[string]Grant{}}}
	require.NoError(t, natsserver.Init(b.dir))
	routes := []string{freeAddress(t), freeAddress(t)}
	var servers []*natsserver.Server
	for i, route := range routes {
		local := fmt.Sprintf("NATS_LISTEN: \"127.0.0.1:-1\"\nNATS_STORE_DIR: %q\nserver_name: \"bus-%d\"\n"+
			"cluster { name: buildify, listen: %q, routes: [\"nats://%s\"] }\n",
			filepath.Join(b.dir, fmt.Sprint(i)), i, route, routes[1-i])
		require.NoError(t, os.WriteFile(filepath.Join(b.dir, "local.conf"), []byte(local), 0o600))
		server, err := natsserver.Start(t.Context(), natsserver.Config{Dir: b.dir, Listen: "127.0.0.1:0"})
		require.NoError(t, err)
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), limit)
			defer cancel()
			require.NoError(t, server.Stop(ctx))
		})
		servers = append(servers, server)
	}
	b.server = servers[0]
	r := b.callout()
	require.Eventually(t, func() bool {
		n, err := r.countServers(t.Context())
		return err == nil && n == 2
	}, limit, 10*time.Millisecond)

	key := b.keyring.add("financial", "rbac.check")
	closed := make(chan struct{}, 2)
	for _, server := range servers {
		// The callout's subscription may not have reached the second server yet.
		require.Eventually(t, func() bool {
			nc, err := nats.Connect(server.URL(), nats.Token(key.Reveal()), nats.NoReconnect(), nats.Timeout(limit),
				nats.ClosedHandler(func(*nats.Conn) { closed <- struct{}{} }))
			if err == nil {
				t.Cleanup(nc.Close)
			}
			return err == nil
		}, limit, 10*time.Millisecond)
	}
	b.keyring.revoke(key)
	kicked, err := r.Kick(t.Context(), key.ID)
	require.NoError(t, err)
	assert.Equal(t, 2, kicked)
	for range servers {
		await(t, closed, "the kick")
	}
	_, err = nats.Connect(servers[1].URL(), nats.Token(key.Reveal()))
	require.ErrorIs(t, err, nats.ErrAuthorization)

	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	system, err := natsconn.Connect(ctx, natsconn.Config{URL: servers[1].URL(), User: natsconn.System, SeedFile: natsserver.SeedFile(b.dir, natsconn.System)})
	require.NoError(t, err, "services need no callout on any server")
	system.Close()
}
