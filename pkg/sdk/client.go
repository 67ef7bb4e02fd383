package sdk

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/buildify/core/pkg/decision"
	"github.com/buildify/core/pkg/sdk/httptransport"
	"github.com/buildify/core/pkg/sdk/internal/replica"
	"github.com/buildify/core/pkg/sdk/natstransport"
)

// Client calls the core on behalf of one module. It is safe for concurrent
// use; a process needs one.
type Client struct {
	transport Transport
	module    string
	log       *slog.Logger
	local     *replica.Replica // nil without local decisions
	clock     decision.Clock   // of local
	codes     *codes
	news      *news
	// subscribed is whether there is a subscription on the bus.
	subscribed atomic.Bool
	close      func() error
}

type options struct {
	log    *slog.Logger
	http   *http.Client
	nats   []nats.Option
	pauses []time.Duration
	local  *LocalDecisions
}

// Option changes how a [Client] works.
type Option func(*options)

// WithLogger makes the client log changes of its connection and what it had to
// deny for want of an answer. Without it the client is silent.
func WithLogger(log *slog.Logger) Option { return func(o *options) { o.log = log } }

// WithHTTPClient makes the HTTP transport use a client of yours, for TLS
// settings or instrumentation. Redirects stay off: a redirect would take the
// API key to another host.
func WithHTTPClient(client *http.Client) Option { return func(o *options) { o.http = client } }

// WithNATSOptions adds options to the bus connection, such as nats.RootCAs.
func WithNATSOptions(opts ...nats.Option) Option {
	return func(o *options) { o.nats = append(o.nats, opts...) }
}

// WithoutRetries makes every call one try. Otherwise reads and decisions that
// end with [ErrUnavailable] are tried up to three times, within the deadline.
func WithoutRetries() Option { return func(o *options) { o.pauses = nil } }

// New returns a client of the core that cfg names: over the bus when
// cfg.NATSURL is set, over HTTP otherwise.
//
// Over the bus New returns when connected; it keeps trying until ctx ends, at
// most ten seconds, and tells [ErrUnavailable] or, for a refused key,
// [ErrUnauthenticated]. Over HTTP it does not wait: connections are made by the
// first calls. The caller closes the client.
func New(ctx context.Context, cfg Config, opts ...Option) (*Client, error) {
	key, err := cfg.check()
	if err != nil {
		return nil, err
	}
	o := newOptions(opts)
	var transport Transport
	if cfg.NATSURL != "" {
		transport, err = natstransport.New(ctx, natstransport.Config{
			URL: cfg.NATSURL, APIKey: cfg.APIKey, Log: o.log, Options: o.nats,
		})
	} else {
		transport, err = httptransport.New(httptransport.Config{URL: cfg.APIURL, APIKey: cfg.APIKey, Client: o.http})
	}
	if err != nil {
		return nil, err
	}
	return newClient(transport, key.Module(), o), nil
}

// NewFromEnv is [New] with the configuration of the environment: CORE_API_KEY,
// and CORE_NATS_URL or CORE_API_URL.
func NewFromEnv(ctx context.Context, opts ...Option) (*Client, error) {
	cfg, err := ConfigFromEnv()
	if err != nil {
		return nil, err
	}
	return New(ctx, cfg, opts...)
}

// NewWithTransport returns a client over a transport of your own, for tests.
// module is the name that [Client.Module] tells.
func NewWithTransport(transport Transport, module string, opts ...Option) *Client {
	return newClient(transport, module, newOptions(opts))
}

func newOptions(opts []Option) options {
	o := options{log: slog.New(slog.DiscardHandler), pauses: retryPauses}
	for _, opt := range opts {
		opt(&o)
	}
	return o
}

func newClient(transport Transport, module string, o options) *Client {
	c := &Client{
		transport: retrying{transport, o.pauses},
		module:    module,
		codes:     newCodes(module),
		log:       o.log,
		news:      newNews(transport, o.log),
	}
	if c.local = startLocal(transport, o); c.local != nil {
		c.clock = c.local.Now
	}
	c.close = sync.OnceValue(func() error {
		if c.local != nil {
			c.local.Close()
		}
		c.news.stop()
		return transport.Close()
	})
	return c
}

// Module is the module's own name, as its API key tells.
func (c *Client) Module() string { return c.module }

// Transport is what the client calls through, for [Call]:
//
//	sdk.Call(ctx, client.Transport(), contract.CheckPermission, request)
func (c *Client) Transport() Transport { return c.transport }

// Close ends the connection. Calls in flight end with [ErrUnavailable], so
// close after your server has stopped. It is idempotent.
func (c *Client) Close() error { return c.close() }
