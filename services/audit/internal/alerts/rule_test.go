package alerts

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
)

func TestWhichEventsARuleCounts(t *testing.T) {
	t.Parallel()
	e := entry{
		action: "auth.login.failed", outcome: "failure", source: "auth", user: "u1", resourceType: "login", resourceID: "r1", from: "192.0.2.1",
	}
	for _, c := range []struct {
		name string
		rule contract.AlertRule
		key  string
		ok   bool
	}{
		{"all", contract.AlertRule{}, "", true},
		{"a pattern", contract.AlertRule{Actions: []string{"x", "auth.login.*"}}, "", true},
		{"a pattern over all", contract.AlertRule{Actions: []string{"*.failed"}}, "", true},
		{"another pattern", contract.AlertRule{Actions: []string{"auth.login"}}, "", false},
		{"an outcome", contract.AlertRule{Outcome: "failure", Source: "auth", UserID: "u1", ResourceType: "login", ResourceID: "r1"}, "", true},
		{"another outcome", contract.AlertRule{Outcome: "success"}, "", false},
		{"another source", contract.AlertRule{Source: "crm"}, "", false},
		{"another user", contract.AlertRule{UserID: "u2"}, "", false},
		{"another resource", contract.AlertRule{ResourceType: "login", ResourceID: "r2"}, "", false},
		{"per actor", contract.AlertRule{Per: "actor"}, "u1", true},
		{"per address", contract.AlertRule{Per: "address"}, "192.0.2.1", true},
	} {
		key, ok := counts(c.rule, e)
		require.Equal(t, []any{c.key, c.ok}, []any{key, ok}, c.name)
	}
	_, ok := counts(contract.AlertRule{Per: "actor"}, entry{action: "x"})
	require.False(t, ok, "nobody is no actor")
	_, ok = counts(contract.AlertRule{Actions: []string{"*"}}, entry{action: ownAction})
	require.False(t, ok, "an alert never raises itself")
}

func TestATallySlidesAndIsQuietForTheCoolDown(t *testing.T) {
	t.Parallel()
	began := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	rule := completed(contract.AlertRule{Count: 3, WindowSeconds: 60, CoolDownSeconds: 100})
	for _, c := range []struct {
		name   string
		at     []int // seconds after began
		raised []int // which of them raise it
	}{
		{"too few", []int{0, 1}, nil},
		{"enough at once", []int{0, 0, 0}, []int{2}},
		{"within the window", []int{0, 30, 60}, []int{2}},
		{"not within the window", []int{0, 30, 61}, nil},
		{"the window slides", []int{0, 30, 61, 90}, []int{3}},
		{"quiet, and counting anew after it", []int{0, 1, 2, 3, 4, 5, 101, 102, 103, 104}, []int{2, 9}},
		{"late ones count by when they occurred", []int{0, 100, 30, 45}, []int{}},
		{"a late one may make it full", []int{50, 100, 60}, []int{2}},
		{"what is late and from before it was raised is in the quiet", []int{0, 1, 2, -5, -4, -3}, []int{2}},
	} {
		var counted tally
		var raised []int
		for i, at := range c.at {
			if _, full := counted.add(rule, began.Add(time.Duration(at)*time.Second)); full {
				raised = append(raised, i)
			}
			require.LessOrEqual(t, len(counted.times), rule.Count)
		}
		require.ElementsMatch(t, c.raised, raised, c.name)
	}
}
