package webhooks

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/sdk"
)

// receiver is a module's or a tenant's server, made of what the SDK gives. It
// can be down and come back at its address.
type receiver struct {
	t       testing.TB
	address string
	server  *http.Server
	done    chan struct{}

	mu      sync.Mutex
	secret  string
	status  int // answered in place of what the SDK does
	got     map[string]events.Event
	times   int // messages, repeated ones too
	refused int // messages that are not genuine
	changed chan struct{}
}

func newReceiver(t testing.TB) *receiver {
	t.Helper()
	r := &receiver{t: t, address: "127.0.0.1:0", got: map[string]events.Event{}, changed: make(chan struct{})}
	r.start()
	t.Cleanup(r.stop)
	return r
}

func (r *receiver) url() string { return "http://" + r.address + "/hooks" }

func (r *receiver) start() {
	r.t.Helper()
	listener, err := net.Listen("tcp", r.address)
	require.NoError(r.t, err)
	r.address, r.done = listener.Addr().String(), make(chan struct{})
	r.server = &http.Server{Handler: http.HandlerFunc(r.serve), ReadHeaderTimeout: 5 * time.Second}
	server, done := r.server, r.done
	go func() {
		defer close(done)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			r.t.Errorf("receiver: %v", err)
		}
	}()
}

func (r *receiver) stop() {
	_ = r.server.Close()
	<-r.done
}

// signs has the receiver trust a secret, answers has it answer so; 0 is as the
// SDK does.
func (r *receiver) signs(secret string) { r.set(func() { r.secret = secret }) }
func (r *receiver) answers(status int)  { r.set(func() { r.status = status }) }

func (r *receiver) set(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *receiver) serve(w http.ResponseWriter, request *http.Request) {
	r.mu.Lock()
	secret, status := r.secret, r.status
	r.mu.Unlock()
	if status != 0 {
		r.set(func() { r.times++ })
		w.WriteHeader(status)
		return
	}
	answer := &noted{ResponseWriter: w}
	sdk.WebhookHandler(secret, func(_ context.Context, e events.Event) error {
		r.set(func() { r.got[e.ID()] = e; r.times++ })
		return nil
	}).ServeHTTP(answer, request)
	if answer.status != http.StatusNoContent {
		r.set(func() { r.refused++ })
	}
}

type noted struct {
	http.ResponseWriter
	status int
}

func (n *noted) WriteHeader(status int) {
	n.status = status
	n.ResponseWriter.WriteHeader(status)
}

// await waits until what arrived is as it should be. A sender that was killed
// holds what it had for half a minute.
func (r *receiver) await(what string, good func() bool) {
	r.t.Helper()
	timeout := time.NewTimer(90 * time.Second)
	defer timeout.Stop()
	for {
		r.mu.Lock()
		ok, changed, n := good(), r.changed, len(r.got)
		r.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-timeout.C:
			require.Failf(r.t, "did not arrive", "%s; %d events are there", what, n)
		}
	}
}

// has waits for n different events, and returns all.
func (r *receiver) has(n int) map[string]events.Event {
	r.t.Helper()
	r.await("events", func() bool { return len(r.got) >= n })
	r.mu.Lock()
	defer r.mu.Unlock()
	all := map[string]events.Event{}
	for id, e := range r.got {
		all[id] = e
	}
	return all
}
