// Package deadletters serves what could not be stored: messages of the streams
// that no record of a trail could be made of. Package ingest puts them aside.
package deadletters

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/outbox"
	"github.com/buildify/core/services/audit/internal/ingest"
	"github.com/buildify/core/services/audit/internal/store/db"
)

// DeadLetters answers the operations on dead letters, which are the platform's.
type DeadLetters struct {
	DB *database.DB
	// Again is ingest.Ingester.Again.
	Again func(context.Context, pgx.Tx, ingest.Kept) (ingest.Place, error)
	// Grown hears of trails that have grown, by tenant up to which sequence.
	Grown func(map[string]int64)
	// Committed is told that events wait in the outbox.
	Committed func()
}

// Metrics tell how many dead letters there are, asked for when they are scraped.
func (d *DeadLetters) Metrics() prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "buildify_audit_dead_letters", Help: "Messages that no audit record could be made of, until they are retried or discarded.",
	}, func() float64 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		n, err := db.New(d.DB).CountDeadLetters(ctx)
		if err != nil {
			return -1
		}
		return float64(n)
	})
}

// lock is the dead letter that a request names; two who act on it take turns.
func lock(ctx context.Context, tx pgx.Tx, id contract.ID) (db.AuditDeadLetter, error) {
	n, err := numberOf(id)
	if err != nil {
		return db.AuditDeadLetter{}, err
	}
	row, err := db.New(tx).LockDeadLetter(ctx, n)
	if database.Missing(err) {
		err = contract.Missing("dead letter")
	}
	return row, err
}

func numberOf(id contract.ID) (int64, error) {
	n, err := strconv.ParseInt(string(id), 10, 64)
	if err != nil {
		return 0, contract.Missing("dead letter")
	}
	return n, nil
}

// gone removes a dead letter and tells why, in one transaction.
func gone(ctx context.Context, tx pgx.Tx, kind events.Kind, row db.AuditDeadLetter, change events.DeadLetterChange) error {
	sum := sha256.Sum256(row.Data)
	change.ID, change.Stream, change.Sequence = strconv.FormatInt(row.ID, 10), row.Stream, row.StreamSeq
	change.Subject, change.Fault, change.SHA256 = row.Subject, row.Reason, hex.EncodeToString(sum[:])
	if err := db.New(tx).DeleteDeadLetter(ctx, row.ID); err != nil {
		return err
	}
	e, err := kit.NewEvent(ctx, kind, "", 0, change)
	if err != nil {
		return err
	}
	return outbox.Add(ctx, tx, e)
}
