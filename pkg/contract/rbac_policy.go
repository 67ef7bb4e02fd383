package contract

import "time"

// PolicyChange is one entity of a tenant's policy as it is from a revision on;
// exactly one member is set. A policy is the sum of its changes, so a snapshot
// is a list of them too, and an entity that comes again replaces what was known
// of it.
type PolicyChange struct {
	Tenant  *PolicyTenant  `json:"tenant,omitempty"`
	Module  *PolicyModule  `json:"module,omitempty"`
	Unit    *PolicyUnit    `json:"unit,omitempty"`
	Role    *PolicyRole    `json:"role,omitempty"`
	Group   *PolicyGroup   `json:"group,omitempty"`
	Member  *PolicyMember  `json:"member,omitempty"`
	User    *PolicyUser    `json:"user,omitempty"`
	Binding *PolicyBinding `json:"binding,omitempty"`
}

// PolicyTenant says whether the tenant is active. Nothing is allowed in one
// that is not.
type PolicyTenant struct {
	Active bool `json:"active"`
}

// PolicyModule says whether the tenant has a module enabled. The permissions of
// one that is not are without effect.
type PolicyModule struct {
	Name    string `json:"name"`
	Enabled bool   `json:"enabled"`
}

// PolicyUnit is a company, branch or department of the org tree.
type PolicyUnit struct {
	ID string `json:"id"`
	// ParentID is empty for a company.
	ParentID string `json:"parent_id,omitempty"`
	Removed  bool   `json:"removed,omitempty"`
}

// PolicyRole is a role with its granted codes. Bindings to a role that is
// removed, or not known, are without effect.
type PolicyRole struct {
	ID          string   `json:"id"`
	Name        string   `json:"name,omitempty"`
	Permissions []string `json:"permissions,omitempty"`
	Removed     bool     `json:"removed,omitempty"`
}

// PolicyGroup is a group of users. Bindings and memberships of a group that is
// removed are without effect.
type PolicyGroup struct {
	ID      string `json:"id"`
	Name    string `json:"name,omitempty"`
	Removed bool   `json:"removed,omitempty"`
}

// PolicyMember says that a user belongs to a group.
type PolicyMember struct {
	GroupID string `json:"group_id"`
	UserID  string `json:"user_id"`
	Removed bool   `json:"removed,omitempty"`
}

// PolicyUser is a user of whom there is more to say than their bindings and
// memberships. Nothing is allowed to a suspended one; of a removed one all
// bindings and memberships are gone.
type PolicyUser struct {
	ID        string `json:"id"`
	Suspended bool   `json:"suspended,omitempty"`
	Removed   bool   `json:"removed,omitempty"`
}

// PolicyBinding gives a role to a user or to a group, or with Deny takes what
// the role grants away. Its scope is the tenant, unless it names a unit (and all
// units below it) or a resource.
type PolicyBinding struct {
	ID           string     `json:"id"`
	UserID       string     `json:"user_id,omitempty"`
	GroupID      string     `json:"group_id,omitempty"`
	RoleID       string     `json:"role_id"`
	Deny         bool       `json:"deny,omitempty"`
	UnitID       string     `json:"unit_id,omitempty"`
	ResourceType string     `json:"resource_type,omitempty"`
	ResourceID   string     `json:"resource_id,omitempty"`
	ExpiresAt    *time.Time `json:"expires_at,omitempty"` // the binding is without effect from then on
	Removed      bool       `json:"removed,omitempty"`
}

// PolicySnapshot pages through the policies of the tenants that the calling
// module sees, cut down to what concerns the module's own permissions.
var PolicySnapshot = Register[PolicySnapshotRequest, PolicySnapshotResponse](AuditRead, Spec{
	Name: "rbac.snapshot", Method: "GET", Path: "/api/v1/core/rbac/snapshot",
	Access:  Module,
	Errors:  []Code{NotFound, Conflict},
	Summary: "Pages through the policies that decide about a module's permissions, for local decisions.",
})

// PolicySnapshotRequest pages. A page is of one moment, but pages differ: what
// changed meanwhile must be taken from the feed, whose changes are applied on
// top from the first page's revision on.
type PolicySnapshotRequest struct {
	TenantID ID     `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"Only this tenant; default is every one that the module sees."`
	Cursor   string `json:"cursor,omitempty" query:"cursor" maxLength:"300" doc:"next_cursor of the page before."`
	AtLeast  int64  `json:"at_least,omitempty" query:"at_least" minimum:"0" doc:"With tenant_id: answer from this revision of the tenant's policy on, or conflict."`
}

// PolicySnapshotResponse is one page: parts of the policies of some tenants.
type PolicySnapshotResponse struct {
	Items      []PolicyPart `json:"items"`
	NextCursor string       `json:"next_cursor,omitempty"`
	// Feed is where the changes are told on the bus: the subjects that the
	// caller's key may subscribe to.
	Feed []string `json:"feed" doc:"The bus subjects on which changes are told to this key."`
	// Now is the core's clock, by which AsOf of the feed's beats is read.
	Now time.Time `json:"now" doc:"The core's clock when it answered."`
}

// PolicyPart is a part of a tenant's policy, as of a revision. A tenant that
// does not fit a page goes on in the next one.
type PolicyPart struct {
	TenantID string         `json:"tenant_id"`
	Revision int64          `json:"revision"`
	Changes  []PolicyChange `json:"changes"`
	// More says that the tenant goes on in the next page.
	More bool `json:"more,omitempty"`
}

// PolicyFeed tells a module of changes to the policies that it sees.
var PolicyFeed = RegisterStream[PolicyFeedMessage](AuditRead, Spec{
	Name: "rbac.feed", Method: "GET", Path: "/api/v1/core/rbac/feed",
	Access:  Module,
	Summary: "Streams changes of the policies that a module sees, for local decisions.",
})

// PolicyFeedMessage is one message of the feed.
//
// A beat has AsOf and no tenant. Any other is about a tenant: with Changes it
// is the step from the revision before to Revision; without, it repeats that
// the policy is at Revision now. Reset says that the step cannot be told: a
// snapshot of the tenant must be taken. Gone says that the module does not see
// the tenant any more.
type PolicyFeedMessage struct {
	TenantID string         `json:"tenant_id,omitempty"`
	Revision int64          `json:"revision,omitempty"`
	Changes  []PolicyChange `json:"changes,omitempty"`
	Step     bool           `json:"step,omitempty" doc:"Changes, perhaps none, lead from the revision before to this one."`
	Reset    bool           `json:"reset,omitempty"`
	Gone     bool           `json:"gone,omitempty"`
	// AsOf makes it a beat: everything that was committed before, by the core's
	// clock, has been told.
	AsOf *time.Time `json:"as_of,omitempty"`
}

// FeedSubject is where the bus tells module of a tenant's policy; FeedBeats in
// place of the tenant is where its beats are, "*" matches all.
func FeedSubject(module, tenant string) string { return StreamSubject(PolicyFeed.Spec, module, tenant) }

// FeedBeats stands for the tenant in the FeedSubject of beats.
const FeedBeats = "beat"

// HeaderFeed marks what the bus carries on a StreamSubject; its value says
// nothing. Who reads a stream on the bus drops what comes without it: a module
// may name another's StreamSubject as the reply of its own request, and the
// answer then arrives there.
const HeaderFeed = "Buildify-Feed"
