package registry

import (
	"fmt"
	"net/url"
	"slices"

	"github.com/buildify/core/pkg/manifest"
)

// news are what a version asks for, or could do, beyond the published version
// before it, each in a few words. Without one before it, that is all it asks
// for.
func news(m, before *manifest.Manifest) []string {
	if before == nil {
		before = &manifest.Manifest{}
	}
	all := []string{}
	add := func(format string, args ...any) { all = append(all, storable(fmt.Sprintf(format, args...), 300)) }
	for _, scope := range m.NewScopes(before) {
		add("scope %s", scope.Name)
	}
	risks := map[string]int{}
	for _, p := range before.Permissions {
		risks[p.Code] = risk(p.Risk)
	}
	for _, p := range m.Permissions {
		if risk(p.Risk) > risks[p.Code] {
			add("permission %s of risk %s", p.Code, p.Risk)
		}
	}
	for _, host := range m.Egress {
		if !slices.ContainsFunc(before.Egress, func(old string) bool { return old == host || manifest.HostMatches(old, host) }) {
			add("egress to %s", host)
		}
	}
	for _, heard := range m.Events.Subscribes {
		if !slices.Contains(before.Events.Subscribes, heard) {
			add("events %s", heard)
		}
	}
	for _, hook := range m.Hooks {
		if !slices.ContainsFunc(before.Hooks, func(old manifest.Hook) bool { return old.Event == hook.Event }) {
			add("hook %s", hook.Event)
		}
	}
	for _, slot := range m.Slots {
		if !slices.ContainsFunc(before.Slots, func(old manifest.Slot) bool { return old.Slot == slot.Slot }) {
			add("slot %s", slot.Slot)
		}
	}
	for _, need := range m.Requires {
		if !need.Optional && !slices.ContainsFunc(before.Requires, func(old manifest.Requirement) bool { return old.Module == need.Module && !old.Optional }) {
			add("module %s", need.Module)
		}
	}
	if now := backendOf(m); now != "" && now != backendOf(before) {
		add("backend %s", now)
	}
	if m.Storage != nil && (before.Storage == nil || m.Storage.QuotaMB > before.Storage.QuotaMB) {
		add("storage of %d MiB", m.Storage.QuotaMB)
	}
	return all
}

// risk is a permission's, as a number; low, which is the default, is 0.
func risk(name string) int {
	return max(slices.Index([]string{"low", "medium", "high", "critical"}, name), 0)
}

// backendOf names who answers for the module: the host that the platform calls,
// or how else it is reached.
func backendOf(m *manifest.Manifest) string {
	switch {
	case m.Backend == nil || m.Backend.Transport == "none":
		return ""
	case m.Backend.BaseURL == "":
		return m.Backend.Transport
	}
	base, err := url.Parse(m.Backend.BaseURL)
	if err != nil {
		return m.Backend.BaseURL
	}
	return base.Host
}
