package rbac

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"
)

// states collects of which tenants, and which of their users, the directory
// learned something, until it is part of their policies.
type states struct {
	mu   sync.Mutex
	some map[news]struct{}
	many map[string]struct{} // tenants of too many users to name
	wake chan struct{}
}

// news is about a user, or with none about the rest of the tenant.
type news struct{ tenant, user string }

// maxNews is how many news are kept one by one.
const maxNews = 1000

func newStates() states {
	return states{some: map[news]struct{}{}, many: map[string]struct{}{}, wake: make(chan struct{}, 1)}
}

// dirty takes a note. It never blocks.
func (s *states) dirty(tenant, user string) {
	s.mu.Lock()
	if _, known := s.many[tenant]; !known {
		s.some[news{tenant, user}] = struct{}{}
	}
	if len(s.some) > maxNews {
		for n := range s.some {
			s.many[n.tenant] = struct{}{}
		}
		clear(s.some)
	}
	s.mu.Unlock()
	s.nudge()
}

func (s *states) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// take returns the tenants that were noted, with the users, and those of which
// everyone is to be looked at.
func (s *states) take() (tenants, users, many []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	users = []string{}
	for n := range s.some {
		if tenants = append(tenants, n.tenant); n.user != "" {
			users = append(users, n.user)
		}
	}
	many = slices.Collect(maps.Keys(s.many))
	clear(s.some)
	clear(s.many)
	slices.Sort(tenants)
	return slices.Compact(tenants), users, many
}

// run has what is noted taken in; what fails is tried again until it succeeds.
func (s *states) run(ctx context.Context, takeIn func(ctx context.Context, tenants, users []string) error) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		}
		tenants, users, many := s.take()
		if errors.Join(takeIn(ctx, tenants, users), takeIn(ctx, many, nil)) == nil {
			continue
		}
		s.mu.Lock()
		for _, tenant := range slices.Concat(tenants, many) {
			s.many[tenant] = struct{}{}
		}
		s.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-time.After(200 * time.Millisecond):
		}
		s.nudge()
	}
}

func (s *Service) takeIn(ctx context.Context, tenants, users []string) error {
	err := s.app.TakeIn(ctx, tenants, users)
	if err != nil && ctx.Err() == nil {
		s.deps.Telemetry.Log.WarnContext(ctx, "rbac: a tenant's state is not part of its policy yet; will try again", "error", err)
	}
	return err
}
