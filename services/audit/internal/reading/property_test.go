package reading

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/services/audit/internal/record"
)

// naive says in memory what a filter asks for.
func naive(e *contract.AuditEvent, q *contract.ListAuditRequest) bool {
	actor, request := contract.AuditActor{}, contract.AuditRequest{}
	if e.Actor != nil {
		actor = *e.Actor
	}
	if e.Request != nil {
		request = *e.Request
	}
	is := func(asked, is string) bool { return asked == "" || asked == is }
	text := strings.ToLower(strings.Join([]string{e.Action, e.ResourceType, e.ResourceID, e.Reason, string(e.Details)}, "\n"))
	prefix, begins := strings.CutSuffix(q.Action, "*")
	return is(string(q.UserID), e.UserID) && is(q.Module, actor.Module) && is(q.KeyID, actor.KeyID) &&
		(begins && strings.HasPrefix(e.Action, prefix) || is(q.Action, e.Action)) &&
		is(q.ResourceType, e.ResourceType) && is(string(q.ResourceID), e.ResourceID) && is(q.Outcome, e.Outcome) && is(q.Source, e.Source) &&
		is(q.RequestID, request.ID) && (q.From == nil || !e.Time.Before(*q.From)) && (q.Until == nil || e.Time.Before(*q.Until)) &&
		strings.Contains(text, strings.ToLower(q.Search))
}

// chance makes events and filters of few values, so that filters find something.
type chance struct {
	*rand.Rand
	people []string
}

func (c chance) of(values ...string) string { return values[c.IntN(len(values))] }

func (c chance) time() time.Time {
	return began.Add(time.Duration(c.Int64N(int64(90*24*time.Hour))) - 45*24*time.Hour).Truncate(time.Microsecond)
}

func (c chance) event() logged {
	return logged{at: c.time(), outcome: c.of("success", "success", "failure", "denied"), data: record.Data{
		Actor:  record.Actor{UserID: c.of(c.people...), Module: c.of("", "crm", "hr"), KeyID: c.of("", "k1"), OnBehalfOf: c.of("", "", c.people[1])},
		Source: c.of("crm", "hr"), Action: c.of("invoice.created", "invoice.deleted", "invoices", "order.created", "50%_off.set"),
		Target: record.Target{Type: c.of("invoice", "user"), ID: c.of("1", "2", c.people[1])}, Reason: c.of("", "Because", "ÜBER all"),
		Request: record.Request{ID: c.of("r1", "r2", "r3")}, Details: json.RawMessage(c.of("", `{"note":"Grüße"}`, `[1,2]`)),
	}}
}

// filter asks about up to three things.
func (c chance) filter() (q contract.ListAuditRequest) {
	for range c.IntN(4) {
		switch c.IntN(12) {
		case 0:
			q.UserID = contract.ID(c.of(c.people...))
		case 1:
			q.Module = c.of("crm", "hr")
		case 2:
			q.KeyID = "k1"
		case 3:
			q.Action = c.of("invoice.created", "invoice.*", "invoice*", "order.created", "50%_*", "_*", "none", "*")
		case 4:
			q.ResourceType = c.of("invoice", "user")
		case 5:
			q.ResourceID = contract.ID(c.of("1", "2"))
		case 6:
			q.Outcome = c.of("success", "failure", "denied")
		case 7:
			q.Source = c.of("crm", "hr")
		case 8:
			q.RequestID = c.of("r1", "none")
		case 9:
			at := c.time()
			q.From = &at
		case 10:
			at := c.time()
			q.Until = &at
		default:
			q.Search = c.of("BECAUSE", "über", "grüße", "ORDER", "%", "nothing of the sort")
		}
	}
	q.Limit = 1 + c.IntN(20)
	q.Order = c.of("", "asc", "desc")
	return q
}

// What SQL finds page by page is what a look at every event finds, in either
// order and in both directions, however much is added meanwhile.
func TestPagesAreWhatALookAtEveryEventFinds(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	c := chance{Rand: rand.New(rand.NewPCG(seed, 6)), people: []string{"", anybody(), anybody(), anybody()}}
	w := newWorld(t)
	ours, theirs := w.Tenant(), w.Tenant()
	many := func(n int) (all []logged) {
		for range n {
			all = append(all, c.event())
		}
		return all
	}
	all := w.log(ours, many(400)...)
	w.log(theirs, many(100)...)
	for round := range 60 {
		q := c.filter()
		name := fmt.Sprintf("round %d: %+v", round, q)
		known := len(all)
		seen := 0 // what there was when the last page was read
		forth := w.forth(t, ours, &q, func(page int) {
			if page > 0 && page < 6 {
				all = append(all, w.log(ours, c.event())...)
			}
			seen = len(all)
		})
		var want []contract.AuditEvent
		scope := all[:known] // what is added is newer than where a descending list begins
		if q.Order == "asc" {
			scope = all[:seen]
		}
		for i := range scope {
			if naive(&scope[i], &q) {
				want = append(want, scope[i])
			}
		}
		if q.Order != "asc" {
			slices.Reverse(want)
		}
		require.Equal(t, sequences(want), sequences(forth.items), name)
		if len(want) > 0 {
			wanted, err := json.Marshal(want)
			require.NoError(t, err)
			got, err := json.Marshal(forth.items)
			require.NoError(t, err)
			require.JSONEq(t, string(wanted), string(got), name)
		}
		back := w.back(t, ours, q, forth.last)
		// Behind the last page lies all but that page; what a descending list was not
		// told of comes before its first.
		before := forth.items[:len(forth.items)-len(forth.last.Items)]
		got := sequences(back)
		if q.Order != "asc" && len(got) > len(before) {
			got = got[len(got)-len(before):]
		}
		require.Equal(t, sequences(before), got, name)
	}
}

type forth struct {
	items []contract.AuditEvent
	last  *contract.ListAuditResponse
}

// forth follows next_cursor to the end, and has something happen before each page.
func (w *world) forth(t *testing.T, tenant string, q *contract.ListAuditRequest, meanwhile func(page int)) (f forth) {
	t.Helper()
	ask, ctx := *q, as(t, tenant)
	for n := 0; ; n++ {
		meanwhile(n)
		page, err := w.List(ctx, &ask)
		require.NoError(t, err)
		f.items, f.last = append(f.items, page.Items...), page
		if ask.Cursor = page.NextCursor; ask.Cursor == "" {
			return f
		}
	}
}

// back follows previous_cursor from a page to the beginning.
func (w *world) back(t *testing.T, tenant string, q contract.ListAuditRequest, from *contract.ListAuditResponse) (items []contract.AuditEvent) {
	t.Helper()
	ctx := as(t, tenant)
	for q.Cursor = from.PreviousCursor; q.Cursor != ""; {
		page, err := w.List(ctx, &q)
		require.NoError(t, err)
		items = append(slices.Clone(page.Items), items...)
		q.Cursor = page.PreviousCursor
	}
	return items
}
