package chaos

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/trail"
	"github.com/buildify/core/tests/stack"
)

// evidence is all that is left of a visit: what was tried and answered, and
// what the streams, the trail and the services' tables hold of its tenant.
type evidence struct {
	logs, rows map[string]*attempt
	errors     map[string]int

	tenant   string
	trail    []record
	lastSeq  int64
	frontier []byte
	tiles    []tile
	// checkpoints are what was signed of the tree, keys the verifiers.
	checkpoints []contract.AuditCheckpoint
	keys        []string
	// inclusions and consistencies are proofs that the platform gave.
	inclusions    []contract.InclusionProof
	consistencies []contract.ConsistencyProof
	streams       []message
	// letters are what is kept as dead letters.
	letters []letter
	// ids of the rows of each kind that are there, and their names.
	tables map[string]map[string]string
	// revision is the tenant's policy's.
	revision int64
	// gaps are trails, of any tenant, whose records do not have the numbers 1 to
	// what the head says.
	gaps []string
	// listed is the trail as the API gives it, the oldest first.
	listed []record

	// poison are the dead letters expected, by their messages' ids; nobody else's
	// message may become one.
	poison map[string]bool
	// extra are events, by id, that are in the streams though no attempt made them.
	extra map[string]bool
	// repeated says that messages were delivered again out of their order.
	repeated bool
}

// record is one of the trail's.
type record struct {
	Seq                                 int64
	ID, Message, Stream, Source, Action string
	ResourceType, ResourceID, User      string
	Entry, Leaf                         []byte
	// Data is what was received, as the entry has it.
	Data string
}

// tile is one of the tenant's tree.
type tile struct {
	Level  int
	N      int64
	Hashes []byte
}

// message is one of a stream's.
type message struct {
	stream, id, dedup, subject string
	seq                        uint64
	header                     nats.Header
	data                       []byte
	event                      *events.Event // nil when it is none
}

// letter is a dead one.
type letter struct {
	Stream  string
	Seq     int64
	Dedup   string
	Subject string
}

// collect reads the evidence, when everything has settled.
func (l *load) collect(t *testing.T) *evidence {
	t.Helper()
	ctx := stack.Context(t)
	tenant := l.company.Tenant.ID
	e := &evidence{tenant: tenant, logs: l.logs, rows: l.rows, errors: l.errors, tables: map[string]map[string]string{}, poison: map[string]bool{}, extra: map[string]bool{}}
	e.trail = l.world.trailOf(t, tenant)
	require.NoError(t, l.world.sql.QueryRow(ctx, "SELECT last_seq, frontier FROM audit.heads WHERE tenant_id = $1", tenant).Scan(&e.lastSeq, &e.frontier))
	e.tiles = query[tile](ctx, t, l.world, "SELECT level, n, hashes FROM audit.tiles WHERE tenant_id = $1", tenant)
	e.letters = query[letter](ctx, t, l.world, `SELECT stream, stream_seq, coalesce(headers->'Nats-Msg-Id'->>0, ''), subject FROM audit.dead_letter ORDER BY id`)
	for kind, table := range map[string]string{
		"unit": "SELECT id::text, name FROM tenant.units WHERE tenant_id = $1",
		"role": "SELECT id::text, name FROM rbac.roles WHERE tenant_id = $1",
		"user": "SELECT id::text, email FROM auth.users WHERE tenant_id = $1",
	} {
		e.tables[kind] = map[string]string{}
		for _, row := range query[struct{ ID, Name string }](ctx, t, l.world, table, tenant) {
			e.tables[kind][row.ID] = strings.TrimSuffix(row.Name, "@example.com")
		}
	}
	require.NoError(t, l.world.sql.QueryRow(ctx, "SELECT revision FROM rbac.revisions WHERE tenant_id = $1", tenant).Scan(&e.revision))
	e.gaps = query[string](ctx, t, l.world, `
		SELECT h.tenant_id::text || ': ' || count(e.tenant_seq) || ' records, ' || count(DISTINCT e.tenant_seq) || ' numbers up to '
			|| coalesce(max(e.tenant_seq), 0) || ', the head is at ' || h.last_seq
		FROM audit.heads h LEFT JOIN audit.events e USING (tenant_id) WHERE NOT h.erased
		GROUP BY h.tenant_id, h.last_seq
		HAVING count(e.tenant_seq) <> h.last_seq OR count(DISTINCT e.tenant_seq) <> h.last_seq OR coalesce(max(e.tenant_seq), 0) <> h.last_seq`)
	for _, stream := range []struct{ name, filter string }{
		{events.AuditStream, "core.audit.events." + tenant + ".>"}, {events.EventsStream, "core.events." + tenant + ".>"},
	} {
		e.streams = append(e.streams, l.world.stream(t, stream.name, stream.filter)...)
	}
	return e
}

// query reads rows of one column into T, or of several into T's fields.
func query[T any](ctx context.Context, t *testing.T, w *world, sql string, args ...any) []T {
	t.Helper()
	rows, err := w.sql.Query(ctx, sql, args...)
	require.NoError(t, err)
	var scan pgx.RowToFunc[T] = pgx.RowTo[T]
	if _, plain := any(*new(T)).(string); !plain {
		scan = pgx.RowToStructByPos[T]
	}
	all, err := pgx.CollectRows(rows, scan)
	require.NoError(t, err)
	return all
}

// trailOf reads a tenant's trail from the database.
func (w *world) trailOf(t *testing.T, tenant string) []record {
	t.Helper()
	all := query[record](stack.Context(t), t, w, `
		SELECT tenant_seq, id::text, message_id, stream, source, action, resource_type, resource_id, coalesce(user_id::text, ''),
			entry, leaf, ''
		FROM audit.events WHERE tenant_id = $1 ORDER BY tenant_seq`, tenant)
	for i := range all {
		if entry, err := trail.Decode(all[i].Entry); err == nil { // else the proofs tell
			all[i].Data = string(entry.Data)
		}
	}
	return all
}

// stream reads what a stream holds under a subject.
func (w *world) stream(t *testing.T, name, filter string) (all []message) {
	t.Helper()
	ctx := stack.Context(t)
	consumer, err := w.js.OrderedConsumer(ctx, name, jetstream.OrderedConsumerConfig{FilterSubjects: []string{filter}})
	require.NoError(t, err)
	for {
		info, err := consumer.Info(ctx)
		require.NoError(t, err)
		if info.NumPending == 0 {
			return all
		}
		batch, err := consumer.Fetch(int(min(info.NumPending, 5000)), jetstream.FetchMaxWait(5*time.Second))
		require.NoError(t, err)
		for msg := range batch.Messages() {
			meta, err := msg.Metadata()
			require.NoError(t, err)
			m := message{
				stream: name, subject: msg.Subject(), seq: meta.Sequence.Stream, dedup: msg.Headers().Get(nats.MsgIdHdr),
				header: msg.Headers(), data: msg.Data(),
			}
			if event, err := events.Decode(msg.Headers(), msg.Data()); err == nil {
				m.event, m.id = &event, event.ID()
			}
			all = append(all, m)
		}
	}
}

// changes are what an event of the trail says was made or changed: the rows'
// kind and id.
func (r *record) made() (kind, id string) {
	switch r.Action {
	case "tenant.unit.changed":
		var unit struct{ ID string }
		if json.Unmarshal([]byte(r.Data), &unit) == nil {
			return "unit", unit.ID
		}
	case "rbac.policy.changed":
		var step events.PolicyStep
		if json.Unmarshal([]byte(r.Data), &step) == nil && step.Change == "role.created" {
			for _, c := range step.Changes {
				if c.Role != nil {
					return "role", c.Role.ID
				}
			}
		}
	case "auth.user.administered":
		var change events.UserChange
		if json.Unmarshal([]byte(r.Data), &change) == nil && change.Change == "created" {
			return "user", change.UserID
		}
	}
	return "", ""
}
