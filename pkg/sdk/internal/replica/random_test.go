package replica

import (
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/decision"
	"github.com/buildify/core/pkg/sdk/internal/coretest"
)

// Whatever happens to the link and in the core: what is decided locally is what
// the core decided at that revision, and nothing that was committed longer than
// MaxStaleness ago is missing.
func TestNoDecisionIsWrongOrOlderThanTheBound(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			onStage(t, func(s *stage) {
				s.core.SetPageSize([]int{0, 3, 10, 50}[seed%4])
				local, asked := s.storm(rand.New(rand.NewPCG(seed, 1)), 5*time.Minute)
				t.Log("local:", local, "asked:", asked)
				require.Greater(t, local, 100)
				require.Greater(t, asked, 100)
				s.link.set(func() { s.link.delay, s.link.drop = nil, nil })
				s.link.sever(false)
				time.Sleep(30 * time.Second) // it comes back by itself
				for n := 1; n <= tenants; n++ {
					tenant := coretest.Tenant(n)
					s.core.Show(tenant, true)
					time.Sleep(time.Second)
					p := s.Policy(tenant, s.core.Revision(tenant))
					require.NotNil(t, p, "%s %+v", s.log, s.State())
					same(t, s.core.At(tenant, p.Revision()), p)
				}
			})
		})
	}
}

const tenants = 3

// storm changes policies and spoils the link for a while, and holds all that is
// decided locally against what the core knew.
func (s *stage) storm(random *rand.Rand, lasting time.Duration) (local, asked int) {
	hidden := map[string]bool{}
	noise := rand.New(rand.NewPCG(random.Uint64(), 2)) // for the link, which has goroutines of its own
	var mu sync.Mutex
	mood := func(most time.Duration) func() time.Duration {
		return func() time.Duration {
			mu.Lock()
			defer mu.Unlock()
			return time.Duration(noise.Int64N(int64(most)))
		}
	}
	for end := time.Now().Add(lasting); time.Now().Before(end); {
		tenant := coretest.Tenant(1 + random.IntN(tenants))
		user := 1 + random.IntN(30)
		switch n := random.IntN(1000); {
		case n < 300:
			s.core.Change(tenant, coretest.Grant(user))
		case n < 500:
			s.core.Change(tenant, coretest.Revoke(user), coretest.Grant(user+1))
		case n < 520: // told late, and out of order
			a, b := s.core.Commit(tenant, coretest.Grant(user)), s.core.Commit(tenant, coretest.Revoke(user))
			s.core.Step(tenant, b, coretest.Revoke(user))
			s.core.Step(tenant, a, coretest.Grant(user))
		case n < 530: // told as another replica that loaded it would
			s.core.Tell(contract.PolicyFeedMessage{TenantID: tenant, Revision: s.core.Commit(tenant, coretest.Revoke(user)), Reset: true})
		case n < 535: // a step is not told, but its revision
			s.core.Commit(tenant, coretest.Grant(user))
			s.core.Repeat(tenant)
		case n < 545:
			hidden[tenant] = !hidden[tenant]
			s.core.Show(tenant, !hidden[tenant])
		case n < 550:
			s.core.Change(tenant, contract.PolicyChange{User: &contract.PolicyUser{ID: coretest.User(user), Removed: true}})
		case n < 553:
			s.link.sever(random.IntN(2) == 0)
		case n < 570:
			s.link.set(func() { s.link.down = false })
		case n < 575:
			delay := mood([]time.Duration{time.Millisecond, 100 * time.Millisecond, 6 * time.Second}[random.IntN(3)])
			s.link.set(func() { s.link.delay = delay })
		case n < 585:
			s.link.set(func() { s.link.delay = nil })
		}
		time.Sleep(time.Duration(random.Int64N(int64(100 * time.Millisecond))))
		for n := 1; n <= tenants; n++ {
			if s.holds(coretest.Tenant(n)) {
				local++
			} else {
				asked++
			}
		}
	}
	return local, asked
}

// holds checks what is decided locally about a tenant, if anything is.
func (s *stage) holds(tenant string) bool {
	now := time.Now()
	p := s.Policy(tenant, 0)
	if p == nil {
		return false
	}
	require.GreaterOrEqual(s, p.Revision(), s.core.CommittedBefore(tenant, now.Add(-stale)))
	want := s.core.At(tenant, p.Revision())
	for user := range 40 {
		q := decision.Question{User: coretest.User(user), Permission: read}
		require.Equal(s, want.Check(q, decision.Now), p.Check(q, decision.Now), "user %d", user)
	}
	return true
}
