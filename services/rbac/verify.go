package rbac

import (
	"context"
	"time"
)

const (
	// verifyInterval lies between two tenants that are held against the database.
	verifyInterval = 100 * time.Millisecond
	// verifyRest follows each round over all tenants.
	verifyRest = 30 * time.Second
)

// verifyAll holds the engine's policies against the database, one after the
// other, for as long as the service runs. Whatever makes them differ is a fault
// of ours: it is told loudly, and mended.
func (s *Service) verifyAll(ctx context.Context) {
	pause := func(d time.Duration) bool {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(d):
			return true
		}
	}
	for pause(verifyRest) {
		for tenant := range s.app.Engine.Tenants() {
			if !pause(verifyInterval) {
				return
			}
			s.verify(ctx, tenant)
			_ = s.takeIn(ctx, []string{tenant}, nil) // logged; the next round tries again
		}
	}
}

// verify compares a tenant's policy with the database's, at one revision.
func (s *Service) verify(ctx context.Context, tenant string) {
	stored, err := s.app.Read(ctx, tenant)
	if err != nil {
		return // told by the poll
	}
	held := s.app.Engine.Policy(tenant)
	if held == nil || held.Revision() != stored.Revision() {
		return // changed meanwhile
	}
	s.metrics.verified.Inc()
	if held.Digest() == stored.Digest() {
		return
	}
	s.metrics.mismatches.Inc()
	s.deps.Telemetry.Log.Error("rbac: a policy in memory differs from the database; it was loaded anew",
		"tenant_id", tenant, "revision", held.Revision())
	s.app.Engine.Put(tenant, stored)
	s.reset(tenant)
}
