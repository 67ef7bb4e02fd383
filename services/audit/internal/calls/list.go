package calls

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/services/audit/internal/store/db"
)

const (
	defaultPage = 50
	// groupsRead bounds the groups that a page looks at, and groupsAtOnce those that
	// are in memory.
	groupsRead   = 500
	groupsAtOnce = 50
)

// place is where a page begins: at a call, counted from the newest, of a group.
type place struct {
	last  time.Time
	batch string
	part  int32
	skip  int
}

var newest = place{last: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), batch: uuid.Max.String(), part: math.MaxInt32}

// List answers audit.list_calls about tenant, which the caller may read.
func (c *Calls) List(ctx context.Context, tenant string, r *contract.ListCallsRequest) (*contract.ListCallsResponse, error) {
	at, err := parse(r.Cursor)
	if err != nil {
		return nil, err
	}
	limit := r.Limit
	if limit == 0 {
		limit = defaultPage
	}
	page := &contract.ListCallsResponse{Items: []contract.CallRecord{}}
	for read := 0; read < groupsRead; read += groupsAtOnce {
		groups, err := c.groups(ctx, tenant, r, at)
		if err != nil {
			return nil, err
		}
		for _, g := range groups {
			if g.BatchID != at.batch || g.Part != at.part {
				at = place{last: g.LastAt, batch: g.BatchID, part: g.Part}
			}
			records, err := c.records(g)
			if err != nil {
				return nil, err
			}
			for at.skip < len(records) {
				record := records[len(records)-1-at.skip]
				at.skip++
				if !matches(record, r) {
					continue
				}
				if page.Items = append(page.Items, record); len(page.Items) == limit {
					page.NextCursor = at.String()
					return page, nil
				}
			}
		}
		if len(groups) < groupsAtOnce {
			return page, nil
		}
	}
	page.NextCursor = at.String()
	return page, nil
}

func (c *Calls) groups(ctx context.Context, tenant string, r *contract.ListCallsRequest, at place) (rows []db.ListCallsRow, err error) {
	params := db.ListCallsParams{
		TenantID: tenant, LastAt: at.last, BatchID: at.batch, Part: at.part, Page: groupsAtOnce,
		Since: time.Unix(0, 0), Until: newest.last,
	}
	if r.Operation != "" {
		params.Operation = &r.Operation
	}
	if r.From != nil {
		params.Since = *r.From
	}
	if r.Until != nil {
		params.Until = *r.Until
	}
	err = c.DB.Read(ctx, tenant, func(tx pgx.Tx) (err error) {
		rows, err = db.New(tx).ListCalls(ctx, params)
		return err
	})
	return rows, err
}

// records are those of a group, the oldest first.
func (c *Calls) records(g db.ListCallsRow) ([]contract.CallRecord, error) {
	lines, err := c.decoder.DecodeAll(g.Records, nil)
	if err != nil {
		return nil, fmt.Errorf("call records %s: %w", g.BatchID, err)
	}
	records := make([]contract.CallRecord, 0, g.Count)
	for line := range bytes.Lines(lines) {
		var record contract.CallRecord
		if err := json.Unmarshal(line, &record); err != nil {
			return nil, fmt.Errorf("call records %s: %w", g.BatchID, err)
		}
		records = append(records, record)
	}
	slices.SortStableFunc(records, func(a, b contract.CallRecord) int { return a.Time.Compare(b.Time) })
	return records, nil
}

func matches(c contract.CallRecord, r *contract.ListCallsRequest) bool {
	user := kit.UUID(r.UserID)
	return (r.Operation == "" || c.Operation == r.Operation) &&
		(r.Code == "" || c.Code == r.Code) &&
		(r.Module == "" || c.Module == r.Module) &&
		(user == "" || c.UserID == user || c.SubjectID == user) &&
		(r.From == nil || !c.Time.Before(*r.From)) &&
		(r.Until == nil || c.Time.Before(*r.Until))
}

func (p place) String() string {
	return fmt.Sprintf("%d.%s.%d.%d", p.last.UnixMicro(), p.batch, p.part, p.skip)
}

func parse(cursor string) (place, error) {
	if cursor == "" {
		return newest, nil
	}
	var p place
	var micros int64
	_, err := fmt.Sscanf(strings.ReplaceAll(cursor, ".", " "), "%d %s %d %d", &micros, &p.batch, &p.part, &p.skip)
	if err == nil {
		err = uuid.Validate(p.batch)
	}
	if err != nil || p.skip < 0 {
		return place{}, contract.Invalid("cursor", "is not a cursor that this operation gave out")
	}
	p.last = time.UnixMicro(micros)
	return p, nil
}
