package contract

// ModuleNews tells a module of what it would have to ask for again and again:
// that its settings changed, and that there is a life cycle hook.
var ModuleNews = RegisterStream[ModuleNewsMessage](AuditRead, Spec{
	Name: "tenant.news", Method: "GET", Path: "/api/v1/core/news",
	Access:  Module,
	Summary: "Streams what happens to a module in its tenants: changes of its settings, and life cycle hooks.",
})

// ModuleNewsMessage says what is to be read again. It never holds values of
// settings, and may come more than once.
//
// With Hook it is of that hook alone. Any other is of settings: those of the
// tenant, or with UserID of one person in it; without a tenant those of all
// tenants. Without tenant and revision it says that something may not have been
// told: hooks are to be asked for as well.
type ModuleNewsMessage struct {
	TenantID         string   `json:"tenant_id,omitempty" doc:"None is all of the module's tenants."`
	SettingsRevision int64    `json:"settings_revision,omitempty" doc:"Of the layer that was changed; none where they may have changed otherwise, by another version of the module for instance."`
	Keys             []string `json:"keys,omitempty" doc:"The settings that were changed; none is perhaps all."`
	UserID           string   `json:"user_id,omitempty" doc:"Whose own settings were changed; none is the tenant's."`
	Hook             *Hook    `json:"hook,omitempty"`
}

// NewsSubject is where the bus tells module of what happens in a tenant;
// NewsOfAll in place of the tenant is where it tells of all, "*" matches both.
func NewsSubject(module, tenant string) string { return StreamSubject(ModuleNews.Spec, module, tenant) }

// NewsOfAll stands for the tenant in the NewsSubject of what concerns all.
const NewsOfAll = "all"
