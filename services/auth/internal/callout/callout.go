// Package callout lets modules onto the bus. The NATS server asks it about
// every client that is no user of its configuration; it turns a module's API
// key into a short-lived user of account MODULES, who may publish on the
// subjects of the module's granted operations and subscribe to the module's
// inbox and granted feeds, and nothing else.
package callout

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// ErrRefused is an Authenticator's answer to a key that is unknown, wrong,
// expired, revoked or used from a forbidden address.
var ErrRefused = errors.New("API key refused")

// Grant is what a valid API key gives.
type Grant struct {
	KeyID, Module string
	// Account is where the module lives on the bus; Config.Account when empty.
	// Modules of one account can disturb each other's requests with the reply
	// subjects they choose (see hostile_test.go); those of two cannot.
	Account string
	// Operations are contract names like "rbac.check", those of streams among
	// them.
	Operations []string
	// Tenants are the only ones that the key may hear of, by id; empty is all.
	Tenants []string
	// Expires is when the key ends; zero is never.
	Expires time.Time
}

// Authenticator checks API keys. It answers ErrRefused for any key that must
// not connect now; any other error refuses as well and is logged as a fault of
// ours. remote is the client's IP address, invalid for a client inside the
// server's process. Implementations return when ctx ends, never keep or log
// apiKey, and are safe for concurrent use.
type Authenticator interface {
	AuthenticateKey(ctx context.Context, apiKey string, remote netip.Addr) (Grant, error)
}

// Config says how a Responder works.
type Config struct {
	// Issuer is the account key that nats.conf names as callout issuer.
	Issuer nkeys.KeyPair
	// XKey decrypts requests. Without it requests must be in the clear; with
	// it those are refused.
	XKey nkeys.KeyPair
	// Account is where modules live unless their Grant says otherwise; MODULES
	// when empty.
	Account string
	// TTL bounds how long a connection lasts before its key is looked at
	// again; 5 minutes when zero.
	TTL time.Duration
	// Timeout bounds one request, waiting included; 1.5 s when zero. It must
	// stay below the server's authorization timeout.
	Timeout time.Duration
	// Concurrency bounds the keys looked up at once, 32 when zero; sixteen times
	// as many wait.
	Concurrency int
	// Log is told about refusals, by key id. Nil is silent.
	Log *slog.Logger
	// Refused is told of each client that was turned away or cut off, by one
	// replica each. It must not block and is called concurrently. Nil is fine.
	Refused func(Refusal)
}

const (
	subject = "$SYS.REQ.USER.AUTH"
	queue   = "callout" // the replicas of auth share the requests
)

func (c *Config) setDefaults() {
	if c.Account == "" {
		c.Account = "MODULES"
	}
	if c.TTL == 0 {
		c.TTL = 5 * time.Minute
	}
	if c.Timeout == 0 {
		c.Timeout = 1500 * time.Millisecond
	}
	if c.Concurrency == 0 {
		c.Concurrency = 32
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Refused == nil {
		c.Refused = func(Refusal) {}
	}
}

// Stats counts requests by their outcome since Start.
type Stats struct {
	// Accepted connections; Refused ones for their key; Faulty requests that
	// could not be decided (an error of ours, a malformed grant); Shed ones
	// because too many were waiting; Kicked connections.
	Accepted, Refused, Faulty, Shed, Kicked int64
}

// Responder answers the auth callout. Several may run, in one process or many.
//
//	Start ──▶ serving ── Stop ──▶ stopped
type Responder struct {
	cfg           Config
	authenticator Authenticator
	issuer        string
	callout, sys  *nats.Conn
	sub           *nats.Subscription
	advisories    []*nats.Subscription
	jobs          chan job

	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup
	once   sync.Once
	ended  chan struct{}

	mu      sync.RWMutex // guards stopped, and with it jobs and sweeps against late additions
	stopped bool
	sweeps  sync.WaitGroup

	accepted, refused, faulty, shed, kicked atomic.Int64
}

type job struct {
	msg      *nats.Msg
	received time.Time
}

// Start answers callout requests on the connection in account AUTH from when
// it returns; sys, the connection in account SYS, is for Kick. Both hear who
// was refused. The caller keeps the connections and closes them after Stop.
func Start(calloutConn, sys *nats.Conn, authenticator Authenticator, cfg Config) (*Responder, error) {
	cfg.setDefaults()
	if cfg.Issuer == nil {
		return nil, errors.New("auth callout: no issuer key")
	}
	issuer, err := cfg.Issuer.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("auth callout: issuer key: %w", err)
	}
	r := &Responder{
		cfg: cfg, authenticator: authenticator, issuer: issuer,
		callout: calloutConn, sys: sys,
		jobs:  make(chan job, 16*cfg.Concurrency),
		ended: make(chan struct{}),
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	for range cfg.Concurrency {
		r.work.Go(r.serve)
	}
	if r.sub, err = calloutConn.QueueSubscribe(subject, queue, r.receive); err == nil {
		err = errors.Join(r.hearAdvisories(), calloutConn.Flush())
	}
	if err != nil {
		r.ignoreAdvisories()
		close(r.jobs)
		r.cancel()
		return nil, fmt.Errorf("auth callout: %w", err)
	}
	return r, nil
}

// receive runs on the subscription's goroutine.
func (r *Responder) receive(msg *nats.Msg) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.stopped {
		return
	}
	select {
	case r.jobs <- job{msg, time.Now()}:
	default:
		// Unanswered, the client is refused when the server's patience ends,
		// and comes back more slowly than if refused at once.
		r.shed.Add(1)
	}
}

func (r *Responder) serve() {
	for j := range r.jobs {
		ctx, cancel := context.WithDeadline(r.ctx, j.received.Add(r.cfg.Timeout))
		if ctx.Err() == nil {
			r.answer(ctx, j.msg)
		} else {
			r.shed.Add(1)
		}
		cancel()
	}
}

// Stop takes no more requests and returns when those taken are answered, or
// ctx ends. It is idempotent.
func (r *Responder) Stop(ctx context.Context) error {
	r.once.Do(func() { go r.stop() })
	select {
	case <-r.ended:
		return nil
	case <-ctx.Done():
		r.cancel()
		return fmt.Errorf("auth callout: stop: %w", ctx.Err())
	}
}

func (r *Responder) stop() {
	defer close(r.ended)
	r.ignoreAdvisories()
	drained := make(chan struct{})
	r.sub.SetClosedHandler(func(string) { close(drained) })
	if err := r.sub.Drain(); err == nil {
		select {
		case <-drained:
		case <-r.ctx.Done():
		}
	}
	r.mu.Lock()
	r.stopped = true
	close(r.jobs)
	r.mu.Unlock()
	r.work.Wait()
	_ = r.callout.FlushTimeout(r.cfg.Timeout) // the verdicts; without a connection nobody awaits them
	r.cancel()
	r.sweeps.Wait()
}

// Stats returns the counts so far.
func (r *Responder) Stats() Stats {
	return Stats{
		Accepted: r.accepted.Load(), Refused: r.refused.Load(), Faulty: r.faulty.Load(),
		Shed: r.shed.Load(), Kicked: r.kicked.Load(),
	}
}
