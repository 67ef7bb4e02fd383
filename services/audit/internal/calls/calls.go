// Package calls keeps the records of the calls that the services answered: what
// was asked of the Core API, by whom, and how it was answered. They come in
// batches through stream ACCESS and stay as they came, compressed; denials among
// them go into the tenants' trails too.
package calls

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/klauspost/compress/zstd"

	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/audit/internal/record"
	"github.com/buildify/core/services/audit/internal/store/db"
)

// Durable is the consumer of stream ACCESS.
const Durable = "audit_calls"

// Calls keeps the records and answers audit.list_calls.
type Calls struct {
	DB  *database.DB
	Log *slog.Logger
	// Deny puts a denial into a tenant's trail and returns when it is durable: once
	// in effect for an id.
	Deny func(ctx context.Context, tenant, id string, d events.Denial) error

	decoder *zstd.Decoder
}

// New returns Calls. It is safe for concurrent use.
func New(d *database.DB, log *slog.Logger, deny func(ctx context.Context, tenant, id string, d events.Denial) error) (*Calls, error) {
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(64<<20))
	if err != nil {
		return nil, err
	}
	return &Calls{DB: d, Log: log, Deny: deny, decoder: decoder}, nil
}

// Take keeps a batch. One that comes again changes nothing.
func (c *Calls) Take(ctx context.Context, e events.Event) error {
	batch, err := events.Data[events.CallBatch](e)
	if err != nil {
		return err
	}
	id, err := uuid.Parse(e.ID())
	if err != nil {
		return events.ErrMalformed
	}
	rows := make([]db.StoreCallsParams, 0, len(batch.Groups))
	for part, g := range batch.Groups {
		tenant, err := tenantOf(g)
		if err != nil {
			return events.ErrMalformed
		}
		rows = append(rows, db.StoreCallsParams{
			TenantID: tenant, LastAt: g.Last, BatchID: id.String(), Part: int32(part), FirstAt: g.First,
			Service: service(e), Count: int32(g.Count), Operations: g.Operations, Records: g.Records,
		})
		for n, d := range g.Denials {
			if err := c.Deny(ctx, tenant, uuid.NewSHA1(id, []byte{byte(part >> 8), byte(part), byte(n)}).String(), d); err != nil {
				return err
			}
		}
	}
	return c.DB.In(ctx, database.Everything, func(tx pgx.Tx) error {
		for _, row := range rows {
			if _, err := db.New(tx).StoreCalls(ctx, row); err != nil {
				return err
			}
		}
		return nil
	})
}

// tenantOf is the tenant of a group, the nil UUID for none.
func tenantOf(g events.CallGroup) (string, error) {
	if g.TenantID == "" {
		return record.PlatformTenant, nil
	}
	id, err := uuid.Parse(g.TenantID)
	return id.String(), err
}

// service is who sent the batch: the bus lets each publish under its own name
// only.
func service(e events.Event) string { return strings.TrimPrefix(e.Source(), "/core/") }

// Expire removes the records of before a time, in parts.
func (c *Calls) Expire(ctx context.Context, before time.Time) (groups int64, err error) {
	for n := int64(1); n > 0 && err == nil; groups += n {
		err = c.DB.In(ctx, database.Everything, func(tx pgx.Tx) (err error) {
			n, err = db.New(tx).ExpireCalls(ctx, before)
			return err
		})
	}
	if groups > 0 {
		c.Log.Info("call records expired", "groups", groups, "before", before)
	}
	return groups, err
}

// Erase removes those of a tenant, in parts.
func (c *Calls) Erase(ctx context.Context, tenant string) (err error) {
	for n := int64(1); n > 0 && err == nil; {
		err = c.DB.In(ctx, database.Everything, func(tx pgx.Tx) (err error) {
			n, err = db.New(tx).EraseCalls(ctx, tenant)
			return err
		})
	}
	return err
}
