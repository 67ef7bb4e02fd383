package contract

import (
	"encoding/json"
	"time"
)

// PlatformSettings is the namespace of the core's own settings; a module's are
// under its id.
const PlatformSettings = "platform"

// SettingsNamespace is a set of settings that a tenant has.
type SettingsNamespace struct {
	Namespace string `json:"namespace" example:"platform"`
	Title     string `json:"title"`
	Version   string `json:"version,omitempty" doc:"The module's version that declares them."`
}

// ListSettings lists the sets of settings of a tenant.
var ListSettings = Register[ListSettingsRequest, ListSettingsResponse](AuditRead, Spec{
	Name: "tenant.list_settings", Method: "GET", Path: "/api/v1/settings",
	Access: User | Internal, Permission: "settings:read:tenant",
	Errors:  []Code{NotFound},
	Summary: "Lists whose settings there are: the platform's and those of the tenant's modules.",
})

// ListSettingsRequest names the tenant.
type ListSettingsRequest struct {
	TenantID ID `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
}

// ListSettingsResponse lists them all, the platform's first.
type ListSettingsResponse struct {
	Items []SettingsNamespace `json:"items"`
}

// SettingsRequest names a set of settings.
type SettingsRequest struct {
	TenantID  ID     `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	Namespace string `json:"namespace" path:"namespace" pattern:"^[a-z][a-z0-9-]{1,62}$" doc:"platform, or a module's id."`
}

// GetSettingsSchema returns what a set of settings may be.
var GetSettingsSchema = Register[SettingsRequest, SettingsSchema](AuditRead, Spec{
	Name: "tenant.settings_schema", Method: "GET", Path: "/api/v1/settings/{namespace}/schema",
	Access: User | Internal, Permission: "settings:read:tenant",
	Errors:  []Code{NotFound},
	Summary: "Returns the JSON Schema of settings, with x-secret and x-scope on those that have them.",
})

// SettingsSchema declares settings.
type SettingsSchema struct {
	Namespace string          `json:"namespace"`
	Version   string          `json:"version,omitempty" doc:"The module's version that declares them."`
	Schema    json.RawMessage `json:"schema" doc:"JSON Schema (2020-12) of an object, with titles and descriptions in the caller's language."`
}

// Settings are the values of one layer, or what they come to together.
type Settings struct {
	Namespace string         `json:"namespace"`
	Layer     string         `json:"layer" enum:"effective,platform,tenant,user"`
	Items     []SettingValue `json:"items" doc:"In the order of the schema."`
	Stale     []string       `json:"stale" doc:"Stored settings that the schema does not know, or not with that value, any more; they are without effect. null ends them."`
	Revision  int64          `json:"revision" doc:"Of the layer; with effective of the tenant's, or of one's own. It grows with each change of the layer; If-Match takes it."`
}

// SettingValue is a setting.
type SettingValue struct {
	Key    string          `json:"key"`
	Value  json.RawMessage `json:"value,omitempty" doc:"Absent for a secret, and where nothing is set and there is no default."`
	Source string          `json:"source" enum:"user,tenant,platform,default,none" doc:"The layer that it comes from."`
	Secret bool            `json:"secret,omitempty" doc:"It is never shown; source says whether it is set."`
}

// GetSettings returns settings.
var GetSettings = Register[GetSettingsRequest, Settings](AuditRead, Spec{
	Name: "tenant.get_settings", Method: "GET", Path: "/api/v1/settings/{namespace}",
	Access: User | Internal, Permission: "settings:read:tenant",
	Errors:  []Code{NotFound},
	Summary: "Returns settings of a tenant, each with the layer it comes from.",
})

// GetSettingsRequest names a set of settings and a layer.
type GetSettingsRequest struct {
	TenantID  ID     `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	Namespace string `json:"namespace" path:"namespace" pattern:"^[a-z][a-z0-9-]{1,62}$" doc:"platform, or a module's id."`
	Layer     string `json:"layer,omitempty" query:"layer" enum:"effective,platform,tenant" default:"effective" doc:"What is set in this layer alone, or what holds for the tenant."`
}

// UpdateSettings changes settings of a tenant, or of the platform for all.
var UpdateSettings = Register[UpdateSettingsRequest, Settings](AuditMutation, Spec{
	Name: "tenant.update_settings", Method: "PATCH", Path: "/api/v1/settings/{namespace}",
	Access: User | Internal, Permission: "settings:update:tenant",
	Errors:  []Code{NotFound, Conflict},
	Summary: "Changes settings; what is not named stays. The answer is what holds for the tenant, or the platform's layer if that was changed.",
})

// UpdateSettingsRequest holds what is to change.
type UpdateSettingsRequest struct {
	TenantID  ID              `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	Namespace string          `json:"namespace" path:"namespace" pattern:"^[a-z][a-z0-9-]{1,62}$" doc:"platform, or a module's id."`
	Layer     string          `json:"layer,omitempty" enum:"platform,tenant" default:"tenant" doc:"platform is for all tenants, and for platform administrators only."`
	Values    json.RawMessage `json:"values" doc:"An object of values by key; null ends what is set."`
	Revision  int64           `json:"revision,omitempty" match:"true" minimum:"0" doc:"When given, the layer must still be at it; conflict otherwise. If-Match says the same."`
}

// GetMySettings returns what holds for the caller.
var GetMySettings = Register[MySettingsRequest, Settings](AuditRead, Spec{
	Name: "tenant.my_settings", Method: "GET", Path: "/api/v1/me/settings/{namespace}",
	Access:  Self,
	Errors:  []Code{NotFound, Conflict},
	Summary: "Returns the settings that hold for the caller in the tenant acted in: the platform's, or those of a module that people may set.",
})

// MySettingsRequest names a set of settings.
type MySettingsRequest struct {
	Namespace string `json:"namespace" path:"namespace" pattern:"^[a-z][a-z0-9-]{1,62}$" doc:"platform, or a module's id."`
}

// UpdateMySettings changes the caller's own.
var UpdateMySettings = Register[UpdateMySettingsRequest, Settings](AuditMutation, Spec{
	Name: "tenant.update_my_settings", Method: "PATCH", Path: "/api/v1/me/settings/{namespace}",
	Access:  Self,
	Errors:  []Code{NotFound, Conflict},
	Summary: "Changes settings for the caller alone, those that people may set; what is not named stays.",
})

// UpdateMySettingsRequest holds what is to change.
type UpdateMySettingsRequest struct {
	Namespace string          `json:"namespace" path:"namespace" pattern:"^[a-z][a-z0-9-]{1,62}$" doc:"platform, or a module's id."`
	Values    json.RawMessage `json:"values" doc:"An object of values by key; null ends what is set."`
	Revision  int64           `json:"revision,omitempty" match:"true" minimum:"0" doc:"When given, the caller's layer must still be at it; conflict otherwise. If-Match says the same."`
}

// ListSettingsHistory says who changed what.
var ListSettingsHistory = Register[SettingsHistoryRequest, SettingsHistoryResponse](AuditRead, Spec{
	Name: "tenant.settings_history", Method: "GET", Path: "/api/v1/settings/{namespace}/history",
	Access: User | Internal, Permission: "settings:read:tenant",
	Errors:  []Code{NotFound},
	Summary: "Lists the changes of a tenant's settings and of the platform's, the latest first; people's own are not among them.",
})

// SettingsHistoryRequest pages.
type SettingsHistoryRequest struct {
	TenantID  ID     `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant acted in; default is the caller's. Only platform administrators name another."`
	Namespace string `json:"namespace" path:"namespace" pattern:"^[a-z][a-z0-9-]{1,62}$" doc:"platform, or a module's id."`
	Key       string `json:"key,omitempty" query:"key" maxLength:"100" doc:"Only changes of this setting."`
	Cursor    string `json:"cursor,omitempty" query:"cursor" maxLength:"200" doc:"next_cursor of the page before."`
	Limit     int    `json:"limit,omitempty" query:"limit" minimum:"1" maximum:"500" default:"50" doc:"Changes a page."`
}

// SettingsHistoryResponse is one page of changes.
type SettingsHistoryResponse struct {
	Items      []SettingChange `json:"items"`
	NextCursor string          `json:"next_cursor,omitempty"`
}

// SettingChange is a change of one setting.
type SettingChange struct {
	Layer  string          `json:"layer" enum:"platform,tenant"`
	Key    string          `json:"key"`
	Before json.RawMessage `json:"before,omitempty" doc:"Absent where it was not set, and for a secret."`
	After  json.RawMessage `json:"after,omitempty" doc:"Absent where it is not set any more, and for a secret."`
	Secret bool            `json:"secret,omitempty"`
	By     string          `json:"by,omitempty" doc:"The user's id; none for a service or the operator."`
	At     time.Time       `json:"at"`
}

// GetModuleSettings returns a module's own settings, secrets among them.
var GetModuleSettings = Register[ModuleSettingsRequest, ModuleSettings](AuditRead, Spec{
	Name: "tenant.module_settings", Method: "GET", Path: "/api/v1/core/tenants/{tenant_id}/settings",
	Access:  Module,
	Errors:  []Code{NotFound},
	Summary: "Returns the calling module's settings in a tenant, secrets included.",
})

// ModuleSettingsRequest names a tenant, and perhaps a person.
type ModuleSettingsRequest struct {
	TenantID ID `json:"tenant_id" path:"tenant_id" format:"uuid" doc:"The tenant."`
	UserID   ID `json:"user_id,omitempty" query:"user_id" format:"uuid" doc:"For what holds for one of its users."`
}

// ModuleSettings are what holds.
type ModuleSettings struct {
	Values   json.RawMessage `json:"values" doc:"An object of values by key."`
	Revision int64           `json:"revision" doc:"Grows with each change of any layer of it."`
}
