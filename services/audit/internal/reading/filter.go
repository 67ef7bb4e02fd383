package reading

import (
	"fmt"
	"strings"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
)

// filter is what is asked for; what is empty is not asked about.
type filter struct {
	person string // who acted, was acted for, or was acted on

	user, module, key, action, resourceType, resourceID, outcome, source, request string

	from, until *time.Time
	search      string // in lower case
	after       int64  // events behind this sequence,
	through     int64  // up to this one, 0 for all
}

func ofList(r *contract.ListAuditRequest) filter {
	return filter{
		user: kit.UUID(r.UserID), module: r.Module, key: r.KeyID, action: r.Action, resourceType: r.ResourceType, resourceID: string(r.ResourceID),
		outcome: r.Outcome, source: r.Source, request: r.RequestID, from: r.From, until: r.Until, search: strings.ToLower(r.Search),
	}
}

func ofStats(r *contract.AuditStatsRequest) filter {
	return filter{
		user: kit.UUID(r.UserID), module: r.Module, action: r.Action, resourceType: r.ResourceType, resourceID: string(r.ResourceID),
		outcome: r.Outcome, source: r.Source,
	}
}

func ofExport(r *contract.ExportAuditRequest) filter {
	return filter{
		user: kit.UUID(r.UserID), module: r.Module, key: r.KeyID, action: r.Action, resourceType: r.ResourceType, resourceID: string(r.ResourceID),
		outcome: r.Outcome, source: r.Source, request: r.RequestID, from: r.From, until: r.Until, search: strings.ToLower(r.Search),
	}
}

// conditions are SQL: narrow ones are served by an index in the order of the
// sequence, so nothing is looked at in vain; wide ones are tried on each row.
type conditions struct {
	narrow   []string
	branches []string // of which one must hold, each served as a narrow one
	args     []any    // of these
	wide     []wide
}

// wide is a condition with one argument, which stands for %s.
type wide struct {
	format string
	arg    any
}

// tried is the wide conditions, whose arguments go behind args.
func (c *conditions) tried(args []any) (sql string, all []any) {
	var parts []string
	for _, w := range c.wide {
		args = append(args, w.arg)
		parts = append(parts, fmt.Sprintf(w.format, fmt.Sprintf("$%d", len(args))))
	}
	return strings.Join(parts, " AND "), args
}

func (c *conditions) arg(v any) string {
	c.args = append(c.args, v)
	return fmt.Sprintf("$%d", len(c.args))
}

func (f *filter) conditions(tenant string) *conditions {
	c := &conditions{}
	narrow := func(column string, v any) { c.narrow = append(c.narrow, column+c.arg(v)) }
	try := func(column string, v string) {
		if v != "" {
			c.wide = append(c.wide, wide{column + " = %s", v})
		}
	}
	narrow("tenant_id = ", tenant)
	if f.after > 0 {
		narrow("tenant_seq > ", f.after)
	}
	if f.through > 0 {
		narrow("tenant_seq <= ", f.through)
	}
	if f.from != nil { // months that it excludes are not looked at
		narrow("occurred_at >= ", *f.from)
	}
	if f.until != nil {
		narrow("occurred_at < ", *f.until)
	}
	if f.person != "" {
		person, id := c.arg(f.person), c.arg(f.person)
		c.branches = []string{
			"user_id = " + person,
			"on_behalf_of = " + person + " AND user_id IS DISTINCT FROM " + person,
			"resource_type = 'user' AND resource_id = " + id + " AND user_id IS DISTINCT FROM " + person + " AND on_behalf_of IS DISTINCT FROM " + person,
		}
	}
	if f.user != "" {
		narrow("user_id = ", f.user)
	}
	switch prefix, ok := strings.CutSuffix(f.action, "*"); {
	case ok:
		c.wide = append(c.wide, wide{"starts_with(action, %s)", prefix})
	case f.action != "":
		narrow("action = ", f.action)
	}
	if f.resourceType != "" && f.resourceID != "" {
		narrow("resource_type = ", f.resourceType)
		narrow("resource_id = ", f.resourceID)
	} else {
		try("resource_type", f.resourceType)
		try("resource_id", f.resourceID)
	}
	switch f.outcome {
	case "failure", "denied": // these have an index, for they are few
		narrow("outcome = ", f.outcome)
	default:
		try("outcome", f.outcome)
	}
	try("module", f.module)
	try("key_id", f.key)
	try("source", f.source)
	try("request_id", f.request)
	return c
}

// candidates are the rows that the narrow conditions leave, at most n, the
// nearest to place first.
func (c *conditions) candidates(columns string, back bool, place int64, n int) (sql string, args []any) {
	compare, direction := ">", "ASC"
	if back {
		compare, direction = "<", "DESC"
	}
	args = append(append(args, c.args...), place)
	end := fmt.Sprintf(" ORDER BY tenant_seq %s LIMIT %d", direction, n)
	base := fmt.Sprintf("SELECT %s FROM audit.events WHERE %s AND tenant_seq %s $%d", columns, strings.Join(c.narrow, " AND "), compare, len(args))
	if len(c.branches) == 0 {
		return base + end, args
	}
	var parts []string
	for _, branch := range c.branches {
		parts = append(parts, "("+base+" AND "+branch+end+")")
	}
	return fmt.Sprintf("SELECT %s FROM (%s) AS branches%s", columns, strings.Join(parts, " UNION ALL "), end), args
}
