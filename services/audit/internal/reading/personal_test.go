package reading

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/services/audit/internal/personal"
	"github.com/buildify/core/services/audit/internal/store/db"
	"github.com/buildify/core/services/audit/internal/trailtest"
)

// What is personal is read like all else until the person is shredded; then all of
// it is read as before but for that, and the entries stay as they are.
func TestTheTrailOfAShreddedPersonIsReadWithoutWhatWasPersonal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, err := personal.New(w.World.DB, bytes.Repeat([]byte("s"), 32))
	require.NoError(t, err)
	w.seal, w.Reading.Open = p.Seal, p.Open
	tenant, ann, bob := w.Tenant(), anybody(), anybody()
	of := func(user string) logged {
		d := by(user, "invoice.created", "invoice", "1")
		d.Request.Address, d.Request.Agent, d.Request.ID = "203.0.113.7", "=Firefox", "r"
		d.Changes = []contract.AuditChange{{Field: "total", Before: json.RawMessage("1"), After: json.RawMessage("2")}}
		d.Details = json.RawMessage(`{"note":"x"}`)
		return logged{data: d}
	}
	w.log(tenant, of(ann), of(bob), of(ann))
	entries := w.exported(t, tenant, contract.ExportAuditRequest{})
	require.NotContains(t, string(entries), "203.0.113.7")
	require.NotContains(t, string(entries), "Firefox")

	address, agent := slices.Index(csvHeader, "address"), slices.Index(csvHeader, "agent")
	schemas := ocsfSchemas(t)
	requireRead := func(addresses, agents []string) {
		t.Helper()
		for i, e := range w.listed(tenant, contract.ListAuditRequest{Order: "asc"}) {
			require.Equal(t, &contract.AuditRequest{ID: "r", Address: addresses[i], Agent: agents[i]}, e.Request)
			require.JSONEq(t, `{"note":"x"}`, string(e.Details))
			require.Len(t, e.Changes, 1)
			got, err := w.Get(as(t, tenant), &contract.GetAuditRequest{EventID: contract.ID(e.ID)})
			require.NoError(t, err)
			require.Equal(t, e, *got)
		}
		rows, err := csv.NewReader(bytes.NewReader(w.exported(t, tenant, contract.ExportAuditRequest{Format: "csv"}))).ReadAll()
		require.NoError(t, err)
		require.Len(t, rows, 4)
		lines := bytes.Split(bytes.TrimSpace(w.exported(t, tenant, contract.ExportAuditRequest{Format: "ocsf"})), []byte("\n"))
		require.Len(t, lines, 3)
		for i := range 3 {
			guarded := agents[i]
			if guarded != "" {
				guarded = "'" + guarded
			}
			require.Equal(t, []string{addresses[i], guarded}, []string{rows[i+1][address], rows[i+1][agent]})
			event := requireOCSF(t, schemas, lines[i])
			if addresses[i] != "" {
				require.Equal(t, map[string]any{"ip": addresses[i]}, event["src_endpoint"])
			}
		}
		require.Equal(t, entries, w.exported(t, tenant, contract.ExportAuditRequest{}))
	}
	requireRead([]string{"203.0.113.7", "203.0.113.7", "203.0.113.7"}, []string{"=Firefox", "=Firefox", "=Firefox"})
	ctx := trailtest.Bounded(t)
	require.NoError(t, w.World.DB.In(ctx, tenant, func(tx pgx.Tx) error {
		_, err := db.New(tx).ShredPerson(ctx, db.ShredPersonParams{TenantID: tenant, PersonID: ann})
		return err
	}))
	requireRead([]string{"", "203.0.113.7", ""}, []string{"", "=Firefox", ""})
}
