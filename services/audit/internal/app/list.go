package app

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/services/audit/internal/record"
	"github.com/buildify/core/services/audit/internal/store/db"
)

const (
	defaultPage = 50
	// pageBytes bounds a page, which is one message on the bus; a page that it
	// cuts short goes on at its cursor.
	pageBytes = 900 << 10
)

// List answers audit.list for the tenant of the verified user. The cursor is
// the sequence that the next page begins before.
func (a *App) List(ctx context.Context, r *contract.ListAuditRequest) (*contract.ListAuditResponse, error) {
	tenant := kit.UserFrom(ctx).TenantID
	before := int64(math.MaxInt64)
	if r.Cursor != "" {
		n, err := strconv.ParseInt(r.Cursor, 10, 64)
		if err != nil || n < 1 {
			return nil, contract.Invalid("cursor", "is not a cursor that this operation gave out")
		}
		before = n
	}
	limit := r.Limit
	if limit == 0 {
		limit = defaultPage
	}
	var rows []db.ListEventsRow
	err := a.DB.Read(ctx, tenant, func(tx pgx.Tx) (err error) {
		rows, err = db.New(tx).ListEvents(ctx, db.ListEventsParams{
			TenantID: tenant, Before: before, UserID: optional(kit.UUID(r.UserID)), Action: optional(r.Action), Page: int32(limit),
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	response := &contract.ListAuditResponse{Items: make([]contract.AuditEvent, 0, len(rows))}
	more, size := len(rows) == limit, 0
	for _, row := range rows {
		// An event's answer holds its received data and some members more.
		if size += len(row.Received) + 512; size > pageBytes && len(response.Items) > 0 {
			more = true
			break
		}
		var data record.Data
		if err := json.Unmarshal(row.Received, &data); err != nil {
			return nil, fmt.Errorf("audit event %s: %w", row.ID, err)
		}
		response.Items = append(response.Items, contract.AuditEvent{
			ID: row.ID, Sequence: row.TenantSeq, Time: row.OccurredAt.UTC(), TenantID: row.TenantID, UserID: row.UserID,
			Source: row.Source, Action: row.Action, ResourceType: row.ResourceType, ResourceID: row.ResourceID,
			Details: details(data.Details),
		})
	}
	if more {
		response.NextCursor = strconv.FormatInt(response.Items[len(response.Items)-1].Sequence, 10)
	}
	return response, nil
}

// optional is a filter's value, nothing when empty.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
