package manifest

import (
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/buildify/core/pkg/contract"
)

// NewScopes are the scopes that m asks for and old does not, or only as
// optional ones. A nil old asks for nothing.
func (m *Manifest) NewScopes(old *Manifest) []Scope {
	asked := map[string]Scope{}
	if old != nil {
		for _, scope := range old.Scopes {
			asked[scope.Name] = scope
		}
	}
	var fresh []Scope
	for _, scope := range m.Scopes {
		if before, ok := asked[scope.Name]; !ok || before.Optional && !scope.Optional {
			fresh = append(fresh, scope)
		}
	}
	return fresh
}

// Asks lists what m asks for, or could do, beyond old, each in a few words:
// scopes, permissions that are risky or whose risk changed, hosts, events that it
// hears, hooks, slots, modules it needs, another backend, more storage, another
// publisher. A nil old asks for nothing.
func (m *Manifest) Asks(old *Manifest) []string {
	if old == nil {
		old = &Manifest{Publisher: m.Publisher}
	}
	asks := []string{}
	ask := func(format string, args ...any) { asks = append(asks, fmt.Sprintf(format, args...)) }
	for _, scope := range m.NewScopes(old) {
		ask("scope %s", scope.Name)
	}
	risks := map[string]string{}
	for _, p := range old.Permissions {
		risks[p.Code] = p.risk()
	}
	for _, p := range m.Permissions {
		if before, known := risks[p.Code]; known && before != p.risk() {
			ask("permission %s of risk %s, was %s", p.Code, p.risk(), before)
		} else if !known && p.risk() != "low" {
			ask("permission %s of risk %s", p.Code, p.risk())
		}
	}
	for _, host := range m.Egress {
		if !slices.ContainsFunc(old.Egress, func(known string) bool { return HostMatches(known, host) }) {
			ask("egress to %s", host)
		}
	}
	for _, heard := range m.Events.Subscribes {
		if !slices.Contains(old.Events.Subscribes, heard) {
			ask("events %s", heard)
		}
	}
	for _, h := range m.Hooks {
		if !slices.ContainsFunc(old.Hooks, func(known Hook) bool { return known.Event == h.Event }) {
			ask("hook %s", h.Event)
		}
	}
	for _, s := range m.Slots {
		if !slices.ContainsFunc(old.Slots, func(known Slot) bool { return known.Slot == s.Slot }) {
			ask("slot %s", s.Slot)
		}
	}
	for _, r := range m.Requires {
		if !slices.ContainsFunc(old.Requires, func(known Requirement) bool { return known.Module == r.Module && (r.Optional || !known.Optional) }) {
			ask("module %s", r.Module)
		}
	}
	if now := m.answerer(); now != "" && now != old.answerer() {
		ask("backend %s", now)
	}
	if m.quota() > old.quota() {
		ask("storage of %d MiB", m.quota())
	}
	if m.Publisher.Name != old.Publisher.Name {
		ask("publisher %s, was %s", m.Publisher.Name, old.Publisher.Name)
	}
	return asks
}

// AsksForNothingNew reports whether whoever approved old may be taken to
// approve m too.
func (m *Manifest) AsksForNothingNew(old *Manifest) bool {
	return old != nil && len(m.Asks(old)) == 0
}

func (p Permission) risk() string {
	if p.Risk == "" {
		return "low"
	}
	return p.Risk
}

// answerer names who answers for the module: the host that the platform calls, or
// how else it is reached; empty is nobody.
func (m *Manifest) answerer() string {
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
	return strings.ToLower(base.Host)
}

func (m *Manifest) quota() int {
	if m.Storage == nil {
		return 0
	}
	return m.Storage.QuotaMB
}

// Declared are the permissions as rbac takes them, their titles in the default
// language.
func (m *Manifest) Declared() []contract.DeclaredPermission {
	declared := make([]contract.DeclaredPermission, 0, len(m.Permissions))
	for _, p := range m.Permissions {
		declared = append(declared, contract.DeclaredPermission{Code: p.Code, Category: p.Category, Title: cmp.Or(m.Say(p.Title), p.Code), Risk: p.Risk})
	}
	return declared
}

// Digest is the SHA-384 of the file in hexadecimal, as the registry's assets
// are named; empty when the manifest's is malformed.
func (f File) Digest() string {
	sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(f.SHA384, "sha384-"))
	if err != nil || len(sum) != 48 {
		return ""
	}
	return hex.EncodeToString(sum)
}
