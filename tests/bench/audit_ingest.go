package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/natsconn"
	"github.com/buildify/core/pkg/kit/natsserver"
)

const (
	backlog      = 50_000
	backlogBytes = 600 // of an event's data
	copyBatch    = 2000
)

// Backlog is how fast events that wait in stream AUDIT get their places in the
// trails, beside what that stands on: the same events into the stream, and the
// same rows into a table without more.
type Backlog struct {
	Tenants   int     `json:"tenants"`
	Published float64 `json:"published_per_s"` // in batches, by one publisher
	Copied    float64 `json:"copied_per_s"`
	Stored    float64 `json:"stored_per_s"`
}

func auditIngestOnly() error {
	ctx := context.Background()
	f := &fixture{}
	defer f.stop()
	for _, step := range []func(context.Context) error{f.startDatabase, f.startPlatform} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	fmt.Println("| tenants | JetStream publish/s | COPY/s | stored/s | of publish | of COPY |\n|--:|--:|--:|--:|--:|--:|")
	for _, tenants := range []int{1, 500} {
		b := Backlog{Tenants: tenants}
		if err := b.measure(ctx, f); err != nil {
			return fmt.Errorf("%d tenants: %w", tenants, err)
		}
		fmt.Printf("| %d | %.0f | %.0f | %.0f | %.2f | %.2f |\n", b.Tenants, b.Published, b.Copied, b.Stored, b.Stored/b.Published, b.Stored/b.Copied)
	}
	return nil
}

// measure lets events wait by holding the lock that ingest needs.
func (b *Backlog) measure(ctx context.Context, f *fixture) error {
	nc, err := natsconn.Connect(ctx, natsconn.Config{
		URL: f.core.NATSURL, User: natsconn.Audit, SeedFile: natsserver.SeedFile(f.core.Credentials(), natsconn.Audit),
	})
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, f.database)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	before, err := recorded(ctx, conn)
	if err != nil {
		return err
	}
	all, err := b.events()
	if err != nil {
		return err
	}
	lock, err := conn.Begin(ctx)
	if err != nil {
		return err
	}
	defer lock.Rollback(ctx) //nolint:errcheck // of one that is over
	if _, err := lock.Exec(ctx, "LOCK TABLE audit.heads IN EXCLUSIVE MODE"); err != nil {
		return err
	}
	began := time.Now()
	if _, err := events.PublishBatch(ctx, js, all); err != nil {
		return err
	}
	b.Published = backlog / time.Since(began).Seconds()
	if err := lock.Rollback(ctx); err != nil {
		return err
	}
	if b.Stored, err = storing(ctx, conn, before); err != nil {
		return err
	}
	b.Copied, err = copying(ctx, conn)
	return err
}

// storing waits until the backlog is stored, and is how fast that was from when
// the first of it was.
func storing(ctx context.Context, conn *pgx.Conn, before int64) (float64, error) {
	var first int64
	var began time.Time
	for deadline := time.Now().Add(5 * time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		now, err := recorded(ctx, conn)
		if err != nil {
			return 0, err
		}
		if now -= before; now > 0 && first == 0 {
			first, began = now, time.Now()
		}
		if now >= backlog {
			return float64(backlog-first) / time.Since(began).Seconds(), nil
		}
	}
	return 0, fmt.Errorf("the backlog is not stored after five minutes")
}

// recorded is how many records of benchmark tenants there are.
func recorded(ctx context.Context, conn *pgx.Conn) (n int64, err error) {
	err = conn.QueryRow(ctx, "SELECT coalesce(sum(last_seq), 0) FROM audit.heads WHERE tenant_id <> $1", uuid.Nil.String()).Scan(&n)
	return n, err
}

// copying puts as many of the stored rows by COPY into a table with the same
// columns and indexes, and nothing else to do.
func copying(ctx context.Context, conn *pgx.Conn) (float64, error) {
	if _, err := conn.Exec(ctx, "DROP TABLE IF EXISTS audit.raw; CREATE TABLE audit.raw (LIKE audit.events INCLUDING INDEXES)"); err != nil {
		return 0, err
	}
	rows, err := conn.Query(ctx, "SELECT * FROM audit.events ORDER BY recorded_at DESC LIMIT $1", backlog)
	if err != nil {
		return 0, err
	}
	values, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) ([]any, error) { return row.Values() })
	if err != nil {
		return 0, err
	}
	columns := make([]string, len(rows.FieldDescriptions()))
	for i, field := range rows.FieldDescriptions() {
		columns[i] = field.Name
	}
	began := time.Now()
	for at := 0; at < len(values); at += copyBatch {
		part := values[at:min(at+copyBatch, len(values))]
		if _, err := conn.CopyFrom(ctx, pgx.Identifier{"audit", "raw"}, columns, pgx.CopyFromRows(part)); err != nil {
			return 0, err
		}
	}
	return float64(len(values)) / time.Since(began).Seconds(), nil
}

// events are as the ingress makes them.
func (b *Backlog) events() ([]events.Outgoing, error) {
	tenants := make([]string, b.Tenants)
	for i := range tenants {
		tenants[i] = uuid.NewString()
	}
	all := make([]events.Outgoing, 0, backlog)
	for i := range backlog {
		tenant, user := tenants[i%len(tenants)], uuid.NewString()
		data := map[string]any{
			"actor": map[string]string{"user_id": user, "module": module}, "source": module, "action": "invoice.created",
			"target": map[string]string{"type": "invoice", "id": fmt.Sprint(i)}, "request": map[string]string{"id": uuid.NewString(), "operation": "audit.log"},
			"details": "",
		}
		bare, err := json.Marshal(data)
		if err != nil {
			return nil, err
		}
		data["details"] = strings.Repeat("x", max(0, backlogBytes-len(bare)))
		e, err := events.Make("dev.buildify.audit.event.logged.v2", "/modules/"+module, events.AuditSubject(tenant, module, "invoice.created"),
			map[string]string{events.TenantID: tenant, events.ActorID: user, events.Outcome: "success"}, data)
		if err != nil {
			return nil, err
		}
		all = append(all, events.Outgoing{Event: e, ID: events.MessageID(tenant, module, e.ID(), e.Data())})
		if i%10_000 == 0 {
			fmt.Fprintf(os.Stderr, "%d tenants: %d of %d events made\n", b.Tenants, i, backlog)
		}
	}
	return all, nil
}
