package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/outbox"
)

const (
	rawPublish   = "raw JetStream publish"
	auditCallers = 64
	// outboxEvents are relayed from a backlog, outboxRaw are published one by one
	// beside them.
	outboxEvents = 20_000
	outboxRaw    = 1_000
	details      = 400 // bytes, which make an event of 600
)

// auditLogOnly measures audit.log, and the outbox, beside JetStream publishes to
// a server of its own that syncs each write as ours does.
func auditLogOnly(rounds int, length time.Duration) error {
	ctx := context.Background()
	f := &fixture{tenant: uuid.NewString(), email: "admin@bench.example"}
	defer f.stop()
	if err := f.startDatabase(ctx); err != nil {
		return err
	}
	js, err := f.bareJetStream(ctx)
	if err != nil {
		return err
	}
	if err := f.relay(ctx, js); err != nil { // while nobody else has the outbox
		return err
	}
	if err := errors.Join(f.fill(ctx, f.database), f.startPlatform(ctx)); err != nil {
		return err
	}
	if err := f.prepareModule(ctx); err != nil {
		return err
	}
	body, err := json.Marshal(contract.LogAuditRequest{
		UserID: contract.ID(f.questions[0].user), Action: "invoice.approved", ResourceType: "invoice", ResourceID: "4711",
		Details: json.RawMessage(`{"note":"` + strings.Repeat("x", details) + `"}`),
	})
	if err != nil {
		return err
	}
	message := make([]byte, 600)
	callers = []int{1, auditCallers}
	figures, err := interleaved(ctx, []target{
		{rawPublish, "", func(ctx context.Context, _, _ int) error {
			_, err := js.Publish(ctx, "core.events.raw", message)
			return err
		}},
		{"bus audit.log", rawPublish, func(ctx context.Context, caller, _ int) error {
			out, err := request(ctx, f.module[caller], contract.LogAudit.ModuleSubject(f.keyID), body)
			if err == nil && !strings.Contains(string(out), `"logged"`) {
				err = fmt.Errorf("audit.log: %s", out)
			}
			return err
		}},
	}, rounds, length)
	if err != nil {
		return err
	}
	fmt.Println()
	table(figures)
	return nil
}

// bareJetStream is a bus with nothing on it but stream EVENTS.
func (f *fixture) bareJetStream(ctx context.Context) (jetstream.JetStream, error) {
	bare, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: filepath.Join(f.dir, "bare"), SyncAlways: true,
	})
	if err != nil {
		return nil, err
	}
	go bare.Start()
	f.stack.Push("bare jetstream", func(context.Context) error { bare.Shutdown(); return nil })
	if !bare.ReadyForConnections(5 * time.Second) {
		return nil, errors.New("the bare nats-server does not start")
	}
	nc, err := nats.Connect(bare.ClientURL())
	if err != nil {
		return nil, err
	}
	f.stack.Push("bare connection", func(context.Context) error { nc.Close(); return nil })
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	return js, events.Ensure(ctx, js, events.EventsStream, 1)
}

// relay moves a backlog from an outbox to the bare bus.
func (f *fixture) relay(ctx context.Context, js jetstream.JetStream) error {
	db, err := database.Open(ctx, f.database, "tenant", 0)
	if err != nil {
		return err
	}
	defer db.Close()
	e, err := events.New(events.TenantChanged, f.tenant, 1, map[string]string{"note": strings.Repeat("x", details)})
	if err != nil {
		return err
	}
	begin := time.Now()
	for range outboxRaw {
		if err := events.Publish(ctx, js, e, ""); err != nil {
			return err
		}
	}
	one := float64(outboxRaw) / time.Since(begin).Seconds()
	err = db.In(ctx, database.Everything, func(tx pgx.Tx) error {
		batch := &pgx.Batch{}
		for i := range outboxEvents {
			e.SetID(fmt.Sprintf("00000000-0000-7000-8000-%012d", i))
			raw, err := json.Marshal(e)
			if err != nil {
				return err
			}
			batch.Queue("INSERT INTO outbox (event) VALUES ($1)", raw)
		}
		return tx.SendBatch(ctx, batch).Close()
	})
	if err != nil {
		return err
	}
	begin = time.Now()
	r := outbox.Start(db, js, "bench", slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	for left := 1; left > 0; {
		time.Sleep(10 * time.Millisecond)
		if err := db.QueryRow(ctx, "SELECT count(*) FROM outbox WHERE id > 0").Scan(&left); err != nil {
			return err
		}
	}
	relayed := float64(outboxEvents) / time.Since(begin).Seconds()
	fmt.Fprintf(os.Stdout, "\n| events of 600 bytes, one connection | events/s | times as many |\n|---|--:|--:|\n| %s, one by one | %.0f | 1 |\n| outbox, from a backlog of %d | %.0f | %.1f |\n",
		rawPublish, one, outboxEvents, relayed, relayed/one)
	return r.Stop(ctx)
}
