package coretest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"

	"github.com/buildify/core/pkg/contract"
)

// News is a core that has settings and hooks of one module, and tells of them.
// It is a transport to itself, and safe for concurrent use.
type News struct {
	mu       sync.Mutex
	settings map[string]contract.ModuleSettings // by tenant, or tenant/user
	revision int64
	hooks    []contract.Hook
	failed   map[string][]string // why, by hook
	streams  map[*newsStream]struct{}
	refusing map[string]error // by operation
	calls    map[string]int   // by operation
	changed  chan struct{}    // closed at each call and each stream that begins or ends
}

type newsStream struct {
	messages chan []byte
	cut      chan struct{}
}

// NewNews returns a core of which there is nothing to tell.
func NewNews() *News {
	return &News{
		settings: map[string]contract.ModuleSettings{}, failed: map[string][]string{}, streams: map[*newsStream]struct{}{},
		refusing: map[string]error{}, calls: map[string]int{}, changed: make(chan struct{}),
	}
}

var errNewsCut = contract.Errorf(contract.Unavailable, "the line is cut")

// Put has settings be in effect, in the tenant or for a user of it, without
// telling it.
func (n *News) Put(tenant, user, values string) (revision int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.revision++
	n.settings[tenant+user] = contract.ModuleSettings{Values: json.RawMessage(values), Revision: n.revision}
	return n.revision
}

// Set puts a tenant's settings and tells it.
func (n *News) Set(tenant, values string) {
	n.Tell(contract.ModuleNewsMessage{TenantID: tenant, SettingsRevision: n.Put(tenant, "", values)})
}

// Happen adds a hook and tells it; one that is there already is told again.
func (n *News) Happen(hook contract.Hook) {
	n.mu.Lock()
	at := slices.IndexFunc(n.hooks, func(h contract.Hook) bool { return h.ID == hook.ID })
	if at < 0 {
		at = len(n.hooks)
		n.hooks = append(n.hooks, hook)
	}
	n.hooks[at].Attempt++
	hook = n.hooks[at]
	n.mu.Unlock()
	n.Tell(contract.ModuleNewsMessage{TenantID: hook.TenantID, Hook: &hook})
}

// Hooks are those not acknowledged.
func (n *News) Hooks() []contract.Hook {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.hooks)
}

// Failed is why a hook failed, each time.
func (n *News) Failed(hook string) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.failed[hook])
}

// Tell sends a message on all streams.
func (n *News) Tell(m contract.ModuleNewsMessage) {
	data, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	n.TellRaw(data)
}

// TellRaw sends what may not be a message at all.
func (n *News) TellRaw(data []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for s := range n.streams {
		s.messages <- data
	}
}

// Cut ends all streams.
func (n *News) Cut() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for s := range n.streams {
		close(s.cut)
		delete(n.streams, s)
	}
	n.change()
}

// Refuse has an operation, or the stream, end with an error; nil ends that.
func (n *News) Refuse(name string, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.refusing[name] = err
}

// Calls is how often an operation was called.
func (n *News) Calls(name string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.calls[name]
}

// Streams is how many are read.
func (n *News) Streams() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.streams)
}

// Changed is closed when there was one more call or stream, or one less.
func (n *News) Changed() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.changed
}

func (n *News) change() {
	close(n.changed)
	n.changed = make(chan struct{})
}

// Call answers as the core does.
func (n *News) Call(ctx context.Context, spec *contract.Spec, request []byte) ([]byte, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	defer n.change()
	n.calls[spec.Name]++
	if err := cmp.Or(ctx.Err(), n.refusing[spec.Name]); err != nil {
		return nil, err
	}
	switch spec.Name {
	case contract.GetModuleSettings.Name:
		var r contract.ModuleSettingsRequest
		if err := json.Unmarshal(request, &r); err != nil {
			return nil, err
		}
		settings, ok := n.settings[string(r.TenantID)+string(r.UserID)]
		if !ok {
			return nil, contract.Missing("tenant")
		}
		return json.Marshal(settings)
	case contract.ListHooks.Name:
		return json.Marshal(contract.ListHooksResponse{Items: append([]contract.Hook{}, n.hooks...), News: []string{contract.NewsSubject("financial", "*")}})
	case contract.AcknowledgeHook.Name:
		return n.acknowledge(request)
	}
	return nil, errors.New("no operation of this core: " + spec.Name)
}

func (n *News) acknowledge(request []byte) ([]byte, error) {
	var r contract.AcknowledgeHookRequest
	if err := json.Unmarshal(request, &r); err != nil {
		return nil, err
	}
	at := slices.IndexFunc(n.hooks, func(h contract.Hook) bool { return h.ID == string(r.HookID) })
	switch {
	case at < 0:
		return nil, contract.Missing("hook")
	case r.Failed != "":
		n.failed[string(r.HookID)] = append(n.failed[string(r.HookID)], r.Failed)
	default:
		n.hooks = slices.Delete(n.hooks, at, at+1)
	}
	return []byte("{}"), nil
}

// Follow streams what is told.
func (n *News) Follow(ctx context.Context, spec *contract.Spec, _ []string, opened func(), handle func([]byte)) error {
	n.mu.Lock()
	if err := n.refusing[spec.Name]; err != nil {
		n.mu.Unlock()
		return err
	}
	s := &newsStream{messages: make(chan []byte, 1000), cut: make(chan struct{})}
	n.streams[s] = struct{}{}
	n.change()
	n.mu.Unlock()
	defer func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.streams, s)
		n.change()
	}()
	opened()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.cut:
			return errNewsCut
		case message := <-s.messages:
			handle(message)
		}
	}
}

// Close is a transport's.
func (n *News) Close() error { return nil }
