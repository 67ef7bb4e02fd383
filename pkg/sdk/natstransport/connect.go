package natstransport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/sdk/internal/fault"
)

const (
	// connectPatience bounds the first connect.
	connectPatience = 10 * time.Second
	// refusals is how often in a row the server must refuse the key before it is
	// believed: it also refuses while the service that knows keys is away, as
	// after its own restart.
	refusals = 3
)

// state is what the connection's callbacks know.
type state struct {
	log     *slog.Logger
	refused atomic.Int32 // how often in a row the server refused the key
}

var violation = regexp.MustCompile(`(?i)(publish|subscription) to "([^"]+)"`)

func (t *Transport) options(key contract.APIKey) []nats.Option {
	log := t.state.log.With("module", key.Module())
	return []nats.Option{
		nats.Name(key.ID),
		nats.Token(key.Reveal()),
		nats.CustomInboxPrefix("_INBOX_" + key.ID),
		nats.MaxReconnects(-1),
		nats.CustomReconnectDelay(reconnectDelay),
		nats.ReconnectBufSize(-1), // else a request that timed out may be delivered later
		nats.IgnoreAuthErrorAbort(),
		nats.PermissionErrOnSubscribe(true),
		nats.PingInterval(10 * time.Second),
		nats.MaxPingsOutstanding(2),
		nats.Timeout(3 * time.Second),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			t.calls.abort("", errDisconnected)
			log.Warn("bus disconnected", "error", err)
		}),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) {
			t.state.refused.Store(0)
			log.Warn("bus not reached", "error", err)
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			t.state.refused.Store(0)
			log.Info("bus reconnected", "server", nc.ConnectedServerName())
		}),
		nats.LameDuckModeHandler(func(nc *nats.Conn) {
			log.Info("bus server is about to stop", "server", nc.ConnectedServerName())
		}),
		nats.DiscoveredServersHandler(func(nc *nats.Conn) {
			log.Info("bus servers changed", "servers", nc.DiscoveredServers())
		}),
		nats.ClosedHandler(func(*nats.Conn) { log.Info("bus connection closed") }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { t.asynchronous(log, err) }),
	}
}

// asynchronous hears what the server says beside the answers.
func (t *Transport) asynchronous(log *slog.Logger, err error) {
	switch {
	case errors.Is(err, nats.ErrPermissionViolation):
		if parts := violation.FindStringSubmatch(err.Error()); parts != nil {
			t.calls.abort(parts[2], errDenied)
			if strings.EqualFold(parts[1], "subscription") {
				return // whoever follows is told, and tells
			}
		}
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthRevoked):
		t.state.refused.Add(1)
	case errors.Is(err, nats.ErrAuthExpired):
		log.Info("bus credentials end; connecting anew") // each connection gets new ones for the same key
		return
	}
	log.Error("bus error", "error", err)
}

// reconnectDelay grows from 50 ms to 2 s; half of it is random, so that the
// modules do not come back in step.
func reconnectDelay(attempt int) time.Duration {
	delay := min(50*time.Millisecond<<min(attempt, 10), 2*time.Second)
	return delay/2 + rand.N(delay/2) //nolint:gosec // jitter is no secret
}

// checkURL names what is wrong with the URL without repeating it: it may hold
// a password.
func checkURL(raw string) error {
	for server := range strings.SplitSeq(raw, ",") {
		server = strings.TrimSpace(server)
		if !strings.Contains(server, "://") {
			server = "nats://" + server
		}
		u, err := url.Parse(server)
		switch {
		case err != nil || u.Host == "":
			return errors.New("bus transport: the URL of the bus cannot be read; it looks like tls://core.example.com:4222")
		case u.User != nil:
			return errors.New("bus transport: the URL of the bus holds no user; the API key is given apart")
		}
	}
	return nil
}

// connect tries until the connection is up, ctx ends or the key is refused.
func connect(ctx context.Context, servers string, opts []nats.Option) (*nats.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectPatience)
	defer cancel()
	refused := 0
	cause := errors.New("no answer yet")
	for attempt := 1; ; attempt++ {
		nc, err := dial(ctx, servers, opts)
		if err == nil {
			return nc, nil
		}
		if ctx.Err() == nil {
			cause = err
		}
		if errors.Is(err, nats.ErrAuthorization) || errors.Is(err, nats.ErrAuthRevoked) {
			refused++
		} else {
			refused = 0
		}
		if refused == refusals {
			return nil, fault.KeyRefused()
		}
		pause := time.NewTimer(reconnectDelay(attempt))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			if errors.Is(ctx.Err(), context.Canceled) {
				return nil, fmt.Errorf("bus transport: not connected: %w", ctx.Err())
			}
			return nil, fmt.Errorf("%w (%w)", contract.Errorf(contract.Unavailable, "the bus at %s cannot be reached", servers), cause)
		}
	}
}

// dial tries once. nats.Connect knows no context; a connection that comes too
// late is closed.
func dial(ctx context.Context, servers string, opts []nats.Option) (*nats.Conn, error) {
	type result struct {
		nc  *nats.Conn
		err error
	}
	results := make(chan result, 1)
	go func() {
		nc, err := nats.Connect(servers, opts...)
		results <- result{nc, err}
	}()
	select {
	case r := <-results:
		return r.nc, r.err
	case <-ctx.Done():
		go func() {
			if r := <-results; r.nc != nil {
				r.nc.Close()
			}
		}()
		return nil, ctx.Err()
	}
}
