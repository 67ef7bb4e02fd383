package parity

import (
	"encoding/json"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/tests/stack"
)

// deadLetterSamples are of messages that no record could be made of.
func deadLetterSamples() map[string]sample {
	return map[string]sample{
		"audit.list_dead_letters": {request: func(t *testing.T, f *fixture) request {
			reason := "made for the table " + fresh()
			newDeadLetter(t, f, reason)
			return fields{"stream": "AUDIT", "search": reason, "limit": 1}.request()
		}, want: one},
		"audit.get_dead_letter": aboutDeadLetter(nil, has("reason", "made by the table")),
		"audit.retry_dead_letter": aboutDeadLetter(nil, func(t *testing.T, f *fixture, got map[string]any) {
			require.Equal(t, f.ours.Tenant.ID, got["tenant_id"])
		}),
		"audit.discard_dead_letter": aboutDeadLetter(fields{"reason": "spam"}, nil),
	}
}

func aboutDeadLetter(more fields, want func(*testing.T, *fixture, map[string]any)) sample {
	of := func(id string) request {
		r := fields{"dead_letter_id": id}
		for name, value := range more {
			r[name] = value
		}
		return r.request()
	}
	return sample{
		request: func(t *testing.T, f *fixture) request { return of(newDeadLetter(t, f, "made by the table")) },
		absent:  func(*testing.T, *fixture) request { return of("999999999") },
		want:    want,
	}
}

var deadLettersMade atomic.Int64

// newDeadLetter is a message about our tenant that has nothing wrong with it, as
// if an earlier version had not understood it.
func newDeadLetter(t *testing.T, f *fixture, reason string) string {
	t.Helper()
	e, err := events.Make("dev.buildify.audit.event.logged.v2", "/modules/crm", events.AuditSubject(f.ours.Tenant.ID, "crm", "table.sample"),
		map[string]string{events.TenantID: f.ours.Tenant.ID, events.Outcome: "success"},
		fields{"actor": fields{"user_id": uuid.NewString()}, "source": "crm", "action": "table.sample", "target": fields{"type": "sample"}, "request": fields{}})
	require.NoError(t, err)
	msg, err := events.Encode(e)
	require.NoError(t, err)
	headers, err := json.Marshal(msg.Header)
	require.NoError(t, err)
	conn, err := pgx.Connect(stack.Context(t), f.s.DatabaseURL)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(stack.Context(t))) }()
	var id int64
	require.NoError(t, conn.QueryRow(stack.Context(t), `INSERT INTO audit.dead_letter (stream, stream_seq, subject, headers, data, reason)
		VALUES ('AUDIT', $1, $2, $3, $4, $5) RETURNING id`, 1<<40+deadLettersMade.Add(1), msg.Subject, headers, msg.Data, reason).Scan(&id))
	return strconv.FormatInt(id, 10)
}
