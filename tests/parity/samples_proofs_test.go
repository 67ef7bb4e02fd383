package parity

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/tests/stack"
)

// proofSamples are of checkpoints and proofs.
func proofSamples() map[string]sample {
	all := map[string]sample{
		"audit.keys":       {request: nothing, want: func(t *testing.T, _ *fixture, got map[string]any) { require.NotEmpty(t, got["items"]) }},
		"audit.rotate_key": {request: nothing, varies: "retired_at"},
	}
	all["audit.shred_person"] = sample{
		request: func(_ *testing.T, f *fixture) request {
			return fields{"tenant_id": f.ours.Tenant.ID, "person_id": uuid.NewString(), "reason": "made by the table"}.request()
		},
		elsewhere: &contract.Error{Code: contract.PermissionDenied, Field: "tenant_id"},
		want:      has("shredded", false),
	}
	for name, more := range map[string]fields{
		"audit.checkpoint":        {"covering": 1},
		"audit.list_checkpoints":  {"limit": 1},
		"audit.prove_inclusion":   {"sequence": 1},
		"audit.prove_consistency": {"from": 0},
		"audit.prove_range":       {"first": 1, "last": 1},
		"audit.leaves":            {"first": 1, "last": 1},
	} {
		all[name] = sample{
			request: func(t *testing.T, f *fixture) request {
				covered := f.checkpoint(t)
				asked := fields{"tenant_id": f.ours.Tenant.ID}
				for field, value := range more {
					asked[field] = value
				}
				if _, ok := asked["from"]; ok {
					asked["from"] = covered.Size
				}
				return asked.request()
			},
			elsewhere: &contract.Error{Code: contract.PermissionDenied, Field: "tenant_id"},
			varies:    "next_cursor",
		}
	}
	return all
}

// checkpoint waits for one of ours.
func (f *fixture) checkpoint(t *testing.T) (covered *contract.AuditCheckpoint) {
	t.Helper()
	require.Eventually(t, func() bool {
		var err error
		covered, err = kit.Call(stack.Context(t), f.s.Core, contract.GetCheckpoint, &contract.GetCheckpointRequest{TenantID: contract.ID(f.ours.Tenant.ID)})
		return err == nil
	}, stack.Timeout, 20*time.Millisecond)
	return covered
}
