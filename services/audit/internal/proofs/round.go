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

// Round signs what has grown, and publishes what is not yet.
func (p *Proofs) Round(ctx context.Context) error {
	return errors.Join(p.signAll(ctx), p.publish(ctx))
}

// signAll signs a checkpoint of every trail that has grown since its last one.
// Replicas take turns: where another one is at it, there is nothing to do.
func (p *Proofs) signAll(ctx context.Context) error {
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
	return nil
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
		signed, err := p.sign(ctx, q, signer, g)
		if errors.Is(err, trail.ErrProof) || errors.Is(err, errNoHash) || errors.Is(err, trail.ErrFrontier) {
			p.refused.Inc()
			p.cfg.Log.Error("audit trail not signed: it does not continue what was signed before", "tenant", g.TenantID, "signed", g.Size, "error", err)
			continue
		}
		if err != nil {
			return nil, err
		}
		if signed {
			p.signed.Inc()
		}
	}
	if len(grown) < tenantsAtOnce {
		return nil, nil
	}
	return &grown[len(grown)-1].TenantID, nil
}

// sign signs the tree as it is now, if it begins with the one that was signed
// before, and has more than that.
func (p *Proofs) sign(ctx context.Context, q *db.Queries, signer note.Signer, g db.GrownTrailsRow) (bool, error) {
	f, err := trail.UnmarshalFrontier(g.Frontier)
	if err != nil {
		return false, err
	}
	now := &trail.Checkpoint{Origin: trail.Origin(signer.Name(), g.TenantID), Size: f.Size(), Root: f.Root()}
	if g.Size > 0 {
		before := &trail.Checkpoint{Origin: now.Origin, Size: g.Size, Root: trail.Hash(g.Root)}
		var path []trail.Hash
		if before.Size < now.Size {
			if path, err = trail.ProveConsistency(newTree(ctx, q, g.TenantID), before.Size, now.Size); err != nil {
				return false, err
			}
		}
		if err := trail.CheckConsistency(path, before, now); err != nil {
			return false, err
		}
	}
	if now.Size == g.Size { // what was recorded before there were trees is being taken over
		return false, nil
	}
	signed, err := now.Sign(signer)
	if err != nil {
		return false, err
	}
	return true, q.AddCheckpoint(ctx, db.AddCheckpointParams{TenantID: g.TenantID, Size: now.Size, Root: now.Root[:], Note: string(signed)})
}

// publish brings the newest checkpoints to the publishers. Who is away is asked no
// more until the next time: others and other trails do not wait.
func (p *Proofs) publish(ctx context.Context) error {
	if len(p.cfg.Publishers) == 0 {
		return nil
	}
	away := map[Publisher]bool{}
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
			err := p.publishOne(ctx, d, away)
			if ctx.Err() != nil {
				return err
			}
			if err != nil {
				p.unpublished.Inc()
			}
			if err != nil && !errors.Is(err, errLeftOut) {
				p.cfg.Log.Warn("checkpoint not published; will try again", "tenant", d.TenantID, "size", d.Size, "error", err)
			}
		}
		after = &due[len(due)-1].TenantID
	}
}

// errLeftOut says that all who failed to take a checkpoint were away before.
var errLeftOut = errors.New("a publisher is away")

// publishOne brings a trail's newest checkpoint to all publishers, unless another
// replica does or did.
func (p *Proofs) publishOne(ctx context.Context, d db.UnpublishedRow, away map[Publisher]bool) error {
	return p.cfg.DB.In(ctx, d.TenantID, func(tx pgx.Tx) error {
		q := db.New(tx)
		if mine, err := q.TryPublishing(ctx, d.TenantID); err != nil || !mine {
			return err
		}
		c, err := q.LatestCheckpoint(ctx, d.TenantID)
		if err != nil || c.PublishedAt != nil {
			return err
		}
		n := Publication{Tenant: c.TenantID, Size: c.Size, Published: d.Published, Note: []byte(c.Note), tree: newTree(ctx, q, c.TenantID)}
		var failed error
		left := false
		for _, publisher := range p.cfg.Publishers {
			if left = left || away[publisher]; away[publisher] {
				continue
			}
			if err := publisher.Publish(ctx, &n); err != nil {
				away[publisher] = errors.Is(err, errAway)
				failed = errors.Join(failed, fmt.Errorf("%s: %w", publisher, err))
			}
		}
		switch {
		case failed != nil:
			return failed
		case left:
			return errLeftOut
		}
		return q.Published(ctx, db.PublishedParams{TenantID: c.TenantID, Size: c.Size, Note: string(n.Note)})
	})
}
