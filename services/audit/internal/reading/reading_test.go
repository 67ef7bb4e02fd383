package reading

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/trail"
	"github.com/buildify/core/services/audit/internal/record"
	"github.com/buildify/core/services/audit/internal/trailtest"
)

func by(user, action, kind, id string) record.Data {
	d := record.Data{Action: action, Source: "crm"}
	d.Actor.UserID, d.Target.Type, d.Target.ID = user, kind, id
	return d
}

// A person's timeline is what they did, what was done for them, and what was done
// to their account; a resource's what was done to it. Nobody sees another tenant's.
func TestTimelinesTellOnesStory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ours, theirs := w.Tenant(), w.Tenant()
	ann, bob := anybody(), anybody()
	forAnn := by(bob, "invoice.paid", "invoice", "7")
	forAnn.Actor.OnBehalfOf = ann
	w.log(ours,
		logged{data: by(ann, "invoice.created", "invoice", "7")},
		logged{data: by(bob, "invoice.created", "invoice", "8")},
		logged{data: forAnn},
		logged{data: by(bob, "user.disabled", "user", ann)},
		logged{data: by(ann, "user.changed", "user", ann)},
	)
	w.log(theirs, logged{data: by(ann, "invoice.created", "invoice", "7")})
	story := func(tenant string, q contract.PersonTimelineRequest) (all []int64) {
		for {
			page, err := w.PersonTimeline(as(t, tenant), &q)
			require.NoError(t, err)
			all = append(all, sequences(page.Items)...)
			if q.Cursor = page.NextCursor; q.Cursor == "" {
				return all
			}
		}
	}
	require.Equal(t, []int64{5, 4, 3, 1}, story(ours, contract.PersonTimelineRequest{UserID: contract.ID(ann), Limit: 1}), "each once, the newest first")
	require.Equal(t, []int64{1, 3, 4, 5}, story(ours, contract.PersonTimelineRequest{UserID: contract.ID(ann), Limit: 3, Order: "asc"}))
	require.Equal(t, []int64{1}, story(theirs, contract.PersonTimelineRequest{UserID: contract.ID(ann)}))
	require.Empty(t, story(theirs, contract.PersonTimelineRequest{UserID: contract.ID(bob)}))
	page, err := w.ResourceTimeline(as(t, ours), &contract.ResourceTimelineRequest{ResourceType: "invoice", ResourceID: "7"})
	require.NoError(t, err)
	require.Equal(t, []int64{3, 1}, sequences(page.Items))
	require.Equal(t, []int64{1, 2, 3}, sequences(w.listed(ours, contract.ListAuditRequest{Action: "invoice.*", Order: "asc", Limit: 2})))
}

func TestStatisticsCountWhatHappened(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ours, theirs, ann := w.Tenant(), w.Tenant(), anybody()
	w.log(ours,
		logged{data: by(ann, "invoice.created", "invoice", "1"), at: began},
		logged{data: by(ann, "invoice.created", "invoice", "2"), at: began.Add(time.Minute), outcome: "failure"},
		logged{data: by("", "invoice.paid", "invoice", "2"), at: began.Add(time.Hour), outcome: "denied"},
		logged{data: by(ann, "invoice.paid", "invoice", "2"), at: began.Add(48 * time.Hour)},
	)
	w.log(theirs, logged{data: by(ann, "invoice.created", "invoice", "1"), at: began})
	until := began.Add(24 * time.Hour)
	got, err := w.Stats(as(t, ours), &contract.AuditStatsRequest{From: &began, Until: &until})
	require.NoError(t, err)
	require.Equal(t, &contract.AuditStatsResponse{
		From: began, Until: until, Interval: "hour", Counted: 3, Complete: true,
		Times:    []contract.AuditTime{{Time: began, Count: 2, Failure: 1}, {Time: began.Add(time.Hour), Count: 1, Denied: 1}},
		Actions:  []contract.AuditCount{{Value: "invoice.created", Count: 2}, {Value: "invoice.paid", Count: 1}},
		Outcomes: []contract.AuditCount{{Value: "denied", Count: 1}, {Value: "failure", Count: 1}, {Value: "success", Count: 1}},
		Actors:   []contract.AuditCount{{Value: ann, Count: 2}, {Value: "", Count: 1}},
	}, got)
	_, err = w.Stats(as(t, ours), &contract.AuditStatsRequest{From: &until, Until: &began})
	require.ErrorIs(t, err, &contract.Error{Code: contract.InvalidArgument})
}

// exported follows an export to its end.
func (w *world) exported(t *testing.T, tenant string, q contract.ExportAuditRequest) (out []byte) {
	t.Helper()
	for {
		part, err := w.Export(as(t, tenant), &q)
		require.NoError(t, err)
		out = append(out, part.Chunk...)
		if q.Cursor = part.NextCursor; q.Cursor == "" {
			require.Equal(t, part.Through, part.Sequence)
			return out
		}
	}
}

// An export has each event once, in order, in whatever format: as JSON lines the
// entries themselves, which hash to the tenant's tree.
func TestAnExportIsTheTrail(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ours, theirs := w.Tenant(), w.Tenant()
	const many = 3000
	var all []logged
	for i := range many {
		d := by(anybody(), "invoice.created", "invoice", fmt.Sprint(i))
		d.Details = json.RawMessage(fmt.Sprintf(`{"note":"grüße %d","filler":%q}`, i, bytes.Repeat([]byte("x"), 400)))
		all = append(all, logged{data: d})
	}
	all[7].data.Reason = "=HYPERLINK(\"http://example.com\")\r\n,and \"more\""
	added := w.log(ours, all...)
	w.log(theirs, all[:3]...)

	jsonl := w.exported(t, ours, contract.ExportAuditRequest{})
	require.Equal(t, byte('\n'), jsonl[len(jsonl)-1])
	lines := bytes.Split(bytes.TrimSuffix(jsonl, []byte("\n")), []byte("\n"))
	require.Len(t, lines, many)
	frontier := trail.Frontier{}
	for i, line := range lines {
		entry, err := trail.Decode(line)
		require.NoError(t, err)
		require.Equal(t, []any{ours, int64(i + 1), added[i].ID}, []any{entry.TenantID, entry.Sequence, entry.ID})
		frontier.Append(trail.LeafHash(line))
	}
	var kept []byte
	require.NoError(t, w.World.DB.Read(t.Context(), ours, func(tx pgx.Tx) error {
		return tx.QueryRow(t.Context(), "SELECT frontier FROM heads").Scan(&kept)
	}))
	require.Equal(t, kept, frontier.Marshal())

	rows, err := csv.NewReader(bytes.NewReader(w.exported(t, ours, contract.ExportAuditRequest{Format: "csv"}))).ReadAll()
	require.NoError(t, err)
	require.Equal(t, csvHeader, rows[0])
	require.Len(t, rows, many+1)
	reason := slices.Index(csvHeader, "reason")
	require.Equal(t, `'=HYPERLINK("http://example.com")`+"\n"+`,and "more"`, rows[8][reason], "no formula")
	require.Equal(t, fmt.Sprint(many), rows[many][0])

	schemas := ocsfSchemas(t)
	ocsf := bytes.Split(bytes.TrimSpace(w.exported(t, ours, contract.ExportAuditRequest{Format: "ocsf", After: many - 50})), []byte("\n"))
	require.Len(t, ocsf, 50)
	for _, line := range ocsf {
		requireOCSF(t, schemas, line)
	}
	require.Equal(t, 1, bytes.Count(w.exported(t, ours, contract.ExportAuditRequest{Search: "GRÜßE 2999"}), []byte("\n")))
	require.Empty(t, w.exported(t, ours, contract.ExportAuditRequest{After: many}))
}

// top bounds what there may be many of.
func TestStatisticsHaveEveryOutcomeWhateverTheTop(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tenant := w.Tenant()
	for _, outcome := range []string{"success", "failure", "denied"} {
		w.log(tenant, logged{data: by(anybody(), outcome, "invoice", "1"), at: began, outcome: outcome})
	}
	until := began.Add(time.Hour)
	got, err := w.Stats(as(t, tenant), &contract.AuditStatsRequest{From: &began, Until: &until, Top: 1})
	require.NoError(t, err)
	require.Equal(t, []int{1, 1, 3}, []int{len(got.Actions), len(got.Actors), len(got.Outcomes)})
}

// Whoever is no platform administrator reads the trail that they act in, and
// nothing says what another holds.
func TestNobodyReadsAnotherTenantsTrail(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ours, theirs := w.Tenant(), w.Tenant()
	foreign := w.log(theirs, logged{data: by(anybody(), "invoice.created", "invoice", "1")})[0]
	named := contract.ID(theirs)
	for name, ask := range map[string]func(context.Context) error{
		"list": func(ctx context.Context) error {
			_, err := w.List(ctx, &contract.ListAuditRequest{TenantID: named})
			return err
		},
		"get": func(ctx context.Context) error {
			_, err := w.Get(ctx, &contract.GetAuditRequest{TenantID: named, EventID: "1"})
			return err
		},
		"person": func(ctx context.Context) error {
			_, err := w.PersonTimeline(ctx, &contract.PersonTimelineRequest{TenantID: named, UserID: contract.ID(foreign.UserID)})
			return err
		},
		"resource": func(ctx context.Context) error {
			_, err := w.ResourceTimeline(ctx, &contract.ResourceTimelineRequest{TenantID: named, ResourceType: "invoice", ResourceID: "1"})
			return err
		},
		"stats": func(ctx context.Context) error {
			_, err := w.Stats(ctx, &contract.AuditStatsRequest{TenantID: named})
			return err
		},
		"export": func(ctx context.Context) error {
			_, err := w.Export(ctx, &contract.ExportAuditRequest{TenantID: named})
			return err
		},
	} {
		require.ErrorIs(t, ask(as(t, ours)), &contract.Error{Code: contract.PermissionDenied}, name)
		require.NoError(t, ask(trailtest.AsPlatform(t)), name)
	}
	for _, id := range []string{foreign.ID, "1", anybody(), "9223372036854775807"} {
		_, err := w.Get(as(t, ours), &contract.GetAuditRequest{EventID: contract.ID(id)})
		require.ErrorIs(t, err, &contract.Error{Code: contract.NotFound}, id)
	}
	page, err := w.List(as(t, ours), &contract.ListAuditRequest{Cursor: "after.0"})
	require.NoError(t, err)
	require.Empty(t, page.Items)
	require.Empty(t, w.exported(t, ours, contract.ExportAuditRequest{Cursor: "0.0.5"}))
}

// A cursor that nobody was given is refused, or leads to cursors that can be
// followed.
func TestCursorsAtTheEdges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tenant := w.Tenant()
	w.log(tenant, logged{}, logged{}, logged{})
	for _, cursor := range []string{"before.0", "before.1", "before.4", "before.9223372036854775807", "after.0", "after.3", "after.9223372036854775807"} {
		for _, order := range []string{"asc", "desc"} {
			page, err := w.List(as(t, tenant), &contract.ListAuditRequest{Cursor: cursor, Order: order})
			require.NoError(t, err, cursor)
			for _, next := range []string{page.NextCursor, page.PreviousCursor} {
				_, err := w.List(as(t, tenant), &contract.ListAuditRequest{Cursor: next, Order: order})
				require.NoError(t, err, "%s leads to %s", cursor, next)
			}
		}
	}
	for _, cursor := range []string{"x", "before.", "before.-1", "before.x", "after.9223372036854775808", "after.1.2", "1.2.3"} {
		_, err := w.List(as(t, tenant), &contract.ListAuditRequest{Cursor: cursor})
		require.ErrorIs(t, err, &contract.Error{Code: contract.InvalidArgument}, cursor)
	}
	for _, cursor := range []string{"x", "1.2", "3.0.2", "0.-1.3", "0.0.3.4", "after.1"} {
		_, err := w.Export(as(t, tenant), &contract.ExportAuditRequest{Cursor: cursor})
		require.ErrorIs(t, err, &contract.Error{Code: contract.InvalidArgument}, cursor)
	}
}

// What is added meanwhile is not in an export; an event that is longer than a part
// goes over several; and one that was asked for but not taken costs nothing.
func TestAnExportEndsWhereTheTrailEndedWhenItBegan(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tenant := w.Tenant()
	long := logged{data: by(anybody(), "invoice.created", "invoice", "1")}
	long.data.Details, _ = json.Marshal(strings.Repeat("€", chunkBytes)) // a text marshals
	w.log(tenant, logged{}, long, logged{})
	for format, lines := range map[string]int{"jsonl": 3, "csv": 4, "ocsf": 3} {
		q := contract.ExportAuditRequest{Format: format}
		var out []byte
		events, through := 0, int64(0)
		for parts := 0; ; parts++ {
			part, err := w.Export(as(t, tenant), &q)
			require.NoError(t, err)
			require.LessOrEqual(t, len(part.Chunk), chunkBytes)
			if again, err := w.Export(as(t, tenant), &q); parts > 0 {
				require.NoError(t, err)
				require.Equal(t, part, again, "the same part as often as it is asked for")
			} else {
				through = part.Through
				w.log(tenant, logged{data: by(anybody(), "added.meanwhile", "invoice", "1")})
			}
			require.Equal(t, through, part.Through)
			out, events = append(out, part.Chunk...), events+part.Events
			if q.Cursor = part.NextCursor; q.Cursor == "" {
				break
			}
		}
		require.EqualValues(t, through, events)
		require.Equal(t, lines+events-3, bytes.Count(out, []byte("\n")), format)
	}
	ended, end := context.WithCancel(as(t, tenant))
	end()
	_, err := w.Export(ended, &contract.ExportAuditRequest{})
	require.ErrorIs(t, err, context.Canceled)
}
