// Package proofs makes the trails provable: it signs checkpoints of the tenants'
// trees, gives out proofs (package trail checks them), and publishes to whoever
// keeps watch.
package proofs

import (
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/trail"
	"github.com/buildify/core/services/audit/internal/store/db"
)

// Config is what proofs need.
type Config struct {
	DB *database.DB
	// Secret is the installation's, under which signing keys are sealed.
	Secret []byte
	// Origin names the installation in its checkpoints, and its keys: such as
	// core.example.com/audit. It has no spaces and no "+".
	Origin string
	// Publishers are told of each new checkpoint.
	Publishers []Publisher
	// TrailOf is the tenant whose trail the caller reads.
	TrailOf func(ctx context.Context, named contract.ID) (string, error)
	Log     *slog.Logger
	Metrics prometheus.Registerer
}

// Proofs signs checkpoints and answers the operations. It is safe for concurrent
// use.
type Proofs struct {
	cfg  Config
	keys *keys

	signed, refused, unpublished prometheus.Counter
}

// New returns Proofs; the first time ever it makes a signing key.
func New(ctx context.Context, cfg Config) (*Proofs, error) {
	p := &Proofs{
		cfg:         cfg,
		signed:      prometheus.NewCounter(prometheus.CounterOpts{Name: "buildify_audit_checkpoints_total", Help: "Checkpoints of audit trails signed."}),
		refused:     prometheus.NewCounter(prometheus.CounterOpts{Name: "buildify_audit_checkpoints_refused_total", Help: "Trees that were not signed, for they do not continue what was signed before: somebody altered a trail."}),
		unpublished: prometheus.NewCounter(prometheus.CounterOpts{Name: "buildify_audit_publish_failures_total", Help: "Checkpoints that could not be published, and are tried again."}),
	}
	var err error
	if p.keys, err = newKeys(ctx, cfg); err != nil {
		return nil, err
	}
	cfg.Metrics.MustRegister(p.signed, p.refused, p.unpublished)
	return p, nil
}

// read runs work on the tenant's rows.
func (p *Proofs) read(ctx context.Context, named contract.ID, work func(q *db.Queries, tenant string) error) error {
	tenant, err := p.cfg.TrailOf(ctx, named)
	if err != nil {
		return err
	}
	return p.cfg.DB.Read(ctx, tenant, func(tx pgx.Tx) error { return work(db.New(tx), tenant) })
}

// at is the checkpoint that a request names by its size, the latest for 0.
func at(ctx context.Context, q *db.Queries, tenant string, size int64) (db.AuditCheckpoint, error) {
	c, err := q.LatestCheckpoint(ctx, tenant)
	if size > 0 {
		if c, err = q.Checkpoint(ctx, db.CheckpointParams{TenantID: tenant, Size: size}); err == nil && c.Size != size {
			err = pgx.ErrNoRows
		}
	}
	if database.Missing(err) {
		return c, contract.Missing("checkpoint")
	}
	return c, err
}

func answer(c db.AuditCheckpoint) contract.AuditCheckpoint {
	return contract.AuditCheckpoint{Size: c.Size, Root: base64.StdEncoding.EncodeToString(c.Root), Note: c.Note, CreatedAt: c.CreatedAt.UTC()}
}

func encode(hashes []trail.Hash) []string {
	all := make([]string, len(hashes))
	for i, h := range hashes {
		all[i] = h.String()
	}
	return all
}

// Get answers audit.checkpoint.
func (p *Proofs) Get(ctx context.Context, r *contract.GetCheckpointRequest) (answered *contract.AuditCheckpoint, err error) {
	err = p.read(ctx, r.TenantID, func(q *db.Queries, tenant string) error {
		c, err := at(ctx, q, tenant, 0)
		if err == nil && r.Covering > 0 {
			c, err = q.Checkpoint(ctx, db.CheckpointParams{TenantID: tenant, Size: r.Covering})
			if database.Missing(err) {
				err = contract.Missing("checkpoint")
			}
		}
		if err == nil {
			one := answer(c)
			answered = &one
		}
		return err
	})
	return answered, err
}

// List answers audit.list_checkpoints. The cursor is the size before which the
// next page begins.
func (p *Proofs) List(ctx context.Context, r *contract.ListCheckpointsRequest) (*contract.ListCheckpointsResponse, error) {
	before, limit := int64(math.MaxInt64), r.Limit
	if r.Cursor != "" {
		n, err := strconv.ParseInt(r.Cursor, 10, 64)
		if err != nil || n < 1 {
			return nil, contract.Invalid("cursor", "is not a cursor that this operation gave out")
		}
		before = n
	}
	if limit == 0 {
		limit = 50
	}
	page := &contract.ListCheckpointsResponse{Items: []contract.AuditCheckpoint{}}
	return page, p.read(ctx, r.TenantID, func(q *db.Queries, tenant string) error {
		rows, err := q.ListCheckpoints(ctx, db.ListCheckpointsParams{TenantID: tenant, Before: before, Page: int32(limit)})
		for _, c := range rows {
			page.Items = append(page.Items, answer(c))
		}
		if len(rows) == limit {
			page.NextCursor = strconv.FormatInt(rows[limit-1].Size, 10)
		}
		return err
	})
}

// Inclusion answers audit.prove_inclusion.
func (p *Proofs) Inclusion(ctx context.Context, r *contract.ProveInclusionRequest) (proof *contract.InclusionProof, err error) {
	err = p.read(ctx, r.TenantID, func(q *db.Queries, tenant string) error {
		c, err := at(ctx, q, tenant, r.Size)
		if err != nil {
			return err
		}
		if err := covered(c, "sequence", r.Sequence); err != nil {
			return err
		}
		t := newTree(ctx, q, tenant)
		in, err := trail.ProveInclusion(t, c.Size, r.Sequence)
		if err != nil {
			return err
		}
		leaves, err := t.leaves(r.Sequence, r.Sequence)
		if err != nil {
			return err
		}
		line, err := q.EntryAt(ctx, db.EntryAtParams{TenantID: tenant, Sequence: r.Sequence})
		if database.Missing(err) { // by retention
			err = nil
		}
		proof = &contract.InclusionProof{
			Checkpoint: answer(c), Sequence: r.Sequence, Entry: string(line), Leaf: leaves[0].String(), Path: encode(in.Path),
		}
		return err
	})
	return proof, err
}

// covered says what a checkpoint does not cover yet.
func covered(c db.AuditCheckpoint, field string, sequence int64) error {
	if sequence <= c.Size {
		return nil
	}
	return &contract.Error{
		Code: contract.Conflict, Field: field,
		Message: "is not covered by the checkpoint, which ends at " + strconv.FormatInt(c.Size, 10) + "; entries are covered some seconds after they were recorded",
	}
}

// Consistency answers audit.prove_consistency.
func (p *Proofs) Consistency(ctx context.Context, r *contract.ProveConsistencyRequest) (proof *contract.ConsistencyProof, err error) {
	err = p.read(ctx, r.TenantID, func(q *db.Queries, tenant string) error {
		from, err := at(ctx, q, tenant, r.From)
		if err != nil {
			return err
		}
		to, err := at(ctx, q, tenant, r.To)
		if err != nil {
			return err
		}
		if from.Size > to.Size {
			return contract.Invalid("from", "is newer than the other checkpoint")
		}
		path, err := trail.ProveConsistency(newTree(ctx, q, tenant), from.Size, to.Size)
		proof = &contract.ConsistencyProof{From: answer(from), To: answer(to), Path: encode(path)}
		return err
	})
	return proof, err
}

// Range answers audit.prove_range.
func (p *Proofs) Range(ctx context.Context, r *contract.ProveRangeRequest) (proof *contract.RangeProof, err error) {
	if r.Last < r.First {
		return nil, contract.Invalid("last", "comes before the first")
	}
	err = p.read(ctx, r.TenantID, func(q *db.Queries, tenant string) error {
		c, err := at(ctx, q, tenant, r.Size)
		if err != nil {
			return err
		}
		if err := covered(c, "last", r.Last); err != nil {
			return err
		}
		made, err := trail.ProveRange(newTree(ctx, q, tenant), c.Size, r.First, r.Last)
		if err != nil {
			return err
		}
		proof = &contract.RangeProof{Checkpoint: answer(c), First: r.First, Last: r.Last, Left: encode(made.Left), Right: encode(made.Right)}
		return nil
	})
	return proof, err
}

// Leaves answers audit.leaves.
func (p *Proofs) Leaves(ctx context.Context, r *contract.ListLeavesRequest) (answered *contract.ListLeavesResponse, err error) {
	if r.Last < r.First {
		return nil, contract.Invalid("last", "comes before the first")
	}
	err = p.read(ctx, r.TenantID, func(q *db.Queries, tenant string) error {
		last := min(r.Last, r.First+contract.MaxLeaves-1)
		leaves, err := newTree(ctx, q, tenant).leaves(r.First, last)
		if errors.Is(err, errNoHash) {
			return contract.Missing("entry")
		}
		answered = &contract.ListLeavesResponse{First: r.First, Last: last, Leaves: base64.StdEncoding.EncodeToString(trail.JoinHashes(leaves))}
		return err
	})
	return answered, err
}

// Every signs what has grown until ctx ends, a pause apart, and has it published
// beside that: nobody's being slow or away keeps anything unsigned.
func (p *Proofs) Every(ctx context.Context, pause time.Duration) {
	due := make(chan struct{}, 1)
	var publishing sync.WaitGroup
	publishing.Go(func() {
		for range due {
			p.warn(ctx, "checkpoints not published; will try again", p.publish(ctx))
		}
	})
	defer publishing.Wait()
	defer close(due)
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for {
		p.warn(ctx, "checkpoints not made; will try again", p.signAll(ctx))
		select {
		case due <- struct{}{}:
		default: // it is at it
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (p *Proofs) warn(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		p.cfg.Log.Warn(what, "error", err) //nolint:sloglint // one of two
	}
}
