// Package natsconn connects services, the bridge and the operator to the bus,
// with the options under which a connection heals by itself and says what
// happens to it.
package natsconn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
)

// The users of the bus, by the names of their seed files and inboxes. What
// each may do stands in deploy/nats/nats.conf.
const (
	Auth       = "auth"
	RBAC       = "rbac"
	Tenant     = "tenant"
	Audit      = "audit"
	HTTPBridge = "httpbridge"
	Operator   = "operator"

	// System is auth's user in account SYS, Callout the one in AUTH.
	System  = "system"
	Callout = "callout"
)

// InboxPrefix is the prefix of a user's inbox subjects. A user may subscribe
// under its own prefix only.
func InboxPrefix(user string) string { return "_INBOX_" + user }

// Config says who connects where.
type Config struct {
	// URL of the servers, comma-separated.
	URL string
	// User is one of the package's users; it also names the connection.
	User string
	// SeedFile holds the user's seed. It is read at each connect, so a seed
	// may be replaced while the process runs.
	SeedFile string
	// Log receives every change of the connection's state and every
	// asynchronous error, permission violations included. Nil is silent.
	Log *slog.Logger
}

// Connect connects and returns when the connection is up. While the server
// cannot be reached or refuses the user it keeps trying until ctx ends, and
// then tells why. Once up, the connection reconnects for ever; while it is
// down publishing fails at once rather than filling a buffer that would be
// delivered after its callers gave up.
//
// opts are applied last and win. The caller closes the connection.
func Connect(ctx context.Context, cfg Config, opts ...nats.Option) (*nats.Conn, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	key, err := nats.NkeyOptionFromSeed(cfg.SeedFile)
	if err != nil {
		return nil, fmt.Errorf("bus user %s: seed (made by `buildify nats init`): %w", cfg.User, err)
	}
	connected := make(chan struct{}, 1)
	all := append(options(cfg), key, nats.ConnectHandler(func(nc *nats.Conn) {
		cfg.Log.Info("bus connected", "bus_user", cfg.User, "server", nc.ConnectedServerName())
		connected <- struct{}{}
	}))
	nc, err := nats.Connect(cfg.URL, append(all, opts...)...)
	if err != nil {
		return nil, fmt.Errorf("bus user %s: %w", cfg.User, err)
	}
	if nc.IsConnected() {
		return nc, nil
	}
	select {
	case <-connected:
		return nc, nil
	case <-ctx.Done():
		cause := nc.LastError()
		nc.Close()
		return nil, fmt.Errorf("bus user %s: not connected: %w", cfg.User, errors.Join(ctx.Err(), cause))
	}
}

func options(cfg Config) []nats.Option {
	log := cfg.Log.With("bus_user", cfg.User)
	return []nats.Option{
		nats.Name(cfg.User),
		nats.CustomInboxPrefix(InboxPrefix(cfg.User)),
		nats.MaxReconnects(-1),
		nats.RetryOnFailedConnect(true),
		nats.ReconnectWait(250 * time.Millisecond),
		nats.ReconnectJitter(250*time.Millisecond, 500*time.Millisecond),
		nats.ReconnectBufSize(-1), // else a request that timed out may be delivered later
		nats.IgnoreAuthErrorAbort(),
		nats.PermissionErrOnSubscribe(true),
		nats.PingInterval(10 * time.Second),
		nats.MaxPingsOutstanding(2),
		nats.Timeout(3 * time.Second),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil { // nil: we closed it ourselves
				log.Warn("bus disconnected", "error", err)
			}
		}),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) {
			log.Warn("bus not reached", "error", err)
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			log.Info("bus reconnected", "server", nc.ConnectedServerName())
		}),
		nats.LameDuckModeHandler(func(nc *nats.Conn) {
			log.Info("bus server is about to stop", "server", nc.ConnectedServerName())
		}),
		nats.DiscoveredServersHandler(func(nc *nats.Conn) {
			log.Info("bus servers changed", "servers", nc.DiscoveredServers())
		}),
		nats.ClosedHandler(func(nc *nats.Conn) {
			log.Info("bus connection closed", "error", nc.LastError())
		}),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) {
			attrs := []any{"error", err}
			if sub != nil {
				attrs = append(attrs, "subject", sub.Subject)
			}
			log.Error("bus error", attrs...)
		}),
	}
}
