package proofs

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"golang.org/x/mod/sumdb/note"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/sealed"
	"github.com/buildify/core/services/audit/internal/store/db"
)

// keys are those that sign.
//
//	made ──▶ signs ── rotate ──▶ retired: destroyed, its public half stays
type keys struct {
	db     *database.DB
	origin string
	box    *sealed.Box
}

func newKeys(ctx context.Context, cfg Config) (*keys, error) {
	box, err := sealed.NewBox(cfg.Secret, "audit checkpoints")
	if err != nil {
		return nil, err
	}
	k := &keys{db: cfg.DB, origin: cfg.Origin, box: box}
	err = cfg.DB.In(ctx, database.Everything, func(tx pgx.Tx) error {
		q := db.New(tx)
		if err := q.LockSigningKeys(ctx); err != nil {
			return err
		}
		all, err := q.SigningKeys(ctx)
		if err != nil {
			return err
		}
		if len(all) == 0 {
			return k.make(ctx, q)
		}
		signer, err := k.open(all[0])
		if err == nil && signer.Name() != cfg.Origin { // the installation goes by another name now
			err = errors.Join(q.RetireSigningKeys(ctx), k.make(ctx, q))
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("audit signing key: %w", err)
	}
	return k, nil
}

func (k *keys) make(ctx context.Context, q *db.Queries) error {
	secret, public, err := note.GenerateKey(rand.Reader, k.origin)
	if err != nil {
		return err
	}
	return q.AddSigningKey(ctx, db.AddSigningKeyParams{Verifier: public, Sealed: k.box.Seal(public, []byte(secret))})
}

func (k *keys) open(row db.AuditSigningKey) (note.Signer, error) {
	secret, err := k.box.Unseal(row.Verifier, row.Sealed)
	if err != nil {
		return nil, err
	}
	return note.NewSigner(string(secret))
}

// signer is the one that signs now.
func (k *keys) signer(ctx context.Context, q *db.Queries) (note.Signer, error) {
	all, err := q.SigningKeys(ctx)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 || all[0].RetiredAt != nil {
		return nil, errors.New("there is no signing key")
	}
	return k.open(all[0])
}

// Keys answers audit.keys.
func (p *Proofs) Keys(ctx context.Context, _ *contract.Empty) (*contract.AuditKeysResponse, error) {
	all, err := db.New(p.cfg.DB).SigningKeys(ctx)
	if err != nil {
		return nil, err
	}
	return answerKeys(all), nil
}

// RotateKey answers audit.rotate_key.
func (p *Proofs) RotateKey(ctx context.Context, _ *contract.Empty) (answered *contract.AuditKeysResponse, err error) {
	err = p.cfg.DB.In(ctx, database.Everything, func(tx pgx.Tx) error {
		q := db.New(tx)
		if err := errors.Join(q.LockSigningKeys(ctx), q.RetireSigningKeys(ctx), p.keys.make(ctx, q)); err != nil {
			return err
		}
		all, err := q.SigningKeys(ctx)
		answered = answerKeys(all)
		return err
	})
	return answered, err
}

func answerKeys(all []db.AuditSigningKey) *contract.AuditKeysResponse {
	answered := &contract.AuditKeysResponse{Items: []contract.AuditKey{}}
	for _, k := range all {
		one := contract.AuditKey{Verifier: k.Verifier, CreatedAt: k.CreatedAt.UTC()}
		if k.RetiredAt != nil {
			at := k.RetiredAt.UTC()
			one.RetiredAt = &at
		}
		answered.Items = append(answered.Items, one)
	}
	return answered
}
