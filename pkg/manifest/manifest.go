// Package manifest is what a module says about itself: version 2 of the
// manifest as Go types, its JSON Schema, its reference, and the checks of a
// text that claims to be one. All of these come from the types of this file.
package manifest

import "encoding/json"

// Version is the version of the format that this package writes.
const Version = 2

// MaxSize is the size of the largest manifest, in bytes.
const MaxSize = 256 << 10

// Manifest is version 2 of the manifest of a module.
type Manifest struct {
	Schema          string `json:"$schema,omitempty" maxLength:"500" doc:"The schema that an editor checks the file with. It is not looked at otherwise." example:"https://buildify.dev/schemas/manifest.v2.json"`
	ManifestVersion int    `json:"manifest_version" const:"2" doc:"The version of this format."`

	ID          string    `json:"id" pattern:"^[a-z][a-z0-9-]{1,62}$" patternDescription:"2 to 63 lower-case letters, digits and hyphens, the first a letter" doc:"The module's name on the bus, in permissions and in events. It never changes. What the platform speaks under (core, users, roles …) is reserved." example:"financial"`
	Name        Text      `json:"name" maxLength:"100" doc:"The module's name for people."`
	Description Text      `json:"description,omitempty" maxLength:"4000" doc:"What it is good for, in a few sentences."`
	Version     string    `json:"version" maxLength:"64" pattern:"^[0-9]+\\.[0-9]+\\.[0-9]+([-+][0-9A-Za-z.+-]+)?$" patternDescription:"a semantic version such as 1.4.0" doc:"Semantic version of the module (semver.org)." example:"1.4.0"`
	Publisher   Publisher `json:"publisher" doc:"Who answers for the module."`
	License     string    `json:"license,omitempty" maxLength:"200" pattern:"^\\(*[A-Za-z0-9][A-Za-z0-9.+-]*( (AND|OR|WITH) \\(*[A-Za-z0-9][A-Za-z0-9.+-]*\\)*)*$" patternDescription:"an SPDX license expression such as MIT, Apache-2.0 or LicenseRef-Proprietary" doc:"SPDX license expression; LicenseRef-… for one of your own." example:"Apache-2.0"`
	Category    string    `json:"category,omitempty" enum:"finance,inventory,crm,hr,projects,analytics,communication,integration,other" default:"other" doc:"Where the catalogue shows it."`
	Icon        string    `json:"icon,omitempty" maxLength:"200" pattern:"^([a-z][a-z0-9-]*|[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*\\.(svg|png|webp))$" patternDescription:"the name of an icon of the platform, or the bundle path of an .svg, .png or .webp file" doc:"The name of an icon of the platform, or an image of the bundle." example:"receipt"`
	Links       Links     `json:"links,omitzero" doc:"Pages about the module."`

	Compat   Compat        `json:"compat" doc:"What the module runs on."`
	Requires []Requirement `json:"requires,omitempty" maxItems:"50" doc:"Modules that this one needs in the same tenant."`

	Permissions []Permission `json:"permissions,omitempty" maxItems:"500" doc:"Permissions that the module defines, for administrators to put into roles."`
	Scopes      []Scope      `json:"scopes,omitempty" maxItems:"100" doc:"What the module asks of the core. A tenant consents to each; without consent it has no effect."`

	Routes  []Route    `json:"routes,omitempty" maxItems:"300" doc:"Pages of the module, below the path that the platform gives it."`
	Menu    []MenuItem `json:"menu,omitempty" maxItems:"100" doc:"What the module adds to the platform's menu."`
	Widgets []Widget   `json:"widgets,omitempty" maxItems:"100" doc:"What people may put on their dashboards."`
	Slots   []Slot     `json:"slots,omitempty" maxItems:"100" doc:"What the module shows inside pages of the platform or of other modules."`

	Settings *Settings `json:"settings,omitempty" doc:"The module's settings, as JSON Schema of an object with flat properties."`
	Events   Events    `json:"events,omitzero" doc:"Events that the module publishes and hears."`
	Backend  *Backend  `json:"backend,omitempty" doc:"How the module's own server is reached. None is a module of pages alone."`
	Egress   []string  `json:"egress,omitempty" maxItems:"50" unique:"true" doc:"Hosts that the module talks to outside of the platform; *.example.com stands for every host below one." example:"api.exchange-rates.example" maxLength:"253" pattern:"^(\\*\\.)?[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$" code:"egress" patternDescription:"a host name in lower case, such as api.example.com or *.example.com, without scheme, port or path"`
	Jobs     []Job     `json:"jobs,omitempty" maxItems:"50" doc:"Work that the platform starts by the clock."`
	Storage  *Storage  `json:"storage,omitempty" doc:"What the module stores on the platform."`
	Hooks    []Hook    `json:"hooks,omitempty" maxItems:"7" doc:"What the module is told about its life in a tenant, until it acknowledges."`

	DefaultLanguage string                       `json:"default_language,omitempty" maxLength:"20" pattern:"^[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?$" patternDescription:"a language tag (BCP 47) such as en, de-CH or zh-Hant" default:"en" doc:"The language of plain texts, and the one shown where a person's own is missing." example:"en"`
	I18n            map[string]map[string]string `json:"i18n,omitempty" doc:"Messages by language (BCP 47) and key. A text of the form %key% stands for the message key."`

	Bundle *Bundle `json:"bundle,omitempty" doc:"The module's pages: files that the platform serves to browsers."`
}

// Publisher is who answers for a module.
type Publisher struct {
	Name  string `json:"name" minLength:"1" maxLength:"200" doc:"Company or person." example:"Example Ltd"`
	URL   string `json:"url,omitempty" maxLength:"500" pattern:"^https://[^\\s]+$" patternDescription:"an https URL" example:"https://example.com" doc:"Its home page."`
	Email string `json:"email,omitempty" maxLength:"254" pattern:"^[^@\\s]+@[^@\\s]+$" patternDescription:"an e-mail address" doc:"For questions of reviewers and administrators." example:"modules@example.com"`
}

// Links are pages about a module.
type Links struct {
	Homepage      string `json:"homepage,omitempty" maxLength:"500" pattern:"^https://[^\\s]+$" patternDescription:"an https URL" doc:"What the module is."`
	Documentation string `json:"documentation,omitempty" maxLength:"500" pattern:"^https://[^\\s]+$" patternDescription:"an https URL" doc:"How it is used."`
	Support       string `json:"support,omitempty" maxLength:"500" pattern:"^(https://|mailto:)[^\\s]+$" patternDescription:"an https or mailto URL" doc:"Where help is."`
	Source        string `json:"source,omitempty" maxLength:"500" pattern:"^https://[^\\s]+$" patternDescription:"an https URL" doc:"Where its source is."`
	Privacy       string `json:"privacy,omitempty" maxLength:"500" pattern:"^https://[^\\s]+$" patternDescription:"an https URL" doc:"What happens to people's data."`
}

// Compat says what a module runs on.
type Compat struct {
	Core string `json:"core" minLength:"1" maxLength:"200" doc:"Range of versions of the core. See [ranges](#ranges)." example:"^1.2"`
}

// Requirement is another module that must be there too.
type Requirement struct {
	Module   string `json:"module" pattern:"^[a-z][a-z0-9-]{1,62}$" patternDescription:"the id of a module" example:"contacts" doc:"The other module's id."`
	Range    string `json:"range" minLength:"1" maxLength:"200" doc:"Range of its versions. See [ranges](#ranges)." example:">=1.2 <3"`
	Optional bool   `json:"optional,omitempty" doc:"The module works without; if the other one is there, its version must be in the range."`
	Reason   Text   `json:"reason,omitempty" maxLength:"500" doc:"What it is needed for."`
}

// Permission is something that a role may allow to do in the module.
type Permission struct {
	Code     string `json:"code" maxLength:"200" pattern:"^[a-z0-9_-]+(:[a-z0-9_-]+){1,4}$" patternDescription:"a permission code such as financial:accounts:read" doc:"Begins with the module's id and a colon." example:"financial:accounts:read"`
	Title    Text   `json:"title,omitempty" maxLength:"200" doc:"For administrators. Default is the code." example:"Read accounts"`
	Category string `json:"category,omitempty" maxLength:"100" doc:"Under which it is listed. Default is the code's second segment." example:"Accounts"`
	Risk     string `json:"risk,omitempty" enum:"low,medium,high,critical" default:"low" doc:"What somebody could do with it who should not have it."`
}

// Scope is something that a module asks of the core.
type Scope struct {
	Name     string `json:"name" maxLength:"200" pattern:"^([a-z]+\\.[a-z_]+|events:.+)$" patternDescription:"an operation such as rbac.check, or events: and a type such as events:contacts.contact.*" doc:"An operation or stream of the core API, or events: and a type of events. See [scopes](#scopes)." example:"rbac.check"`
	Reason   Text   `json:"reason" maxLength:"500" doc:"What it is needed for; the consent screen shows it." example:"Shows people only the accounts that they may see."`
	Optional bool   `json:"optional,omitempty" doc:"The module works without."`
}

// Route is a page of the module.
type Route struct {
	Path       string `json:"path" maxLength:"200" pattern:"^/(([A-Za-z0-9._~-]+|\\{[a-z][A-Za-z0-9_]*\\})(/([A-Za-z0-9._~-]+|\\{[a-z][A-Za-z0-9_]*\\}))*)?$" patternDescription:"a path such as /accounts or /accounts/{id}, without a slash at the end" doc:"Below the module's own path; {name} stands for one segment." example:"/accounts"`
	Title      Text   `json:"title,omitempty" maxLength:"100" doc:"Default is the title of the menu item that leads to it."`
	Entry      string `json:"entry,omitempty" maxLength:"200" pattern:"^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$" patternDescription:"a bundle path such as assets/main.js" doc:"The file of the bundle that shows it. Default is the bundle's entry."`
	Permission string `json:"permission,omitempty" maxLength:"200" doc:"What a person must hold to see it, one of the permissions above. Without one, everybody in the tenant sees it." example:"financial:accounts:read"`
	When       string `json:"when,omitempty" maxLength:"500" doc:"Conditions under which it exists. See [when](#when)." example:"module:contacts"`
}

// MenuItem is an entry of the platform's menu.
type MenuItem struct {
	ID         string `json:"id" maxLength:"63" pattern:"^[a-z][a-z0-9_-]{0,62}$" patternDescription:"lower-case letters, digits, hyphens and underscores, the first a letter" doc:"Names the item inside the manifest, and for a tenant's overrides." example:"accounts"`
	Title      Text   `json:"title" maxLength:"100" example:"Accounts" doc:"What the item is called."`
	Icon       string `json:"icon,omitempty" maxLength:"200" pattern:"^([a-z][a-z0-9-]*|[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*\\.(svg|png|webp))$" patternDescription:"the name of an icon of the platform, or the bundle path of an .svg, .png or .webp file" doc:"As the module's icon."`
	Route      string `json:"route,omitempty" maxLength:"200" doc:"The path of one of the routes, one without {…}. An item without a route only groups others." example:"/accounts"`
	Parent     string `json:"parent,omitempty" maxLength:"63" default:"main" doc:"The id of another item, or a section of the platform: main, reports or admin."`
	Order      int    `json:"order,omitempty" minimum:"-10000" maximum:"10000" default:"0" doc:"Lower ones come first; equal ones by title."`
	Permission string `json:"permission,omitempty" maxLength:"200" doc:"What a person must hold to see it. Default is the permission of its route." example:"financial:accounts:read"`
	When       string `json:"when,omitempty" maxLength:"500" doc:"Conditions under which it is shown. See [when](#when)."`
}

// Widget is something for a dashboard.
type Widget struct {
	ID         string `json:"id" maxLength:"63" pattern:"^[a-z][a-z0-9_-]{0,62}$" patternDescription:"lower-case letters, digits, hyphens and underscores, the first a letter" example:"open-invoices" doc:"Names the widget inside the manifest."`
	Title      Text   `json:"title" maxLength:"100" example:"Open invoices" doc:"What the widget is called."`
	Entry      string `json:"entry" maxLength:"200" pattern:"^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$" patternDescription:"a bundle path such as assets/main.js" doc:"The file of the bundle that shows it." example:"widgets/open-invoices.js"`
	Permission string `json:"permission,omitempty" maxLength:"200" doc:"What a person must hold to see it."`
	Size       string `json:"size,omitempty" enum:"small,medium,large,full" default:"medium" doc:"How much room it wants."`
}

// Slot is something shown inside another page.
type Slot struct {
	Slot       string `json:"slot" maxLength:"200" pattern:"^[a-z][a-z0-9-]*(\\.[a-z0-9-]+)+$" patternDescription:"a place such as core.user.tabs or contacts.contact.aside" doc:"The place: who offers it (core or a module), page and place." example:"contacts.contact.aside"`
	Entry      string `json:"entry" maxLength:"200" pattern:"^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$" patternDescription:"a bundle path such as assets/main.js" doc:"The file of the bundle that fills it." example:"slots/balance.js"`
	Permission string `json:"permission,omitempty" maxLength:"200" doc:"What a person must hold to see it."`
}

// Events are the events of a module.
type Events struct {
	Publishes  []EventType `json:"publishes,omitempty" maxItems:"200" doc:"Types of the events that the module publishes."`
	Subscribes []string    `json:"subscribes,omitempty" maxItems:"100" unique:"true" doc:"Types that it hears: * stands for one segment, ** at the end for all that follow. Those of others want the scope events:<type>." maxLength:"200" pattern:"^(\\*|[a-z0-9_-]+)(\\.(\\*|[a-z0-9_-]+))*(\\.\\*\\*)?$" patternDescription:"a type of events such as contacts.contact.changed, contacts.*.changed or contacts.**" example:"contacts.contact.*"`
}

// EventType is a type of events that a module publishes.
type EventType struct {
	Type   string          `json:"type" maxLength:"200" pattern:"^[a-z][a-z0-9-]{1,62}\\.[a-z0-9_-]+\\.[a-z0-9_-]+$" patternDescription:"<module>.<entity>.<verb> such as financial.invoice.created" doc:"<id>.<entity>.<verb>, with the module's own id." example:"financial.invoice.created"`
	Title  Text            `json:"title,omitempty" maxLength:"200" doc:"What has happened, for people."`
	Schema json.RawMessage `json:"schema,omitempty" type:"object" doc:"JSON Schema (2020-12) of the event's data."`
}

// Backend is the module's own server.
type Backend struct {
	Transport string `json:"transport" enum:"nats,http,none" doc:"How the platform reaches it: over the bus, over HTTP, or not at all."`
	BaseURL   string `json:"base_url,omitempty" maxLength:"500" pattern:"^https://[^\\s/?#@]+(/[^\\s?#]*)?$" patternDescription:"an https URL without query, fragment and credentials" doc:"Root of the server; with http, required. Its host belongs into egress: tenants see there where data goes." example:"https://financial.example.com/buildify"`
	Health    string `json:"health,omitempty" maxLength:"200" pattern:"^/[^\\s?#]*$" patternDescription:"a path such as /healthz" default:"/healthz" doc:"Path, below base_url, that answers 200 while the module works."`
}

// Job is work that the platform starts by the clock.
type Job struct {
	ID       string `json:"id" maxLength:"63" pattern:"^[a-z][a-z0-9_-]{0,62}$" patternDescription:"lower-case letters, digits, hyphens and underscores, the first a letter" example:"dunning" doc:"Names the job inside the manifest."`
	Title    Text   `json:"title" maxLength:"200" example:"Remind of open invoices" doc:"What it does."`
	Schedule string `json:"schedule" maxLength:"100" doc:"When, in UTC: five fields of cron: minute, hour, day of the month, month, day of the week." example:"30 4 * * 1-5"`
	Subject  string `json:"subject,omitempty" maxLength:"200" pattern:"^[a-z][a-z0-9-]*(\\.[a-z0-9_-]+)+$" patternDescription:"a subject such as financial.jobs.dunning" doc:"With transport nats: where the module is told, <id>.…" example:"financial.jobs.dunning"`
	Path     string `json:"path,omitempty" maxLength:"200" pattern:"^/[^\\s?#]*$" patternDescription:"a path such as /jobs/dunning" doc:"With transport http: the path below base_url that is posted to."`
}

// Storage is what a module stores on the platform.
type Storage struct {
	QuotaMB int  `json:"quota_mb" minimum:"1" maximum:"1048576" doc:"What it needs at most in one tenant, in MiB." example:"200"`
	Reason  Text `json:"reason,omitempty" maxLength:"500" doc:"What is stored."`
}

// Hook is something that the module is told about its life in a tenant.
type Hook struct {
	Event   string `json:"event" enum:"installed,enabled,disabled,upgraded,downgraded,uninstalled,configured" doc:"What has happened."`
	Retries int    `json:"retries,omitempty" minimum:"1" maximum:"100" default:"20" doc:"How often it is told again, with growing pauses, when the module does not acknowledge."`
}

// Bundle lists the files of the module's pages.
type Bundle struct {
	Entry string `json:"entry" maxLength:"200" pattern:"^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$" patternDescription:"a bundle path such as assets/main.js" doc:"The file that starts the module in a browser." example:"main.js"`
	Files []File `json:"files" minItems:"1" maxItems:"2000" doc:"All files; no other is ever served. Together at most 32 MiB."`
}

// File is a file of a bundle.
type File struct {
	Path   string `json:"path" maxLength:"200" pattern:"^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$" patternDescription:"a bundle path such as assets/main.js" example:"main.js" doc:"Where it is in the bundle."`
	SHA384 string `json:"sha384" pattern:"^sha384-[A-Za-z0-9+/]{64}$" code:"hash" patternDescription:"sha384- and 64 characters of base64, as Subresource Integrity writes it" doc:"Its SHA-384 as Subresource Integrity writes it." example:"sha384-OLBgp1GsljhM2TJ+sbHjaiH9txEUvgdDTAzHv2P24donTt6/529l+9Ua0vFImLlb"`
	Size   int64  `json:"size" minimum:"0" maximum:"8388608" doc:"In bytes." example:"18342"`
}
