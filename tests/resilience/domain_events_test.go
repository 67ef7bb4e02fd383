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
	last := c.PutRole(t, "last", c.Module+":a:b").Revision
	revisions, made := map[int64]int{}, map[string]int{}
	require.Eventually(t, func() bool {
		clear(revisions)
		clear(made)
		for _, item := range trail(t, s, c, "rbac.policy.changed") {
			var change events.PolicyStep
			require.NoError(t, json.Unmarshal(item.Details, &change))
			revisions[change.Revision]++
			for _, c := range change.Changes {
				if c.Role != nil {
					made[c.Role.Name]++
				}
			}
		}
		return int64(len(revisions)) >= last
	}, 2*stack.Timeout, 50*time.Millisecond, "every committed change is in the trail")
	for revision := range last {
		require.Equal(t, 1, revisions[revision+1], "revision %d", revision+1)
	}
	for i := range changes {
		require.Equal(t, 1, made[fmt.Sprintf("role%d", i)], "role %d", i)
	}
	whole := trail(t, s, c, "")
	for i, item := range whole {
		require.EqualValues(t, len(whole)-i, item.Sequence, "the sequence has no gap")
	}
}
