package directory

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
)

func TestATenantsPeopleMakeNoMoreRequestsThanTheyMay(t *testing.T) {
	t.Parallel()
	var q quotas
	now := time.Now()
	limited := contract.Tenant{ID: "t1", Limits: &contract.Limits{RequestsPerMinute: 6}}
	for range 6 {
		require.NoError(t, q.take(limited, now))
	}
	err := q.take(limited, now)
	var refused *contract.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, []any{contract.RateLimited, "limits.requests_per_minute", 10}, []any{refused.Code, refused.Field, refused.RetryAfter})
	require.NoError(t, q.take(limited, now.Add(10*time.Second)), "it comes back evenly")
	require.Error(t, q.take(limited, now.Add(10*time.Second)))
	other := limited
	other.ID = "t2"
	require.NoError(t, q.take(other, now), "each tenant has its own")
	for _, unlimited := range []contract.Tenant{{ID: "t3"}, {ID: "t3", Limits: &contract.Limits{Users: 1}}} {
		for range 100 {
			require.NoError(t, q.take(unlimited, now))
		}
	}
	require.NotContains(t, q.whole, "t3")
}
