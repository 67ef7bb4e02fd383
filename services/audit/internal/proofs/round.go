package proofs

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"golang.org/x/mod/sumdb/note"

	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/trail"
	"github.com/buildify/core/services/audit/internal/store/db"
)

// tenantsAtOnce is how many trails a transaction of a round is about.
const tenantsAtOnce = 200

// Round signs a checkpoint of every trail that has grown since its last one, and
// publishes those that are not yet. Replicas take turns: where another one is at
// it, there is nothing to do.
func (p *Proofs) Round(ctx context.Context) error {
	var after *string
	for more := true; more; more = after != nil {
		err := p.cfg.DB.In(ctx, database.Everything, func(tx pgx.Tx) (err error) {
			after, err = p.signSome(ctx, db.New(tx), after)
			return err
		})
		if err != nil {
			return err
		}
	}
	return p.publish(ctx)
}

// signSome signs those after a tenant, and tells behind which one to go on, if
// there are more.
func (p *Proofs) signSome(ctx context.Context, q *db.Queries, after *string) (*string, error) {
	if mine, err := q.TryCheckpointing(ctx); err != nil || !mine {
		return nil, err
	}
	signer, err := p.keys.signer(ctx, q)
	if err != nil {
		return nil, err
	}
	grown, err := q.GrownTrails(ctx, db.GrownTrailsParams{After: after, Page: tenantsAtOnce})
	if err != nil {
		return nil, err
	}
	for _, g := range grown {
		err := p.sign(ctx, q, signer, g)
		if errors.Is(err, trail.ErrProof) || errors.Is(err, errNoHash) || errors.Is(err, trail.ErrFrontier) {
			p.refused.Inc()
			p.cfg.Log.Error("audit trail not signed: it does not continue what was signed before", "tenant", g.TenantID, "signed", g.Size, "error", err)
			continue
		}
		if err != nil {
			return nil, err
		}
		p.signed.Inc()
	}
	if len(grown) < tenantsAtOnce {
		return nil, nil
	}
	return &grown[len(grown)-1].TenantID, nil
}

// sign signs the tree as it is now, if it begins with the one that was signed
// before.
func (p *Proofs) sign(ctx context.Context, q *db.Queries, signer note.Signer, g db.GrownTrailsRow) error {
	f, err := trail.UnmarshalFrontier(g.Frontier)
	if err != nil {
		return err
	}
	now := &trail.Checkpoint{Origin: trail.Origin(signer.Name(), g.TenantID), Size: f.Size(), Root: f.Root()}
	if g.Size > 0 {
		before := &trail.Checkpoint{Origin: now.Origin, Size: g.Size, Root: trail.Hash(g.Root)}
		path, err := trail.ProveConsistency(newTree(ctx, q, g.TenantID), g.Size, f.Size())
		if err != nil {
			return err
		}
		if err := trail.CheckConsistency(path, before, now); err != nil {
			return err
		}
	}
	signed, err := now.Sign(signer)
	if err != nil {
		return err
	}
	return q.AddCheckpoint(ctx, db.AddCheckpointParams{TenantID: g.TenantID, Size: now.Size, Root: now.Root[:], Note: string(signed)})
}

// publish brings the newest checkpoints to the publishers.
func (p *Proofs) publish(ctx context.Context) error {
	for after := (*string)(nil); ; {
		var due []db.UnpublishedRow
		err := p.cfg.DB.Read(ctx, database.Everything, func(tx pgx.Tx) (err error) {
			due, err = db.New(tx).Unpublished(ctx, db.UnpublishedParams{After: after, Page: tenantsAtOnce})
			return err
		})
		if err != nil || len(due) == 0 {
			return err
		}
		for _, d := range due {
			if err := p.publishOne(ctx, d); err != nil {
				if ctx.Err() != nil {
					return err
				}
				p.unpublished.Inc()
				p.cfg.Log.Warn("checkpoint not published; will try again", "tenant", d.TenantID, "size", d.Size, "error", err)
			}
		}
		after = &due[len(due)-1].TenantID
	}
}

func (p *Proofs) publishOne(ctx context.Context, d db.UnpublishedRow) error {
	return p.cfg.DB.In(ctx, d.TenantID, func(tx pgx.Tx) error {
		q := db.New(tx)
		n := Publication{
			Tenant: d.TenantID, Size: d.Size, Published: d.Published, Note: []byte(d.Note), tree: newTree(ctx, q, d.TenantID),
		}
		for _, publisher := range p.cfg.Publishers {
			if err := publisher.Publish(ctx, &n); err != nil {
				return fmt.Errorf("%s: %w", publisher, err)
			}
		}
		return q.Published(ctx, db.PublishedParams{TenantID: d.TenantID, Size: d.Size, Note: string(n.Note)})
	})
}
