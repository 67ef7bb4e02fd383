package sdk

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/buildify/core/pkg/contract"
)

// Settings are this module's settings that hold in a tenant, or for one of its
// people: set there, or by the platform, or the defaults of its manifest. They
// hold secrets in clear; what is printed of them does not.
type Settings struct {
	// TenantID is whose they are.
	TenantID string
	// Revision grows with each change. Another version of the module may change
	// what holds without it.
	Revision int64

	values json.RawMessage
}

// Decode writes the settings into a struct with json tags, or a map, as
// [json.Unmarshal] does. A setting that is not set and has no default leaves its
// member as it is.
func (s *Settings) Decode(into any) error {
	if err := json.Unmarshal(s.values, into); err != nil {
		return fmt.Errorf("settings: %w", err)
	}
	return nil
}

// String tells which settings they are, and no values.
func (s *Settings) String() string {
	return fmt.Sprintf("settings of tenant %s at revision %d", s.TenantID, s.Revision)
}

// GoString is String.
func (s *Settings) GoString() string { return s.String() }

func (s *Settings) same(other *Settings) bool {
	return other != nil && s.Revision == other.Revision && bytes.Equal(s.values, other.values)
}

// Settings returns what holds in a tenant, [ErrNotFound] for one that has not
// enabled this module in a version with settings.
func (c *Client) Settings(ctx context.Context, tenantID string) (*Settings, error) {
	return c.settings(ctx, c.transport, tenantID, "")
}

// UserSettings returns what holds for one person in a tenant: their own settings
// where they may have some, and the tenant's.
func (c *Client) UserSettings(ctx context.Context, tenantID, userID string) (*Settings, error) {
	if userID == "" {
		return nil, contract.Invalid("user_id", "is required")
	}
	return c.settings(ctx, c.transport, tenantID, userID)
}

func (c *Client) settings(ctx context.Context, transport Transport, tenantID, userID string) (*Settings, error) {
	answer, err := Call(ctx, transport, contract.GetModuleSettings, &contract.ModuleSettingsRequest{
		TenantID: contract.ID(tenantID), UserID: contract.ID(userID),
	})
	if err != nil {
		return nil, err
	}
	return &Settings{TenantID: tenantID, Revision: answer.Revision, values: answer.Values}, nil
}

// WatchSettings calls changed with the settings of a tenant: with those that
// hold at once, and then whenever others do. The core tells of changes, so
// nothing is asked for again and again; after each break of the connection they
// are read anew, so no change is missed, though of several in short order
// changed may see the last only. Calls come one at a time; while changed works,
// later ones wait.
//
// It returns when ctx ends or the client is closed, with that as its error, or
// with [ErrInvalidArgument] when tenantID is no id. Any other trouble is logged
// and tried again, with growing pauses: a tenant that has not enabled the module
// may do so later. The API key must grant tenant.module_settings, tenant.news
// and tenant.hooks, as one does that was made without a list of operations. All
// watchers and [Client.HandleHooks] share one stream.
func (c *Client) WatchSettings(ctx context.Context, tenantID string, changed func(*Settings)) error {
	var last *Settings
	return c.news.listen(ctx, func(m *contract.ModuleNewsMessage) bool {
		return m.Hook == nil && m.UserID == "" && (m.TenantID == "" || strings.EqualFold(m.TenantID, tenantID))
	}, func(ctx context.Context) error {
		now, err := c.news.read(ctx, func() (*Settings, error) { return c.settings(ctx, c.news.transport, tenantID, "") })
		if err == nil && !now.same(last) {
			last = now
			changed(now)
		}
		return err
	})
}

// read has few read at once.
func (n *news) read(ctx context.Context, read func() (*Settings, error)) (*Settings, error) {
	select {
	case n.reading <- struct{}{}:
		defer func() { <-n.reading }()
		return read()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
