package rbac

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// states collects the tenants of which the directory learned something, until
// it is part of their policies.
type states struct {
	mu      sync.Mutex
	tenants map[string]struct{}
	wake    chan struct{}
}

func newStates() states {
	return states{tenants: map[string]struct{}{}, wake: make(chan struct{}, 1)}
}

// dirty notes a tenant. It never blocks.
func (s *states) dirty(tenant ...string) {
	s.mu.Lock()
	for _, t := range tenant {
		s.tenants[t] = struct{}{}
	}
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *states) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := slices.Collect(maps.Keys(s.tenants))
	clear(s.tenants)
	return taken
}

// run has the tenants taken in; what fails is tried again until it succeeds.
func (s *states) run(ctx context.Context, takeIn func(context.Context, []string) error) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		}
		tenants := s.take()
		if takeIn(ctx, tenants) == nil {
			continue
		}
		s.dirty(tenants...)
		select {
		case <-ctx.Done():
			return
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (s *Service) takeIn(ctx context.Context, tenants []string) error {
	err := s.app.TakeIn(ctx, tenants)
	if err != nil && ctx.Err() == nil {
		s.deps.Telemetry.Log.Warn("rbac: a tenant's state is not part of its policy yet; will try again", "error", err)
	}
	return err
}
