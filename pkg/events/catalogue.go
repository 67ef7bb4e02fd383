package events

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/buildify/core/pkg/contract"
)

// Audience says who may be told of a kind of event, beside the services. Each
// audience includes those after it.
type Audience string

// The audiences.
const (
	// ForModules is for modules that subscribe to it, about tenants that
	// consented.
	ForModules Audience = "modules"
	// ForTenants is for the tenant that it is about: its trail, its webhooks.
	ForTenants Audience = "tenants"
	// ForPlatform is for platform administrators.
	ForPlatform Audience = "platform"
	// ForServices is for the services of the core alone.
	ForServices Audience = "services"
)

// Includes reports whether an event for a may be told to those of b.
func (a Audience) Includes(b Audience) bool {
	order := []Audience{ForModules, ForTenants, ForPlatform, ForServices}
	return slices.Index(order, a) <= slices.Index(order, b)
}

// Definition is what the catalogue says of a kind.
type Definition struct {
	Kind     Kind     `json:"-"`
	Name     string   `json:"name"` // as manifests write it
	Type     string   `json:"type"`
	Version  int      `json:"version"`
	Summary  string   `json:"summary"`
	Audience Audience `json:"audience"`
	Stream   string   `json:"stream"`
	// Subject is where it is published, {tenant} standing for the tenant's id or
	// Platform.
	Subject string `json:"subject"`
	// Personal are the members of the data that are about a person and may be
	// erased, as dotted paths; [] stands for each item of a list.
	Personal []string `json:"personal,omitempty"`
	// Schema is the JSON Schema (2020-12) of the data.
	Schema json.RawMessage `json:"schema"`

	data reflect.Type
}

// Name is the kind as manifests and webhooks write it: service, entity, verb.
func (k Kind) Name() string { return k.Service + "." + k.Entity + "." + k.Verb }

// Catalogue returns the definition of every kind that the platform publishes,
// sorted by name. It must not be changed.
func Catalogue() []Definition { return catalogue() }

// Lookup finds the definition of a CloudEvents type.
func Lookup(eventType string) (Definition, bool) {
	all := catalogue()
	i := slices.IndexFunc(all, func(d Definition) bool { return d.Type == eventType })
	if i < 0 {
		return Definition{}, false
	}
	return all[i], true
}

var catalogue = sync.OnceValue(func() []Definition {
	all := slices.Concat(tenantKinds(), identityKinds(), policyKinds(), trailKinds())
	for i := range all {
		d := &all[i]
		d.Name, d.Type, d.Version = d.Kind.Name(), d.Kind.Type(), 1
		if d.Stream == "" {
			d.Stream, d.Subject = EventsStream, d.Kind.Subject("{tenant}")
		}
		d.Schema, d.Personal = schemaOf(d.data)
	}
	slices.SortFunc(all, func(a, b Definition) int { return strings.Compare(a.Name, b.Name) })
	return all
})

// defined is an entry of the catalogue: a kind with data of type T.
func defined[T any](kind Kind, audience Audience, summary string) Definition {
	return Definition{Kind: kind, Audience: audience, Summary: summary, data: reflect.TypeFor[T]()}
}

// each is an entry for every service that publishes a kind.
func each[T any](of func(service string) Kind, audience Audience, summary string, services ...string) (all []Definition) {
	for _, service := range services {
		all = append(all, defined[T](of(service), audience, summary))
	}
	return all
}

func tenantKinds() []Definition {
	return append([]Definition{
		defined[contract.Tenant](TenantChanged, ForModules, "A tenant changed: its state after the change."),
		defined[TenantChange](TenantAdministered, ForTenants, "What was done to a tenant, and why."),
		defined[contract.Activation](ModuleChanged, ForModules, "A tenant enabled, disabled, changed or removed a module."),
		defined[SettingsChange](SettingsChanged, ForModules, "Settings changed; which ones, never their values."),
		defined[HookCall](HookCalled, ForTenants, "A module was told what happened to it in a tenant."),
		defined[HookCall](HookAcknowledged, ForTenants, "A module did its part of what it was told."),
		defined[contract.ModuleState](ModuleStateChanged, ForPlatform, "A module or some of its versions were suspended, or are no longer."),
		defined[VersionChange](VersionChanged, ForTenants, "What became of a version of a module; told to the tenant that owns the module."),
		defined[contract.OrgUnit](UnitChanged, ForModules, "A company, branch or department changed: its state after the change."),
		defined[MenuChange](MenuChanged, ForModules, "A tenant changed what it overrides of the menu."),
		defined[TenantProvision](TenantProvisioning, ForServices, "A tenant is being made and wants its first administrator."),
		defined[TenantErasure](TenantErasing, ForServices, "A tenant is being erased: every service erases what it has of it."),
	}, each[TenantErasure](TenantErased, ForServices, "A service erased what it had of a tenant.", "audit", "auth", "rbac", "tenant")...)
}

func identityKinds() []Definition {
	return []Definition{
		defined[contract.Member](UserChanged, ForServices, "A user changed: whether they are active, and the tenants they belong to."),
		defined[UserChange](UserAdministered, ForModules, "What was done to a user's account, such as created, disabled or deleted, and the fields it touched."),
		defined[AuthPolicy](AuthPolicyChanged, ForTenants, "A tenant's password or sign-in policy changed."),
		defined[Login](LoginSucceeded, ForTenants, "Somebody logged in."),
		defined[Login](LoginFailed, ForTenants, "A login failed; the reason is for administrators, the caller is not told it."),
		defined[Login](LoginChallenged, ForTenants, "A login proved its first factor and waits for another."),
		defined[Login](RefreshReused, ForTenants, "A spent refresh token came again: it was stolen, or its client is broken; the session ended."),
		defined[Login](TenantSwitched, ForTenants, "A session acts in another tenant from now on."),
		defined[EndedSessions](SessionsEnded, ForTenants, "Sessions ended: their access tokens are revoked."),
		defined[FactorChange](FactorChanged, ForTenants, "A second factor was added or removed."),
		defined[KeyChange](KeyCreated, ForTenants, "An API key of a module was made."),
		defined[KeyChange](KeyExpiring, ForTenants, "An API key of a module expires soon."),
		defined[KeyChange](KeyEnded, ForTenants, "An API key of a module was revoked: its connections are cut."),
		defined[SigningKeys](SigningKeysChanged, ForPlatform, "The keys that sign access tokens changed."),
		defined[BusRefusal](BusRefused, ForPlatform, "The bus turned clients away."),
		defined[TenantProvision](AdministratorReady, ForServices, "The first administrator of a new tenant has an account."),
		defined[AdministratorRefusal](AdministratorRefused, ForServices, "A new tenant cannot have the administrator that was asked for."),
		defined[TenantGuests](GuestsErased, ForServices, "People were erased with a tenant, who were guests of others."),
	}
}

func policyKinds() []Definition {
	return []Definition{
		defined[PolicyStep](PolicyChanged, ForTenants, "A step of a tenant's policy: roles, groups, bindings, the units they hold for."),
		defined[PermissionsDeclaration](PermissionsDeclared, ForPlatform, "A module's permissions changed."),
		defined[TenantProvision](AdministratorBound, ForServices, "The first administrator of a new tenant has the role."),
	}
}

func trailKinds() []Definition {
	calls := each[CallBatch](CallsRecorded, ForServices, "Calls that a service answered, compressed.", "audit", "auth", "rbac", "tenant")
	for i := range calls {
		calls[i].Stream, calls[i].Subject = AccessStream, AccessSubject(calls[i].Kind.Service)
	}
	return append(calls,
		defined[AlertRaising](AlertRaised, ForTenants, "A tenant's trail shows what one of its alerts looks for."),
		defined[AlertChange](AlertChanged, ForTenants, "An alert was made, changed or deleted."),
		defined[RetentionChange](RetentionChanged, ForPlatform, "A tenant's trail is kept for another time from now on."),
		defined[RetentionRun](RetentionApplied, ForPlatform, "Records whose time was over were removed."),
		defined[HoldChange](HoldChanged, ForPlatform, "A legal hold was placed or released."),
		defined[PersonShred](PersonShredded, ForTenants, "What is personal of somebody in the trail cannot be read any more."),
		defined[WebhookChange](WebhookChanged, ForTenants, "A webhook was made, changed or deleted."),
		defined[WebhookChange](WebhookDisabled, ForTenants, "Nothing is sent to a webhook any more, which nobody asked for."),
		defined[WebhookChange](WebhookTest, ForTenants, "A webhook is being tried."),
		defined[DeadLetterChange](DeadLetterRetried, ForPlatform, "A record was made of a dead letter after all."),
		defined[DeadLetterChange](DeadLetterDiscarded, ForPlatform, "A dead letter was removed."),
	)
}
