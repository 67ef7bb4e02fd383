package events

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPatternsMatchNames(t *testing.T) {
	t.Parallel()
	for pattern, c := range map[string]struct{ yes, no []string }{
		"**":                {yes: []string{"auth.user.changed", "a.b.c"}},
		"auth.**":           {yes: []string{"auth.user.changed"}, no: []string{"authx.user.changed", "rbac.policy.changed", "auth"}},
		"auth.user.*":       {yes: []string{"auth.user.changed", "auth.user.administered"}, no: []string{"auth.login.failed", "auth.user", "auth.user.a.b"}},
		"*.*.changed":       {yes: []string{"auth.user.changed", "tenant.unit.changed"}, no: []string{"auth.login.failed"}},
		"auth.user.changed": {yes: []string{"auth.user.changed"}, no: []string{"auth.user.changed.x", "auth.user.change", "xauth.user.changed"}},
		"*":                 {no: []string{"auth.user.changed"}},
		"**.changed":        {no: []string{"auth.user.changed"}},
	} {
		for _, name := range c.yes {
			require.True(t, Matches([]string{"x.y.z", pattern}, name), "%s %s", pattern, name)
		}
		for _, name := range c.no {
			require.False(t, Matches([]string{"x.y.z", pattern}, name), "%s %s", pattern, name)
		}
	}
	require.False(t, Matches(nil, "auth.user.changed"))
}
