package settings

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"strconv"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// List answers tenant.list_settings.
func (a *App) List(ctx context.Context, r *contract.ListSettingsRequest) (*contract.ListSettingsResponse, error) {
	tenant, err := a.Directory.ActingTenant(ctx, r.TenantID)
	if err != nil {
		return nil, err
	}
	languages := a.Languages(ctx, tenant, kit.UserFrom(ctx).ID)
	modules := []contract.SettingsNamespace{}
	for _, activation := range a.Directory.Activations(tenant) {
		s, err := a.set(ctx, tenant, activation.Module)
		if errors.Is(err, &contract.Error{Code: contract.NotFound}) {
			continue
		}
		if err != nil {
			return nil, err
		}
		modules = append(modules, contract.SettingsNamespace{Namespace: s.namespace, Title: a.title(ctx, tenant, s, languages), Version: s.version})
	}
	slices.SortFunc(modules, func(a, b contract.SettingsNamespace) int { return cmp.Compare(a.Namespace, b.Namespace) })
	own := &set{namespace: contract.PlatformSettings, schema: core()}
	return &contract.ListSettingsResponse{Items: append([]contract.SettingsNamespace{{Namespace: own.namespace, Title: a.title(ctx, tenant, own, languages)}}, modules...)}, nil
}

// History answers tenant.settings_history.
func (a *App) History(ctx context.Context, r *contract.SettingsHistoryRequest) (*contract.SettingsHistoryResponse, error) {
	tenant, err := a.actingIn(ctx, r.TenantID, r.Namespace)
	if err != nil {
		return nil, err
	}
	if _, err := a.set(ctx, tenant, r.Namespace); err != nil {
		return nil, err
	}
	before := int64(math.MaxInt64)
	if r.Cursor != "" {
		if before, err = strconv.ParseInt(r.Cursor, 10, 64); err != nil || before < 1 {
			return nil, contract.Invalid("cursor", "is not a cursor that this operation gave out")
		}
	}
	limit := cmp.Or(r.Limit, 50)
	response := &contract.SettingsHistoryResponse{Items: []contract.SettingChange{}}
	err = a.Store.Read(ctx, tenant, func(q *db.Queries) error {
		rows, err := q.SettingChanges(ctx, db.SettingChangesParams{
			Namespace: r.Namespace, TenantID: tenant, Key: r.Key, Before: before, Page: int32(limit) + 1,
		})
		if len(rows) > limit {
			rows = rows[:limit]
			response.NextCursor = strconv.FormatInt(rows[limit-1].ID, 10)
		}
		size := 0
		for i, row := range rows {
			if size += len(row.Before) + len(row.After); size > maxLayer && i > 0 { // a message holds no more
				response.NextCursor = strconv.FormatInt(rows[i-1].ID, 10)
				break
			}
			response.Items = append(response.Items, changeOf(row))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return response, nil
}

func changeOf(row db.TenantSettingsHistory) contract.SettingChange {
	c := contract.SettingChange{
		Layer: tenantwide, Key: row.Key, Before: row.Before, After: row.After, Secret: row.Secret, By: row.ByUser, At: row.At,
	}
	if row.TenantID == nobody {
		c.Layer = platform
	}
	return c
}
