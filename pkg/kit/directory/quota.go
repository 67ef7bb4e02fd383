package directory

import (
	"fmt"
	"sync"
	"time"

	"github.com/buildify/core/pkg/contract"
)

// quotas counts the requests of tenants' people where their tokens are verified:
// in each replica of each service. A tenant may spend its minute at once; it
// comes back evenly. Only tenants with a limit are counted.
type quotas struct {
	mu    sync.Mutex
	whole map[string]time.Time // when each tenant's quota is whole again
}

// take takes one request from the tenant's quota, or answers rate_limited.
func (q *quotas) take(tenant contract.Tenant, now time.Time) error {
	if tenant.Limits == nil || tenant.Limits.RequestsPerMinute == 0 {
		return nil
	}
	each := time.Minute / time.Duration(tenant.Limits.RequestsPerMinute)
	q.mu.Lock()
	defer q.mu.Unlock()
	whole := q.whole[tenant.ID]
	if whole.Before(now) {
		whole = now
	}
	whole = whole.Add(each)
	if over := whole.Sub(now) - time.Minute; over > 0 {
		return &contract.Error{
			Code: contract.RateLimited, Field: "limits.requests_per_minute", RetryAfter: int((over + time.Second - 1) / time.Second),
			Message: fmt.Sprintf("the tenant's people may make %d requests a minute, and have", tenant.Limits.RequestsPerMinute),
		}
	}
	if q.whole == nil {
		q.whole = map[string]time.Time{}
	}
	q.whole[tenant.ID] = whole
	return nil
}
