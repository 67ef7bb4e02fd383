package resilience

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/tests/stack"
)

// The audit service and the one whose changes it records are killed in turn.
func TestEveryCommittedChangeIsInTheTrailOnceAcrossKills(t *testing.T) {
	t.Parallel()
	s := stack.Processes(t)
	c := s.Company(t)
	const changes = 60
	for i := range changes {
		c.PutRole(t, fmt.Sprintf("role%d", i), c.Module+":a:b")
		switch i % 20 {
		case 9, 19:
			s.Processes["audit"].Kill()
			s.Processes["audit"].Start()
		case 14:
			s.Processes["rbac"].Kill()
			s.Processes["rbac"].Start()
		}
	}
	const all = 4 + changes // two roles and two bindings of the company's own
	revisions := map[int64]int{}
	require.Eventually(t, func() bool {
		clear(revisions)
		for _, item := range trail(t, s, c, "rbac.policy.changed") {
			var change events.PolicyChanged
			require.NoError(t, json.Unmarshal(item.Details, &change))
			revisions[change.Revision]++
		}
		return len(revisions) >= all
	}, 2*stack.Timeout, 50*time.Millisecond, "every committed change is in the trail")
	require.Len(t, revisions, all)
	for revision, times := range revisions {
		require.Equal(t, 1, times, "revision %d", revision)
	}
	whole := trail(t, s, c, "")
	for i, item := range whole {
		require.EqualValues(t, len(whole)-i, item.Sequence, "the sequence has no gap")
	}
}
