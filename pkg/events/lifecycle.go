package events

import "github.com/buildify/core/pkg/contract"

// The events by which services make a tenant and end it together
// (docs/tenants.md). Each is the outcome of one step, told by who did it, and
// begins the next; whoever reads one again does nothing twice.
//
//	tenant  TenantProvisioning ──▶ auth  AdministratorReady ──▶ rbac  AdministratorBound ──▶ tenant
//	                                     AdministratorRefused ──▶ tenant
//	tenant  TenantErasing ──▶ auth, rbac, audit  TenantErased ──▶ tenant
//	                          auth  GuestsErased ──▶ rbac
var (
	// TenantProvisioning asks for the first administrator of a tenant: data
	// TenantProvision.
	TenantProvisioning = Kind{"tenant", "tenant", "provisioning"}
	// AdministratorReady says that the administrator has an account, which
	// belongs to the tenant: data TenantProvision, without the address.
	AdministratorReady = Kind{"auth", "administrator", "ready"}
	// AdministratorRefused says that there will be none: data AdministratorRefusal.
	AdministratorRefused = Kind{"auth", "administrator", "refused"}
	// AdministratorBound says that the administrator has the role: data
	// TenantProvision, without the address.
	AdministratorBound = Kind{"rbac", "administrator", "bound"}

	// TenantErasing asks every service to erase what it has of a tenant: data
	// TenantErasure. It is the platform's event: of the tenant nothing is told
	// any more.
	TenantErasing = Kind{"tenant", "tenant", "erasing"}

	// GuestsErased has rbac forget people who were erased with a tenant where
	// they were guests: data TenantGuests, the platform's event.
	GuestsErased = Kind{"auth", "guests", "erased"}

	// TenantAdministered says what was done to a tenant: data TenantChange.
	TenantAdministered = Kind{"tenant", "tenant", "administered"}
)

// TenantErased is a service's confirmation of TenantErasing: data
// TenantErasure, the platform's event too.
func TenantErased(service string) Kind { return Kind{service, "tenant", "erased"} }

// TenantProvision is the data of the steps by which a tenant is made. UserID is
// chosen before there is such a user; from AdministratorReady on it may be
// another one's, who had an account.
type TenantProvision struct {
	TenantID      string                        `json:"tenant_id"`
	UserID        string                        `json:"user_id"`
	Administrator *contract.TenantAdministrator `json:"administrator,omitempty" pii:"true"`
	// Revision is the user's, from AdministratorReady on.
	Revision int64 `json:"revision,omitempty"`
}

// AdministratorRefusal is the data of AdministratorRefused: Code, Field and
// Reason are what the one who asked for the tenant is told.
type AdministratorRefusal struct {
	TenantID string        `json:"tenant_id"`
	Code     contract.Code `json:"code"`
	Field    string        `json:"field,omitempty"`
	Reason   string        `json:"reason"`
}

// TenantErasure is the data of the steps by which a tenant is erased: how many
// rows of what, by table, a service had of it.
type TenantErasure struct {
	TenantID string           `json:"tenant_id"`
	Counts   map[string]int64 `json:"counts,omitempty"`
}

// TenantGuests is the data of GuestsErased: some of the people who were erased
// with a tenant, with the others that they belonged to.
type TenantGuests struct {
	TenantID string            `json:"tenant_id"`
	Guests   []contract.Member `json:"guests"`
}

// TenantChange is the data of TenantAdministered: what was done, such as
// "created", "suspended" or "erased", the fields it touched, and why.
type TenantChange struct {
	TenantID string   `json:"tenant_id"`
	Change   string   `json:"change"`
	Fields   []string `json:"fields,omitempty"`
	Reason   string   `json:"reason,omitempty"`
}
