package alerts

import (
	"cmp"
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/services/audit/internal/store/db"
)

const (
	// tried is the default of TestAlertRequest.Events.
	tried = 10_000
	// shown bounds TestAlertResponse.Items.
	shown = 100
)

// Test answers audit.test_alert.
func (a *Alerts) Test(ctx context.Context, r *contract.TestAlertRequest) (*contract.TestAlertResponse, error) {
	tenant, err := a.Directory.ActingTenant(ctx, r.TenantID)
	if err != nil {
		return nil, err
	}
	rule, response, tallies := completed(r.Rule), &contract.TestAlertResponse{Items: []contract.AlertRaising{}}, map[string]*tally{}
	err = a.DB.Read(ctx, tenant, func(tx pgx.Tx) error {
		q := db.New(tx)
		end, err := q.TrailEnd(ctx, tenant)
		for place := max(end-int64(cmp.Or(r.Events, tried)), 0); err == nil && place < end; {
			var rows []db.AlertEventsRow
			rows, err = q.AlertEvents(ctx, db.AlertEventsParams{TenantID: tenant, After: place, Page: batch})
			for _, row := range rows {
				try(response, rule, tallies, entryOf(row))
			}
			if place = end; len(rows) == batch {
				place = rows[batch-1].TenantSeq
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return response, nil
}

func try(response *contract.TestAlertResponse, rule contract.AlertRule, tallies map[string]*tally, e entry) {
	response.Events++
	key, ok := counts(rule, e)
	if !ok {
		return
	}
	response.Matched++
	if tallies[key] == nil {
		tallies[key] = &tally{}
	}
	first, raised := tallies[key].add(rule, e.at)
	if !raised {
		return
	}
	if response.Raised++; response.Raised > shown {
		return
	}
	raising := contract.AlertRaising{Sequence: e.seq, First: first.UTC(), Last: e.at.UTC()}
	switch rule.Per {
	case "actor":
		raising.Actor = key
	case "address":
		raising.Address = key
	}
	response.Items = append(response.Items, raising)
}
