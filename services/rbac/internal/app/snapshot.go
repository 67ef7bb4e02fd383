package app

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/decision"
	"github.com/buildify/core/pkg/kit"
)

const (
	// pageBytes is what a page of a snapshot holds, about; an answer may be
	// MaxBody long.
	pageBytes = contract.MaxBody / 3
	// partLength is how many changes a part of a page holds at most.
	partLength = 1000
)

// Snapshot answers rbac.snapshot.
func (a *App) Snapshot(ctx context.Context, r *contract.PolicySnapshotRequest) (*contract.PolicySnapshotResponse, error) {
	now, module := time.Now(), kit.PrincipalFrom(ctx)
	tenants, part, err := a.snapshotFrom(ctx, module, r)
	if err != nil {
		return nil, err
	}
	response := &contract.PolicySnapshotResponse{Items: []contract.PolicyPart{}, Feed: feedSubjects(module), Now: now}
	size := 0
	for i, tenant := range tenants {
		if size >= pageBytes {
			response.NextCursor = tenant + "|"
			break
		}
		if i%chunk == 0 {
			// Who takes a snapshot believes the beats of all replicas from then on,
			// and this one may have been held up.
			if err := a.catchUpAll(ctx, tenants[i:min(i+chunk, len(tenants))]); err != nil {
				return nil, err
			}
		}
		p, err := a.policy(ctx, tenant, r.AtLeast)
		if err != nil {
			return nil, err
		}
		if !p.Serves(module.Module) { // since a moment ago
			part = ""
			continue
		}
		for {
			item, next, length := snapshotPart(p, part, module.Module, tenant)
			if size > 0 && size+length > 2*pageBytes {
				response.NextCursor = tenant + "|" + part
				return response, nil
			}
			response.Items = append(response.Items, item)
			size, part = size+length, next
			if part == "" {
				break
			}
			if size >= pageBytes {
				response.NextCursor = tenants[i] + "|" + part
				return response, nil
			}
		}
	}
	return response, nil
}

// snapshotPart is a part that fits a page, and how long it is.
func snapshotPart(p *decision.Policy, cursor, module, tenant string) (item contract.PolicyPart, next string, length int) {
	for limit := partLength; ; limit /= 4 {
		var all []contract.PolicyChange
		all, next = p.Part(cursor, limit, module)
		item = contract.PolicyPart{
			TenantID: tenant, Revision: p.Revision(), Changes: append([]contract.PolicyChange{}, all...), More: next != "",
		}
		raw, _ := json.Marshal(item) // changes always marshal
		if length = len(raw); length <= 2*pageBytes || limit == 1 {
			return item, next, length
		}
		limit = max(limit, 4)
	}
}

// snapshotFrom lists the tenants from the cursor on, and where in the first one
// to go on.
func (a *App) snapshotFrom(ctx context.Context, module kit.Principal, r *contract.PolicySnapshotRequest) (tenants []string, part string, err error) {
	after, part, ok := strings.Cut(r.Cursor, "|")
	if r.Cursor != "" && !ok {
		return nil, "", contract.Invalid("cursor", "is not a cursor that this operation gave out")
	}
	if tenant := kit.UUID(r.TenantID); tenant != "" {
		if _, known := a.Directory.Tenant(tenant); !known || !module.May(tenant) {
			return nil, "", contract.Missing("tenant")
		}
		// The policy, not the directory, which may know less than the feed told.
		p, err := a.policy(ctx, tenant, r.AtLeast)
		if err == nil && !p.Serves(module.Module) {
			err = contract.Missing("tenant")
		}
		return []string{tenant}, part, err
	}
	if r.AtLeast > 0 {
		return nil, "", contract.Invalid("at_least", "needs tenant_id: each tenant has its own revisions")
	}
	for _, tenant := range a.Directory.TenantIDs() {
		if tenant >= after && a.Directory.Sees(module, tenant) {
			tenants = append(tenants, tenant)
		}
	}
	slices.Sort(tenants)
	if len(tenants) > 0 && tenants[0] != after {
		part = "" // the tenant of the cursor is not seen any more
	}
	return tenants, part, nil
}

// feedSubjects is where a module's key may hear of changes.
func feedSubjects(module kit.Principal) []string {
	return contract.StreamSubjects(contract.PolicyFeed.Spec, module.Module, module.Tenants)
}
