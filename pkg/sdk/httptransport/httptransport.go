// Package httptransport carries calls to the core over its HTTP API.
package httptransport

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/propagation"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/sdk/internal/fault"
)

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 4 * contract.MaxBody

// Config says where the core is and who calls.
type Config struct {
	// URL is the root of the core, such as "https://core.example.com".
	URL string
	// APIKey is the module's key; it travels in the header X-API-Key.
	APIKey string
	// Client, when not nil, is used instead of one with a pool of 128
	// connections. Its redirect policy is replaced: a redirect is an error.
	Client *http.Client
}

// Transport is an sdk.Transport over HTTP/1.1, safe for concurrent use.
type Transport struct {
	base   string
	key    string
	agent  string
	client *http.Client
	routes sync.Map // *contract.Spec → *route
	closed atomic.Bool
	// silence is how long a stream may bring nothing.
	silence time.Duration
	ctx     context.Context // ends with Close
	end     context.CancelFunc
}

// New returns a transport. It checks the configuration and sends nothing.
func New(cfg Config) (*Transport, error) {
	base, err := root(cfg.URL)
	if err != nil {
		return nil, err
	}
	key, err := contract.ParseAPIKey(cfg.APIKey)
	if err != nil {
		return nil, fmt.Errorf("http transport: %w", err)
	}
	client := http.Client{Transport: pool()}
	if cfg.Client != nil {
		client = *cfg.Client
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	t := &Transport{base: base, key: cfg.APIKey, agent: "buildify-sdk-go (" + key.Module() + ")", client: &client, silence: silence}
	t.ctx, t.end = context.WithCancel(context.Background())
	return t, nil
}

// root checks a URL given by people and names what is wrong with it. It never
// repeats the URL, which may hold a password.
func root(raw string) (string, error) {
	u, err := url.Parse(strings.TrimSpace(raw))
	switch {
	case err != nil:
		return "", errors.New("http transport: the URL of the core cannot be read; it looks like https://core.example.com")
	case (u.Scheme != "http" && u.Scheme != "https") || u.Host == "":
		return "", errors.New("http transport: the URL of the core must begin with http:// or https:// and name a host")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "", errors.New("http transport: the URL of the core holds no user, query or fragment; the API key is given apart")
	case strings.Contains(u.Path+"/", "/api/v1/"):
		return "", errors.New("http transport: the URL of the core is its root, without /api/v1")
	}
	return strings.TrimRight(u.String(), "/"), nil
}

// pool is one of HTTP/1.1 connections, faster here than HTTP/2. Idle ones are
// dropped before the core would.
func pool() *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 3 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		TLSHandshakeTimeout:    5 * time.Second,
		TLSNextProto:           map[string]func(string, *tls.Conn) http.RoundTripper{},
		MaxIdleConns:           128,
		MaxIdleConnsPerHost:    128,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		DisableCompression:     true,
	}
}

// Call implements sdk.Transport.
func (t *Transport) Call(ctx context.Context, spec *contract.Spec, request []byte) ([]byte, error) {
	if !spec.Access.Has(contract.Module) {
		return nil, fault.Denied(spec)
	}
	if t.closed.Load() {
		return nil, fault.Closed(spec)
	}
	if err := fault.Context(ctx, spec); err != nil {
		return nil, err
	}
	bounded, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(t.ctx, cancel)()

	req, err := t.request(bounded, spec, request)
	if err != nil {
		return nil, err
	}
	res, err := t.client.Do(req)
	if err == nil {
		defer func() { _ = res.Body.Close() }()
		var body []byte
		if body, err = io.ReadAll(io.LimitReader(res.Body, maxAnswer+1)); err == nil {
			return read(spec, res, body)
		}
	}
	return nil, t.lost(ctx, spec, err)
}

// request builds the HTTP request of an operation.
func (t *Transport) request(ctx context.Context, spec *contract.Spec, request []byte) (*http.Request, error) {
	known, ok := t.routes.Load(spec)
	if !ok {
		known, _ = t.routes.LoadOrStore(spec, newRoute(spec))
	}
	r, _ := known.(*route)
	target, body, err := r.bind(request)
	if err != nil {
		return nil, err
	}
	var content io.Reader
	if body != nil {
		content = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, spec.Method, t.base+target, content)
	if err != nil {
		return nil, fault.Unreadable(spec, "the request cannot be built: %v", err)
	}
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(req.Header))
	req.Header.Set(contract.HeaderAPIKey, t.key)
	req.Header.Set("Accept", "application/json, "+contract.ProblemType)
	req.Header.Set("User-Agent", t.agent)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

// lost tells why there is no answer.
func (t *Transport) lost(ctx context.Context, spec *contract.Spec, err error) error {
	if ended := fault.Context(ctx, spec); ended != nil {
		return ended
	}
	if t.closed.Load() {
		return fault.Closed(spec)
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	var network net.Error
	if errors.As(err, &network) && network.Timeout() {
		var op *net.OpError
		if !errors.As(err, &op) || op.Op != "dial" { // what was never sent is unreachable
			return fault.Timeout(spec)
		}
	}
	return fault.Unreachable(spec, err)
}

// Close drops the connections; see sdk.Transport.
func (t *Transport) Close() error {
	t.closed.Store(true)
	t.end()
	t.client.CloseIdleConnections()
	return nil
}
