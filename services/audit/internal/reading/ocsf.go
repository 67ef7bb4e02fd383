package reading

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/buildify/core/pkg/contract"
)

// ocsfVersion is the version of the Open Cybersecurity Schema Framework that
// exports are written in.
const ocsfVersion = "1.8.0"

type object = map[string]any

// ocsfClass is an event class of OCSF.
type ocsfClass struct {
	uid, category      int
	name, categoryName string
}

var (
	accountChange  = ocsfClass{3001, 3, "Account Change", "Identity & Access Management"}
	authentication = ocsfClass{3002, 3, "Authentication", "Identity & Access Management"}
	apiActivity    = ocsfClass{6003, 6, "API Activity", "Application Activity"}
)

const other = 99

// ocsfActions are the actions of the core that are more to OCSF than a call of an
// API.
var ocsfActions = map[string]struct {
	class    ocsfClass
	activity int
	name     string
}{
	"auth.login.succeeded":   {authentication, 1, "Logon"},
	"auth.login.failed":      {authentication, 1, "Logon"},
	"auth.login.challenged":  {authentication, 6, "Preauth"},
	"auth.session.ended":     {authentication, 2, "Logoff"},
	"auth.session.switched":  {authentication, other, "Tenant Switch"},
	"auth.refresh.reused":    {authentication, other, "Refresh Token Reuse"},
	"auth.user.changed":      {accountChange, other, "User Change"},
	"auth.user.administered": {accountChange, other, "User Administration"},
	"auth.factor.changed":    {accountChange, other, "Factor Change"},
}

// apiVerbs say by the last word of an action what kind of call it was.
var apiVerbs = []struct {
	activity int
	name     string
	words    []string
}{
	{1, "Create", []string{"create", "created", "add", "added", "imported", "issued", "uploaded"}},
	{2, "Read", []string{"read", "list", "listed", "get", "viewed", "downloaded", "exported", "search", "searched"}},
	{3, "Update", []string{"update", "updated", "change", "changed", "set", "edited", "renamed", "approved", "moved", "enabled", "disabled"}},
	{4, "Delete", []string{"delete", "deleted", "remove", "removed", "revoke", "revoked", "erased", "discarded"}},
}

// classify finds an action's class and activity.
func classify(action string) (ocsfClass, int, string) {
	if known, ok := ocsfActions[action]; ok {
		return known.class, known.activity, known.name
	}
	word := action[strings.LastIndexAny(action, ".:_-")+1:]
	for _, verb := range apiVerbs {
		if slices.Contains(verb.words, strings.ToLower(word)) {
			return apiActivity, verb.activity, verb.name
		}
	}
	return apiActivity, other, action
}

// ocsfLine is the event as an event of OCSF.
func ocsfLine(e *contract.AuditEvent, recorded time.Time) ([]byte, error) {
	class, activity, activityName := classify(e.Action)
	metadata := object{
		"version": ocsfVersion, "uid": e.ID, "sequence": e.Sequence, "event_code": e.Type, "log_name": "audit", "tenant_uid": e.TenantID,
		"logged_time": recorded.UnixMilli(), "product": object{"name": "Buildify Core", "vendor_name": "Buildify"},
	}
	out := object{
		"activity_id": activity, "activity_name": activityName,
		"category_uid": class.category, "category_name": class.categoryName,
		"class_uid": class.uid, "class_name": class.name, "type_uid": class.uid*100 + activity,
		"time": e.Time.UnixMilli(), "message": e.Action,
		"metadata": metadata,
	}
	status(out, e)
	acting := object{}
	if e.UserID != "" {
		acting["user"] = object{"uid": e.UserID}
	}
	if e.Actor != nil && e.Actor.Module != "" {
		acting["app_name"] = e.Actor.Module
	}
	if len(acting) == 0 {
		acting["app_name"] = e.Source
	}
	out["actor"] = acting
	from := object{"name": e.Source}
	if e.Request != nil {
		if _, err := netip.ParseAddr(e.Request.Address); err == nil {
			from = object{"ip": e.Request.Address}
		}
		if e.Request.Agent != "" {
			out["http_request"] = object{"user_agent": e.Request.Agent}
		}
		if e.Request.ID != "" {
			metadata["correlation_uid"] = e.Request.ID
		}
	}
	out["src_endpoint"] = from
	switch class {
	case authentication:
		out["user"], out["service"] = account(e), object{"name": e.Source}
	case accountChange:
		out["user"] = account(e)
	default:
		out["api"] = object{"operation": e.Action, "service": object{"name": e.Source}}
		out["resources"] = []object{resource(e)}
	}
	if rest := unmapped(e); len(rest) > 0 {
		out["unmapped"] = rest
	}
	line, err := json.Marshal(out)
	return append(line, '\n'), err
}

// status says how it ended, and how much that matters.
func status(out object, e *contract.AuditEvent) {
	out["severity_id"], out["severity"] = 1, "Informational"
	switch e.Outcome {
	case "success":
		out["status_id"], out["status"] = 1, "Success"
	case "failure", "denied":
		out["status_id"], out["status"], out["status_code"] = 2, "Failure", e.Outcome
		out["severity_id"], out["severity"] = 2, "Low"
	default:
		out["status_id"], out["status"] = 0, "Unknown"
	}
	if e.Reason != "" {
		out["status_detail"] = e.Reason
	}
}

// account is whose it was.
func account(e *contract.AuditEvent) object {
	switch {
	case e.ResourceType == "user" && e.ResourceID != "":
		return object{"uid": e.ResourceID}
	case e.UserID != "":
		return object{"uid": e.UserID}
	}
	return object{"name": "unknown"}
}

func resource(e *contract.AuditEvent) object {
	if e.ResourceID == "" {
		return object{"type": e.ResourceType, "name": e.ResourceType}
	}
	return object{"type": e.ResourceType, "uid": e.ResourceID}
}

// unmapped is what OCSF has no attribute for.
func unmapped(e *contract.AuditEvent) object {
	rest := object{}
	if len(e.Details) > 0 {
		rest["details"] = e.Details
	}
	if len(e.Changes) > 0 {
		rest["changes"] = e.Changes
	}
	if e.Actor != nil && e.Actor.OnBehalfOf != "" {
		rest["on_behalf_of"] = e.Actor.OnBehalfOf
	}
	if e.Actor != nil && e.Actor.KeyID != "" {
		rest["key_id"] = e.Actor.KeyID
	}
	if e.Request != nil && e.Request.Operation != "" {
		rest["operation"] = e.Request.Operation
	}
	return rest
}
