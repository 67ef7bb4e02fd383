package contract

import "time"

// Proofs of a trail. Each names a checkpoint: what the platform signed of the
// tenant's Merkle tree. What they prove, and how to check it without the platform,
// is told in docs/audit-proofs.md; package trail does.

// AuditCheckpoint is a signed state of a tenant's tree.
type AuditCheckpoint struct {
	Size      int64     `json:"size" doc:"How many entries it covers: those with sequences up to this one."`
	Root      string    `json:"root" contentEncoding:"base64" doc:"The root of the tree over them (RFC 6962), base64."`
	Note      string    `json:"note" doc:"The signed checkpoint (C2SP tlog-checkpoint), with the cosignatures of witnesses."`
	CreatedAt time.Time `json:"created_at"`
}

// GetCheckpoint gives a checkpoint.
var GetCheckpoint = Register[GetCheckpointRequest, AuditCheckpoint](AuditRead, Spec{
	Name: "audit.checkpoint", Method: "GET", Path: "/api/v1/audit/checkpoint",
	Access: User | Internal, Permission: "audit:proofs:read",
	Errors:  []Code{NotFound},
	Summary: "Gives the latest signed checkpoint of the caller's tenant, or the first one that covers a sequence.",
})

// GetCheckpointRequest says which. The tenant is chosen as in ListAuditRequest.
type GetCheckpointRequest struct {
	TenantID ID    `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant; default is the caller's. Only platform administrators name another; the nil UUID is the platform's own trail."`
	Covering int64 `json:"covering,omitempty" query:"covering" minimum:"1" doc:"The first checkpoint that covers this sequence; none is the latest."`
}

// ListCheckpoints lists checkpoints.
var ListCheckpoints = Register[ListCheckpointsRequest, ListCheckpointsResponse](AuditRead, Spec{
	Name: "audit.list_checkpoints", Method: "GET", Path: "/api/v1/audit/checkpoints",
	Access: User | Internal, Permission: "audit:proofs:read",
	Summary: "Lists the signed checkpoints of the caller's tenant, newest first.",
})

// ListCheckpointsRequest pages.
type ListCheckpointsRequest struct {
	TenantID ID     `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant, as in audit.checkpoint."`
	Cursor   string `json:"cursor,omitempty" query:"cursor" maxLength:"200" doc:"next_cursor of the page before."`
	Limit    int    `json:"limit,omitempty" query:"limit" minimum:"1" maximum:"500" default:"50" doc:"Checkpoints a page."`
}

// ListCheckpointsResponse is one page.
type ListCheckpointsResponse struct {
	Items      []AuditCheckpoint `json:"items"`
	NextCursor string            `json:"next_cursor,omitempty"`
}

// ProveInclusion proves that an entry is in the tree.
var ProveInclusion = Register[ProveInclusionRequest, InclusionProof](AuditRead, Spec{
	Name: "audit.prove_inclusion", Method: "GET", Path: "/api/v1/audit/proofs/inclusion",
	Access: User | Internal, Permission: "audit:proofs:read",
	Errors:  []Code{NotFound, Conflict},
	Summary: "Proves that an entry of the caller's tenant has its place in a signed checkpoint.",
})

// ProveInclusionRequest names the entry.
type ProveInclusionRequest struct {
	TenantID ID    `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant, as in audit.checkpoint."`
	Sequence int64 `json:"sequence" query:"sequence" minimum:"1" doc:"The entry's sequence."`
	Size     int64 `json:"size,omitempty" query:"size" minimum:"1" doc:"The size of the checkpoint; default is the latest."`
}

// InclusionProof is an inclusion proof (RFC 6962 §2.1.1).
type InclusionProof struct {
	Checkpoint AuditCheckpoint `json:"checkpoint"`
	Sequence   int64           `json:"sequence"`
	Entry      string          `json:"entry,omitempty" doc:"The entry's line, whose hash is the leaf; none when retention removed it."`
	Leaf       string          `json:"leaf" contentEncoding:"base64"`
	Path       []string        `json:"path" doc:"Hashes from the leaf to the root, base64."`
}

// ProveConsistency proves that a checkpoint's tree begins with an older one's.
var ProveConsistency = Register[ProveConsistencyRequest, ConsistencyProof](AuditRead, Spec{
	Name: "audit.prove_consistency", Method: "GET", Path: "/api/v1/audit/proofs/consistency",
	Access: User | Internal, Permission: "audit:proofs:read",
	Errors:  []Code{NotFound},
	Summary: "Proves that nothing of an older checkpoint of the caller's tenant was altered or removed in a newer one.",
})

// ProveConsistencyRequest names the two.
type ProveConsistencyRequest struct {
	TenantID ID    `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant, as in audit.checkpoint."`
	From     int64 `json:"from" query:"from" minimum:"1" doc:"The size of the older checkpoint."`
	To       int64 `json:"to,omitempty" query:"to" minimum:"1" doc:"The size of the newer one; default is the latest."`
}

// ConsistencyProof is a consistency proof (RFC 6962 §2.1.2).
type ConsistencyProof struct {
	From AuditCheckpoint `json:"from"`
	To   AuditCheckpoint `json:"to"`
	Path []string        `json:"path" doc:"Hashes, base64."`
}

// ProveRange proves which leaves a stretch of the trail has.
var ProveRange = Register[ProveRangeRequest, RangeProof](AuditRead, Spec{
	Name: "audit.prove_range", Method: "GET", Path: "/api/v1/audit/proofs/range",
	Access: User | Internal, Permission: "audit:proofs:read",
	Errors:  []Code{NotFound, Conflict},
	Summary: "Gives what is left and right of a stretch of the trail, so that an export of it can be held against a checkpoint.",
})

// ProveRangeRequest names the stretch.
type ProveRangeRequest struct {
	TenantID ID    `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant, as in audit.checkpoint."`
	First    int64 `json:"first" query:"first" minimum:"1" doc:"The sequence of the first entry."`
	Last     int64 `json:"last" query:"last" minimum:"1" doc:"The sequence of the last entry."`
	Size     int64 `json:"size,omitempty" query:"size" minimum:"1" doc:"The size of the checkpoint; default is the latest."`
}

// RangeProof is all but the leaves, which ListLeaves gives.
type RangeProof struct {
	Checkpoint AuditCheckpoint `json:"checkpoint"`
	First      int64           `json:"first"`
	Last       int64           `json:"last"`
	Left       []string        `json:"left" doc:"Roots of the full subtrees before, base64."`
	Right      []string        `json:"right" doc:"Roots of the full subtrees after, base64."`
}

// MaxLeaves is how many hashes audit.leaves gives at once.
const MaxLeaves = 16384

// ListLeaves gives leaf hashes.
var ListLeaves = Register[ListLeavesRequest, ListLeavesResponse](AuditRead, Spec{
	Name: "audit.leaves", Method: "GET", Path: "/api/v1/audit/leaves",
	Access: User | Internal, Permission: "audit:proofs:read",
	Errors:  []Code{NotFound},
	Summary: "Gives the hashes of entries of the caller's tenant, by which an altered one is located.",
})

// ListLeavesRequest names the stretch.
type ListLeavesRequest struct {
	TenantID ID    `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"The tenant, as in audit.checkpoint."`
	First    int64 `json:"first" query:"first" minimum:"1" doc:"The sequence of the first entry."`
	Last     int64 `json:"last" query:"last" minimum:"1" doc:"The sequence of the last entry; at most 16,384 are given."`
}

// ListLeavesResponse is as many as fit.
type ListLeavesResponse struct {
	First  int64  `json:"first"`
	Last   int64  `json:"last" doc:"The last one given; the next request begins behind it."`
	Leaves string `json:"leaves" contentEncoding:"base64" doc:"The hashes, 32 bytes each, one behind the other, base64."`
}

// AuditKeys gives the keys that checkpoints are verified with.
var AuditKeys = Register[Empty, AuditKeysResponse](AuditRead, Spec{
	Name: "audit.keys", Method: "GET", Path: "/api/v1/audit/keys",
	Access:  Anonymous | Internal,
	Summary: "Gives the public keys that checkpoints are signed with.",
})

// AuditKeysResponse lists them, the one that signs first.
type AuditKeysResponse struct {
	Items []AuditKey `json:"items"`
}

// AuditKey is a public key. Keep the ones that you trust: what the platform says
// of its keys later cannot prove what it did before.
type AuditKey struct {
	Verifier  string     `json:"verifier" doc:"The verifier key (C2SP signed-note)." example:"buildify/audit+a1b2c3d4+AQ…"`
	CreatedAt time.Time  `json:"created_at"`
	RetiredAt *time.Time `json:"retired_at,omitempty" doc:"Since when it signs no more."`
}

// RotateAuditKey makes a new signing key.
var RotateAuditKey = Register[Empty, AuditKeysResponse](AuditMutation, Spec{
	Name: "audit.rotate_key", Method: "POST", Path: "/api/v1/audit/keys/rotate",
	Access: User | Internal, Permission: "audit:keys:platform",
	Summary: "Makes a new key that checkpoints are signed with; the old one is destroyed, what it signed stays valid.",
})
