package menu

import (
	"context"
	"strings"

	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/manifest"
)

// viewer is who looks at a menu, and what conditions ask about their tenant.
type viewer struct {
	user    kit.User
	enabled func(module string) bool
	setting func(module, key string) (value string, ok bool)
}

func (a *App) viewer(ctx context.Context, user kit.User) *viewer {
	return &viewer{
		user:    user,
		enabled: func(module string) bool { return a.Directory.Enabled(user.TenantID, module) },
		setting: func(module, key string) (string, bool) {
			if a.Settings == nil {
				return "", false
			}
			return a.Settings.Setting(ctx, user.TenantID, module, key)
		},
	}
}

// candidates are the nodes that the viewer sees if they hold the permissions.
func (v *viewer) candidates(nodes []node) (kept []node) {
	for _, n := range nodes {
		if v.candidate(&n) {
			n.children = v.candidates(n.children)
			kept = append(kept, n)
		}
	}
	return kept
}

func (v *viewer) candidate(n *node) bool {
	switch {
	case n.hidden, n.never,
		v.user.TenantID == "" && !n.anywhere,
		!v.user.Platform && strings.HasSuffix(n.permission, ":platform"): // no role of a tenant gives these
		return false
	}
	for _, condition := range n.when {
		if !v.fulfils(n.module, condition) {
			return false
		}
	}
	return true
}

// fulfils reports whether a condition of a module's item holds. What is not
// known does not.
func (v *viewer) fulfils(module string, c manifest.Condition) bool {
	switch {
	case c.Module != "":
		return v.enabled(c.Module) != c.Not
	case c.Setting != "":
		value, ok := v.setting(module, c.Setting)
		return ok && value == c.Value
	}
	return c.Platform && v.user.Platform
}
