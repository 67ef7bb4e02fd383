package webhooks

import (
	"strings"
	"sync"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
)

// Consents are Grants by what tenants consented to: the scopes events:<types>
// that a module's manifest asks for with what it subscribes to. A module without
// a manifest hears nothing.
type Consents struct {
	// Activations tells what a module is in an active tenant, as
	// directory.Directory does.
	Activations interface {
		Activation(tenant, module string) contract.Activation
	}
}

// Hears implements Grants.
func (c Consents) Hears(module, tenant, eventType string) bool {
	a := c.Activations.Activation(tenant, module)
	if !a.Enabled || a.Scopes == nil || !forModules()[eventType] {
		return false
	}
	for _, scope := range *a.Scopes {
		if pattern, ok := strings.CutPrefix(scope, "events:"); ok && events.Matches([]string{pattern}, eventType) {
			return true
		}
	}
	return false
}

// forTenants and forModules are the types that the catalogue has for them.
var (
	forTenants = sync.OnceValue(func() map[string]bool { return audience(events.ForTenants) })
	forModules = sync.OnceValue(func() map[string]bool { return audience(events.ForModules) })
)

func audience(who events.Audience) map[string]bool {
	all := map[string]bool{}
	for _, d := range events.Catalogue() {
		all[d.Name] = d.Stream == events.EventsStream && d.Audience.Includes(who)
	}
	return all
}

// public reports whether tenants hear events of the type of their own.
func public(eventType string) bool { return forTenants()[eventType] }
