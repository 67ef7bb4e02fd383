package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/manifest"
)

// PublishVersion answers tenant.publish_version.
func (r *Registry) PublishVersion(ctx context.Context, req *contract.PublishVersionRequest) (*contract.ModuleVersion, error) {
	percent, tenants, err := readRollout(req.Rollout)
	if err != nil {
		return nil, err
	}
	which := target{req.TenantID, req.ModuleName, req.Version, req.Revision}
	return r.changeVersion(ctx, which, func(e *edit) error {
		if err := e.in("published", approved, published); err != nil {
			return err
		}
		if e.row.Suspended != "" || e.module.Suspended != "" {
			return contract.Errorf(contract.Conflict, "the platform suspended it; it can be published when that has ended")
		}
		e.row.RolloutPercent, e.row.RolloutTenants = percent, tenants
		e.published = true
		if e.row.State == published {
			return nil
		}
		now := time.Now().UTC()
		e.row.State, e.row.PublishedAt = published, &now
		return e.describe(ctx)
	})
}

// describe has the module be called what its highest published version, or
// else the version at hand, says.
func (e *edit) describe(ctx context.Context) error {
	versions, err := e.q.VersionsOf(ctx, []string{e.module.ID})
	if err != nil {
		return err
	}
	for _, v := range versions {
		if v.State == published && compareVersions(v.Version, e.row.Version) > 0 {
			return nil
		}
	}
	return e.callIt(e.row.Manifest)
}

func (e *edit) callIt(raw []byte) error {
	m := new(manifest.Manifest)
	if err := json.Unmarshal(raw, m); err != nil {
		return err
	}
	e.module.Name, e.module.Category = nameOf(m), m.Category
	e.remodelled = true
	return nil
}

// nameOf is what people call a module; its id, where the manifest has no name.
func nameOf(m *manifest.Manifest) string {
	if name := storable(m.Say(m.Name), 200); name != "" {
		return name
	}
	return m.ID
}

func readRollout(rollout *contract.Rollout) (percent int32, tenants []string, err error) {
	if rollout == nil {
		return 100, []string{}, nil
	}
	if tenants, err = tenantIDs("rollout.tenant_ids", rollout.TenantIDs); err != nil {
		return 0, nil, err
	}
	if rollout.Percent == 100 {
		tenants = []string{}
	}
	return int32(rollout.Percent), tenants, nil
}

// tenantIDs are the ids of tenants, each once and in order.
func tenantIDs(field string, all []string) ([]string, error) {
	ids := []string{}
	for i, text := range all {
		id, err := uuid.Parse(text)
		if err != nil {
			return nil, contract.Invalid(fmt.Sprintf("%s[%d]", field, i), "must be a tenant's id")
		}
		ids = append(ids, id.String())
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}
