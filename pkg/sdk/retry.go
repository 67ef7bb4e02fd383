package sdk

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/sdk/internal/fault"
)

// retryPauses are the longest pauses before the second and the third try. A
// connection that broke is usually back within them.
var retryPauses = []time.Duration{100 * time.Millisecond, 400 * time.Millisecond}

// retrying repeats reads and decisions that ended unavailable. Mutations are
// never repeated: a lost answer does not tell whether the request arrived.
type retrying struct {
	Transport
	pauses []time.Duration
}

func (r retrying) Call(ctx context.Context, spec *contract.Spec, request []byte) ([]byte, error) {
	repeatable := spec.Audit == contract.AuditRead || spec.Audit == contract.AuditDecision
	for attempt := 0; ; attempt++ {
		answer, err := r.Transport.Call(ctx, spec, request)
		if err == nil || !repeatable || attempt == len(r.pauses) || !errors.Is(err, ErrUnavailable) {
			return answer, err
		}
		// Half of the pause is random, so that callers do not come back in step.
		pause := r.pauses[attempt]/2 + rand.N(r.pauses[attempt]/2+1) //nolint:gosec // jitter is no secret
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= pause {
			return nil, err // it tells more than a deadline would
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, fault.Context(ctx, spec)
		}
	}
}
