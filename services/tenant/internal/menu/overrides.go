package menu

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/tenant/internal/store"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// overrides are what a tenant changes of the menu.
type overrides struct {
	items    []contract.MenuOverride // by item
	revision int64
	at       *time.Time
}

// none are the overrides of a tenant that never had any.
var none = overrides{revision: 1}

func readOverrides(row db.TenantMenuOverride) (overrides, error) {
	o := overrides{revision: row.Revision}
	if row.Revision > none.revision {
		o.at = &row.UpdatedAt
	}
	return o, json.Unmarshal(row.Items, &o.items)
}

// load reads a tenant's overrides.
func load(ctx context.Context, s *store.Store, tenant string) (o overrides, err error) {
	err = s.Read(ctx, tenant, func(q *db.Queries) error {
		row, err := q.GetMenuOverrides(ctx, tenant)
		if database.Missing(err) {
			o = none
			return nil
		}
		if err == nil {
			o, err = readOverrides(row)
		}
		return err
	})
	return o, err
}

// overridesCache holds tenants' overrides until it is told of newer ones. The
// zero value is ready.
type overridesCache struct {
	mu sync.Mutex
	of map[string]*cached
}

// cached are the overrides of one tenant; before they are loaded their revision
// is 0.
type cached struct {
	overrides
	newest int64 // the revision that we were told of
}

func (c *overridesCache) get(ctx context.Context, s *store.Store, tenant string) (overrides, error) {
	entry, known := c.entry(tenant)
	if known.revision > 0 {
		return known, nil
	}
	loaded, err := load(ctx, s, tenant)
	if err == nil {
		c.keep(entry, loaded)
	}
	return loaded, err
}

// entry returns the tenant's, and what it holds.
func (c *overridesCache) entry(tenant string) (*cached, overrides) {
	c.mu.Lock()
	defer c.mu.Unlock()
	entry := c.of[tenant]
	if entry == nil {
		if c.of == nil {
			c.of = map[string]*cached{}
		}
		makeRoom(c.of)
		entry = &cached{}
		c.of[tenant] = entry
	}
	return entry, entry.overrides
}

// keep takes in what was loaded, unless it is known to be old by now.
func (c *overridesCache) keep(entry *cached, loaded overrides) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if loaded.revision >= max(entry.newest, entry.revision) {
		entry.overrides = loaded
	}
}

// changed is told that the tenant's overrides are at a revision.
func (c *overridesCache) changed(tenant string, revision int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	entry := c.of[tenant]
	if entry == nil {
		return // and so is not loading either
	}
	entry.newest = max(entry.newest, revision)
	if entry.revision < entry.newest {
		entry.overrides = overrides{}
	}
}
