// Package tail reads trails forwards, for those who follow them, and announces
// that they have grown.
package tail

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/trail"
	"github.com/buildify/core/services/audit/internal/reading"
	"github.com/buildify/core/services/audit/internal/store/db"
)

const (
	defaultPage = 100
	// stretch is how much of a trail is looked at for an answer, whatever the filter
	// finds in it.
	stretch = 50_000
	// pageBytes bounds an answer, which is one message on the bus.
	pageBytes = 900 << 10
)

// Announce tells followers that trails have grown, by tenant up to which
// sequence. What is lost costs them some seconds.
func Announce(nc *nats.Conn, grown map[string]int64) {
	for tenant, last := range grown {
		_ = nc.Publish(contract.TrailSubject(tenant), strconv.AppendInt(nil, last, 10)) // as good as lost
	}
}

// Follower serves audit.follow.
type Follower struct {
	DB *database.DB
	// Open makes personal data readable in an event and its entry; nil where none
	// is sealed.
	Open func(ctx context.Context, q *db.Queries, e *db.AuditEvent, entry *trail.Entry) error
}

// Follow answers audit.follow for the tenant whose trail the caller reads.
func (f *Follower) Follow(ctx context.Context, tenant string, r *contract.FollowAuditRequest) (*contract.FollowAuditResponse, error) {
	response := &contract.FollowAuditResponse{TenantID: tenant, Items: []contract.AuditEvent{}}
	var end int64
	var full bool
	limit := cmp.Or(r.Limit, defaultPage)
	err := f.DB.Read(ctx, tenant, func(tx pgx.Tx) (err error) {
		q := db.New(tx)
		if end, err = q.TrailEnd(ctx, tenant); err != nil || r.After == nil {
			response.Through = end
			return err
		}
		if *r.After > end {
			return contract.Invalid("after", "is behind the end of the trail, which is at %d", end)
		}
		response.Through = min(*r.After+stretch, end)
		rows, err := q.FollowEvents(ctx, db.FollowEventsParams{
			TenantID: tenant, After: *r.After, Through: response.Through, UserID: optional(kit.UUID(r.UserID)),
			Action: optional(like(r.Action)), Outcome: optional(r.Outcome), Page: int32(limit),
		})
		if err != nil {
			return err
		}
		full = len(rows) == limit
		size := 0
		for i := range rows {
			if size += len(rows[i].Entry) + 512; size > pageBytes && len(response.Items) > 0 {
				full = true
				break
			}
			event, err := f.event(ctx, q, &rows[i])
			if err != nil {
				return fmt.Errorf("audit event %s: %w", rows[i].ID, err)
			}
			response.Items = append(response.Items, event)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if full {
		response.Through = response.Items[len(response.Items)-1].Sequence
	}
	response.More = response.Through < end
	return response, nil
}

func (f *Follower) event(ctx context.Context, q *db.Queries, row *db.AuditEvent) (contract.AuditEvent, error) {
	entry, err := trail.Decode(row.Entry)
	if err != nil {
		return contract.AuditEvent{}, err
	}
	if f.Open != nil {
		if err := f.Open(ctx, q, row, entry); err != nil {
			return contract.AuditEvent{}, err
		}
	}
	return reading.Event(row, entry)
}

// like is a pattern of actions as LIKE has it.
func like(pattern string) string {
	return strings.NewReplacer(`\`, `\\`, `_`, `\_`, `%`, `\%`, `*`, `%`).Replace(pattern)
}

// optional is a filter's value, nothing when empty.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
