package contract

import (
	"encoding/json"
	"slices"
	"time"
)

// Finding is something that a check, or a reviewer, found in a module version.
type Finding struct {
	Code     string `json:"code" maxLength:"60" doc:"A stable word: schema, namespace, compat, hash …"`
	Severity string `json:"severity" enum:"error,warning,info"`
	Path     string `json:"path,omitempty" maxLength:"500" doc:"JSON pointer (RFC 6901) into the manifest, or the path of a file."`
	Line     int    `json:"line,omitempty" doc:"In the manifest as submitted, from 1."`
	Column   int    `json:"column,omitempty"`
	Message  string `json:"message" maxLength:"2000" doc:"What is wrong, and the fix."`
}

// RegisteredModule is a module that the registry knows.
type RegisteredModule struct {
	ID         string    `json:"id" example:"financial"`
	Name       string    `json:"name" doc:"For people, as the latest published version says."`
	Category   string    `json:"category,omitempty"`
	OwnerID    string    `json:"owner_id" format:"uuid" doc:"The tenant whose people publish it."`
	Visibility string    `json:"visibility" enum:"all,allow_list,hidden" doc:"Which tenants may install it; those that have it keep it."`
	TenantIDs  []string  `json:"tenant_ids,omitempty" doc:"With allow_list, the tenants that may; for its owner and the platform."`
	Suspended  string    `json:"suspended,omitempty" doc:"Why the whole module is suspended; empty when it is not."`
	Latest     string    `json:"latest,omitempty" doc:"The latest published version that the asking tenant may install."`
	CreatedAt  time.Time `json:"created_at"`
	Revision   int64     `json:"revision" doc:"Grows with each change; If-Match takes it."`
}

// ModuleVersion is one version of a module.
//
//	draft ── submit ──▶ submitted ── review ──▶ approved ── publish ──▶ published ── deprecate ──▶ deprecated
//	  ▲                     │                                               │                        │
//	  └── put ── rejected ◀─┘ review                                        └── suspend ⇄ resume ────┘ (a flag beside the state)
type ModuleVersion struct {
	Module      string          `json:"module"`
	Version     string          `json:"version"`
	State       string          `json:"state" enum:"draft,submitted,approved,rejected,published,deprecated"`
	Suspended   string          `json:"suspended,omitempty" doc:"Why it is suspended; empty when it is not."`
	Manifest    json.RawMessage `json:"manifest,omitempty" doc:"The manifest, version 2."`
	Findings    []Finding       `json:"findings" doc:"What the checks, and the reviewer, found."`
	Asks        []string        `json:"asks" doc:"What it asks for beyond the published version before it; empty asks for nothing new."`
	Files       []VersionFile   `json:"files,omitempty" doc:"The bundle."`
	Missing     []string        `json:"missing,omitempty" doc:"Digests of files that are not uploaded yet."`
	Automatic   bool            `json:"automatic,omitempty" doc:"Whether it was approved without a human, as it asks for nothing new."`
	Comment     string          `json:"comment,omitempty" doc:"The reviewer's, or why it is deprecated."`
	Rollout     *Rollout        `json:"rollout,omitempty" doc:"Who gets it while it is a canary; none is everybody."`
	SubmittedBy string          `json:"submitted_by,omitempty"`
	DecidedBy   string          `json:"decided_by,omitempty"`
	CreatedAt   time.Time       `json:"created_at"`
	SubmittedAt *time.Time      `json:"submitted_at,omitempty"`
	DecidedAt   *time.Time      `json:"decided_at,omitempty"`
	PublishedAt *time.Time      `json:"published_at,omitempty"`
	Revision    int64           `json:"revision" doc:"Grows with each change; If-Match takes it."`
}

// VersionFile is a file of a bundle.
type VersionFile struct {
	Path   string `json:"path"`
	SHA384 string `json:"sha384" doc:"As Subresource Integrity writes it: sha384- and base64."`
	Size   int64  `json:"size" doc:"In bytes."`
	Type   string `json:"type" doc:"Media type, by the file's extension."`
}

// Rollout limits a published version to some of the tenants.
type Rollout struct {
	Percent   int      `json:"percent" minimum:"0" maximum:"100" doc:"Of the tenants; each is in or out by its id, so raising it takes nobody out."`
	TenantIDs []string `json:"tenant_ids,omitempty" maxItems:"1000" format:"uuid" doc:"Tenants that get it in any case."`
}

// ModuleRequest names a module of the registry.
type ModuleRequest struct {
	TenantID   ID     `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	ModuleName string `json:"module_name" path:"module_name" pattern:"^[a-z][a-z0-9-]{1,62}$" doc:"The module's id."`
}

// VersionRequest names a version of a module.
type VersionRequest struct {
	TenantID   ID     `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	ModuleName string `json:"module_name" path:"module_name" pattern:"^[a-z][a-z0-9-]{1,62}$" doc:"The module's id."`
	Version    string `json:"version" path:"version" maxLength:"64" doc:"Semantic version."`
}

// PutVersion makes a draft, or replaces one that was not approved.
var PutVersion = Register[PutVersionRequest, ModuleVersion](AuditMutation, Spec{
	Name: "tenant.put_version", Method: "PUT", Path: "/api/v1/registry/modules/{module_name}/versions/{version}",
	Access: User | Internal, Permission: "modules:submit:tenant",
	Errors:  []Code{NotFound, Conflict},
	Summary: "Creates a draft of a module version from its manifest, or replaces one. The first makes the module, owned by the tenant.",
})

// PutVersionRequest holds the manifest as written, so that findings name its
// lines.
type PutVersionRequest struct {
	TenantID   ID     `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	ModuleName string `json:"module_name" path:"module_name" pattern:"^[a-z][a-z0-9-]{1,62}$" doc:"The module's id."`
	Version    string `json:"version" path:"version" maxLength:"64" doc:"Semantic version."`
	Manifest   string `json:"manifest" maxLength:"262144" doc:"The manifest's text, version 2 or 1."`
}

// PutAsset stores a part of a file of a bundle, by the digest of the whole file.
var PutAsset = Register[PutAssetRequest, Asset](AuditMutation, Spec{
	Name: "tenant.put_asset", Method: "PUT", Path: "/api/v1/registry/assets/{digest}",
	Access: User | Internal, Permission: "modules:submit:tenant",
	Errors:  []Code{Conflict, NotFound},
	Summary: "Uploads a file of a bundle, in parts of up to 512 KiB; the digest is checked when the last has come.",
})

// PutAssetRequest is a part of a file.
type PutAssetRequest struct {
	TenantID ID     `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	Digest   string `json:"digest" path:"digest" pattern:"^[0-9a-f]{96}$" patternDescription:"a SHA-384 digest in hexadecimal" doc:"SHA-384 of the whole file, in hexadecimal."`
	Size     int64  `json:"size" minimum:"1" maximum:"8388608" doc:"Of the whole file, in bytes."`
	Offset   int64  `json:"offset,omitempty" minimum:"0" doc:"Where in the file the part begins; a multiple of 524288."`
	Data     []byte `json:"data" doc:"The part, in base64: 524288 bytes, the last one what is left."`
}

// Asset is a stored file.
type Asset struct {
	Digest   string `json:"digest"`
	Size     int64  `json:"size"`
	Complete bool   `json:"complete" doc:"Whether every part has come."`
}

// SubmitVersion runs the checks and asks for a review.
var SubmitVersion = Register[ChangeVersionRequest, ModuleVersion](AuditMutation, Spec{
	Name: "tenant.submit_version", Method: "POST", Path: "/api/v1/registry/modules/{module_name}/versions/{version}/submit",
	Access: User | Internal, Permission: "modules:submit:tenant", Timeout: 15 * time.Second,
	Errors:  []Code{NotFound, Conflict},
	Summary: "Checks a draft and submits it for review; with findings that are errors it stays a draft.",
})

// ChangeVersionRequest names a version whose state is to change.
type ChangeVersionRequest struct {
	TenantID   ID     `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	ModuleName string `json:"module_name" path:"module_name" pattern:"^[a-z][a-z0-9-]{1,62}$" doc:"The module's id."`
	Version    string `json:"version" path:"version" maxLength:"64" doc:"Semantic version."`
	Comment    string `json:"comment,omitempty" maxLength:"2000" doc:"Why; for people."`
	Revision   int64  `json:"revision,omitempty" match:"true" minimum:"0" doc:"When given, the version must still be at it; conflict otherwise. If-Match says the same."`
}

// ReviewVersion approves or rejects what was submitted.
var ReviewVersion = Register[ReviewVersionRequest, ModuleVersion](AuditMutation, Spec{
	Name: "tenant.review_version", Method: "POST", Path: "/api/v1/registry/modules/{module_name}/versions/{version}/review",
	Access: User | Internal, Permission: "modules:review:platform",
	Errors:  []Code{NotFound, Conflict},
	Summary: "Approves or rejects a submitted version, with findings.",
})

// ReviewVersionRequest is a reviewer's decision.
type ReviewVersionRequest struct {
	ModuleName string    `json:"module_name" path:"module_name" pattern:"^[a-z][a-z0-9-]{1,62}$" doc:"The module's id."`
	Version    string    `json:"version" path:"version" maxLength:"64" doc:"Semantic version."`
	Decision   string    `json:"decision" enum:"approve,reject"`
	Comment    string    `json:"comment,omitempty" maxLength:"2000" doc:"For the publisher; required to reject."`
	Findings   []Finding `json:"findings,omitempty" maxItems:"200" doc:"What the reviewer found, beside the checks."`
	Revision   int64     `json:"revision,omitempty" match:"true" minimum:"0" doc:"When given, the version must still be at it; conflict otherwise. If-Match says the same."`
}

// PublishVersion makes an approved version available.
var PublishVersion = Register[PublishVersionRequest, ModuleVersion](AuditMutation, Spec{
	Name: "tenant.publish_version", Method: "POST", Path: "/api/v1/registry/modules/{module_name}/versions/{version}/publish",
	Access: User | Internal, Permission: "modules:submit:tenant",
	Errors:  []Code{NotFound, Conflict},
	Summary: "Publishes an approved version, or changes the rollout of a published one.",
})

// PublishVersionRequest says who gets a version.
type PublishVersionRequest struct {
	TenantID   ID       `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	ModuleName string   `json:"module_name" path:"module_name" pattern:"^[a-z][a-z0-9-]{1,62}$" doc:"The module's id."`
	Version    string   `json:"version" path:"version" maxLength:"64" doc:"Semantic version."`
	Rollout    *Rollout `json:"rollout,omitempty" doc:"Who gets it; none is everybody."`
	Revision   int64    `json:"revision,omitempty" match:"true" minimum:"0" doc:"When given, the version must still be at it; conflict otherwise. If-Match says the same."`
}

// DeprecateVersion says that a published version should not be installed anew.
var DeprecateVersion = Register[ChangeVersionRequest, ModuleVersion](AuditMutation, Spec{
	Name: "tenant.deprecate_version", Method: "POST", Path: "/api/v1/registry/modules/{module_name}/versions/{version}/deprecate",
	Access: User | Internal, Permission: "modules:submit:tenant",
	Errors:  []Code{NotFound, Conflict},
	Summary: "Deprecates a published version: who has it keeps it, nobody installs it anew.",
})

// DeleteVersion removes a version that was never approved.
var DeleteVersion = Register[VersionRequest, Empty](AuditMutation, Spec{
	Name: "tenant.delete_version", Method: "DELETE", Path: "/api/v1/registry/modules/{module_name}/versions/{version}",
	Access: User | Internal, Permission: "modules:submit:tenant",
	Errors:  []Code{NotFound, Conflict},
	Summary: "Deletes a version that is a draft, submitted or rejected.",
})

// SuspendVersion is the kill switch of one version.
var SuspendVersion = Register[SuspendVersionRequest, ModuleVersion](AuditMutation, Spec{
	Name: "tenant.suspend_version", Method: "POST", Path: "/api/v1/registry/modules/{module_name}/versions/{version}/suspend",
	Access: User | Internal, Permission: "modules:suspend:platform",
	Errors:  []Code{NotFound, Conflict},
	Summary: "Suspends a version at once in every tenant that runs it, or ends that.",
})

// SuspendVersionRequest names a version and whether it is suspended.
type SuspendVersionRequest struct {
	ModuleName string `json:"module_name" path:"module_name" pattern:"^[a-z][a-z0-9-]{1,62}$" doc:"The module's id."`
	Version    string `json:"version" path:"version" maxLength:"64" doc:"Semantic version."`
	Reason     string `json:"reason,omitempty" maxLength:"2000" doc:"Why, for people; empty ends the suspension."`
}

// SuspendModule is the kill switch of a whole module.
var SuspendModule = Register[SuspendModuleRequest, RegisteredModule](AuditMutation, Spec{
	Name: "tenant.suspend_module", Method: "POST", Path: "/api/v1/registry/modules/{module_name}/suspend",
	Access: User | Internal, Permission: "modules:suspend:platform",
	Errors:  []Code{NotFound},
	Summary: "Suspends a module at once everywhere, its API keys and bus connections included, or ends that.",
})

// SuspendModuleRequest names a module and whether it is suspended.
type SuspendModuleRequest struct {
	ModuleName string `json:"module_name" path:"module_name" pattern:"^[a-z][a-z0-9-]{1,62}$" doc:"The module's id."`
	Reason     string `json:"reason,omitempty" maxLength:"2000" doc:"Why, for people; empty ends the suspension."`
}

// SetVisibility says which tenants may install a module.
var SetVisibility = Register[SetVisibilityRequest, RegisteredModule](AuditMutation, Spec{
	Name: "tenant.set_visibility", Method: "PUT", Path: "/api/v1/registry/modules/{module_name}/visibility",
	Access: User | Internal, Permission: "modules:submit:tenant",
	Errors:  []Code{NotFound, Conflict},
	Summary: "Says which tenants may install a module; those that have it keep it.",
})

// SetVisibilityRequest is a module's audience.
type SetVisibilityRequest struct {
	TenantID   ID       `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	ModuleName string   `json:"module_name" path:"module_name" pattern:"^[a-z][a-z0-9-]{1,62}$" doc:"The module's id."`
	Visibility string   `json:"visibility" enum:"all,allow_list,hidden"`
	TenantIDs  []string `json:"tenant_ids,omitempty" maxItems:"10000" format:"uuid" doc:"With allow_list, who may install it; its owner always may."`
	Revision   int64    `json:"revision,omitempty" match:"true" minimum:"0" doc:"When given, the module must still be at it; conflict otherwise. If-Match says the same."`
}

// SearchModules lists what a tenant may install, and what it owns.
var SearchModules = Register[SearchModulesRequest, SearchModulesResponse](AuditRead, Spec{
	Name: "tenant.search_modules", Method: "GET", Path: "/api/v1/registry/modules",
	Access: User | Internal, Permission: "modules:read:tenant",
	Errors:  []Code{NotFound},
	Summary: "Lists and searches the modules that the tenant may install, has, or owns.",
})

// SearchModulesRequest filters and pages.
type SearchModulesRequest struct {
	TenantID ID     `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	Search   string `json:"search,omitempty" query:"search" maxLength:"100" doc:"Part of an id or name, in any case."`
	Category string `json:"category,omitempty" query:"category" maxLength:"60"`
	Owned    bool   `json:"owned,omitempty" query:"owned" doc:"Only those that the tenant owns."`
	Cursor   string `json:"cursor,omitempty" query:"cursor" maxLength:"200" doc:"next_cursor of the page before."`
	Limit    int    `json:"limit,omitempty" query:"limit" minimum:"1" maximum:"500" default:"50" doc:"Modules a page."`
}

// SearchModulesResponse is one page of modules, by id.
type SearchModulesResponse struct {
	Items      []RegisteredModule `json:"items"`
	NextCursor string             `json:"next_cursor,omitempty"`
}

// GetRegisteredModule returns a module of the registry.
var GetRegisteredModule = Register[ModuleRequest, RegisteredModule](AuditRead, Spec{
	Name: "tenant.get_registered_module", Method: "GET", Path: "/api/v1/registry/modules/{module_name}",
	Access: User | Internal, Permission: "modules:read:tenant",
	Errors:  []Code{NotFound},
	Summary: "Returns a module that the tenant may install, has, or owns.",
})

// ListVersions lists a module's versions, the highest first.
var ListVersions = Register[ListVersionsRequest, ListVersionsResponse](AuditRead, Spec{
	Name: "tenant.list_versions", Method: "GET", Path: "/api/v1/registry/modules/{module_name}/versions",
	Access: User | Internal, Permission: "modules:read:tenant",
	Errors:  []Code{NotFound},
	Summary: "Lists the versions of a module: to its owner and the platform all, to others those that are published.",
})

// ListVersionsRequest filters.
type ListVersionsRequest struct {
	TenantID   ID     `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	ModuleName string `json:"module_name" path:"module_name" pattern:"^[a-z][a-z0-9-]{1,62}$" doc:"The module's id."`
	State      string `json:"state,omitempty" query:"state" enum:"draft,submitted,approved,rejected,published,deprecated"`
}

// ListVersionsResponse holds versions without their manifests and files.
type ListVersionsResponse struct {
	Items []ModuleVersion `json:"items"`
}

// ListReviews lists what waits for a reviewer.
var ListReviews = Register[ListReviewsRequest, ListVersionsResponse](AuditRead, Spec{
	Name: "tenant.list_reviews", Method: "GET", Path: "/api/v1/registry/reviews",
	Access: User | Internal, Permission: "modules:review:platform",
	Summary: "Lists the submitted versions of all modules, the longest waiting first.",
})

// ListReviewsRequest pages; the queue is short.
type ListReviewsRequest struct {
	Limit int `json:"limit,omitempty" query:"limit" minimum:"1" maximum:"500" default:"50" doc:"Versions at most."`
}

// GetVersion returns a version with its manifest, findings and files.
var GetVersion = Register[VersionRequest, ModuleVersion](AuditRead, Spec{
	Name: "tenant.get_version", Method: "GET", Path: "/api/v1/registry/modules/{module_name}/versions/{version}",
	Access: User | Internal, Permission: "modules:read:tenant",
	Errors:  []Code{NotFound},
	Summary: "Returns a version with its manifest, findings and files.",
})

// GetAsset reads a part of a file of a version that may be served.
var GetAsset = Register[GetAssetRequest, GetAssetResponse](AuditRead, Spec{
	Name: "tenant.get_asset", Access: Internal,
	Errors:  []Code{NotFound},
	Summary: "Reads a part of a file of a version that is approved and not suspended.",
})

// GetAssetRequest names a file of a version.
type GetAssetRequest struct {
	ModuleName string `json:"module_name" pattern:"^[a-z][a-z0-9-]{1,62}$"`
	Version    string `json:"version" maxLength:"64"`
	Path       string `json:"path" maxLength:"500"`
	Offset     int64  `json:"offset,omitempty" doc:"A multiple of 524288; beyond the end there is no data."`
	Review     bool   `json:"review,omitempty" doc:"For a reviewer: of a version in whatever state."`
}

// GetAssetResponse is a part of a file.
type GetAssetResponse struct {
	File VersionFile `json:"file"`
	Data []byte      `json:"data"`
}

// ModuleState says what of a module is suspended. It is also the state that its
// events carry.
type ModuleState struct {
	Module    string   `json:"module"`
	Suspended bool     `json:"suspended,omitempty" doc:"The whole module is."`
	Versions  []string `json:"versions,omitempty" doc:"Suspended ones."`
	Revision  int64    `json:"revision"`
}

// Withdrawn reports whether this version is suspended, or all of them are.
func (s ModuleState) Withdrawn(version string) bool {
	return s.Suspended || slices.Contains(s.Versions, version)
}

// ListModuleStates pages through the states of all modules, for projections.
var ListModuleStates = Register[ModuleStatesRequest, ModuleStatesResponse](AuditRead, Spec{
	Name: "tenant.list_module_states", Access: Internal,
	Summary: "Lists the modules that are, or ever were, suspended in part or whole.",
})

// ModuleStatesRequest asks for all.
type ModuleStatesRequest struct{}

// ModuleStatesResponse lists them all: they are few.
type ModuleStatesResponse struct {
	Items []ModuleState `json:"items"`
}
