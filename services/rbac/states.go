package rbac

import (
	"context"
	"slices"
	"sync"
	"time"
)

// states collects of which tenants, and which of their users, the directory
// learned something, until it is part of their policies.
type states struct {
	mu   sync.Mutex
	news map[news]struct{}
	wake chan struct{}
}

// news is about a user, or with none about the rest of the tenant.
type news struct{ tenant, user string }

func newStates() states {
	return states{news: map[news]struct{}{}, wake: make(chan struct{}, 1)}
}

// dirty takes a note. It never blocks.
func (s *states) dirty(all ...news) {
	s.mu.Lock()
	for _, n := range all {
		s.news[n] = struct{}{}
	}
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// take returns what was noted, and the tenants and users of it.
func (s *states) take() (all []news, tenants, users []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	users = []string{}
	for n := range s.news {
		all, tenants = append(all, n), append(tenants, n.tenant)
		if n.user != "" {
			users = append(users, n.user)
		}
	}
	clear(s.news)
	slices.Sort(tenants)
	return all, slices.Compact(tenants), users
}

// run has what is noted taken in; what fails is tried again until it succeeds.
func (s *states) run(ctx context.Context, takeIn func(ctx context.Context, tenants, users []string) error) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		}
		all, tenants, users := s.take()
		if takeIn(ctx, tenants, users) == nil {
			continue
		}
		s.dirty(all...)
		select {
		case <-ctx.Done():
			return
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (s *Service) takeIn(ctx context.Context, tenants, users []string) error {
	err := s.app.TakeIn(ctx, tenants, users)
	if err != nil && ctx.Err() == nil {
		s.deps.Telemetry.Log.WarnContext(ctx, "rbac: a tenant's state is not part of its policy yet; will try again", "error", err)
	}
	return err
}
