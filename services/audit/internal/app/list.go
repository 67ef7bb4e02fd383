package app

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
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

// List answers audit.list for the tenant of the verified user, or the one that
// a platform administrator names. The cursor is the sequence that the next page
// begins before.
func (a *App) List(ctx context.Context, r *contract.ListAuditRequest) (*contract.ListAuditResponse, error) {
	tenant, err := trailOf(kit.UserFrom(ctx), kit.UUID(r.TenantID))
	if err != nil {
		return nil, err
	}
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
	err = a.DB.Read(ctx, tenant, func(tx pgx.Tx) (err error) {
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
		details, err := detailsOf(row)
		if err != nil {
			return nil, fmt.Errorf("audit event %s: %w", row.ID, err)
		}
		event := contract.AuditEvent{
			ID: row.ID, Sequence: row.TenantSeq, Time: row.OccurredAt.UTC(), TenantID: row.TenantID,
			Source: row.Source, Action: row.Action, ResourceType: row.ResourceType, ResourceID: row.ResourceID,
			Outcome: row.Outcome, Details: details,
		}
		if row.UserID != nil {
			event.UserID = *row.UserID
		}
		response.Items = append(response.Items, event)
	}
	if more {
		response.NextCursor = strconv.FormatInt(response.Items[len(response.Items)-1].Sequence, 10)
	}
	return response, nil
}

// trailOf is the tenant whose trail the user reads: the one that the token acts
// in, or for a platform administrator the one named.
func trailOf(user kit.User, named string) (string, error) {
	switch {
	case named != "" && named == user.TenantID:
	case named != "" && user.Platform:
		return named, nil
	case named != "" || user.TenantID == "" && !user.Platform:
		return "", &contract.Error{
			Code: contract.PermissionDenied, Field: "tenant_id", Message: "names a tenant that you do not act in: leave it out, or switch to that tenant",
		}
	case user.TenantID == "":
		return record.PlatformTenant, nil
	}
	return user.TenantID, nil
}

// detailsOf gives back what was received: of a logged event its details, of a
// domain event its data.
func detailsOf(row db.ListEventsRow) (json.RawMessage, error) {
	details := json.RawMessage(row.Received)
	if row.Stream == events.AuditStream {
		var data record.Data
		if err := json.Unmarshal(row.Received, &data); err != nil {
			return nil, err
		}
		details = data.Details
	}
	switch {
	case len(details) == 0 || string(details) == "null":
		return nil, nil
	case len(details) > pageBytes: // no answer could hold it, and the cursor must get past it
		return fmt.Appendf(nil, `{"omitted_bytes":%d}`, len(details)), nil
	}
	return details, nil
}

// optional is a filter's value, nothing when empty.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
