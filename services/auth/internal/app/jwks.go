package app

import (
	"context"
	"encoding/base64"

	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// JWKS answers auth.jwks, always from the database: whoever was told that a key
// is compromised must not be given it again by a replica that was not.
func (a *App) JWKS(ctx context.Context, _ *contract.JWKSRequest) (*contract.JWKSResponse, error) {
	return PublicKeys(ctx, a.DB)
}

// PublicKeys reads the JWK set of the keys that are trusted, newest first.
func PublicKeys(ctx context.Context, d *database.DB) (*contract.JWKSResponse, error) {
	set := &contract.JWKSResponse{Keys: []contract.JWK{}}
	err := d.Read(ctx, database.Everything, func(tx pgx.Tx) error {
		rows, err := db.New(tx).TrustedSigningKeys(ctx)
		for _, row := range rows {
			set.Keys = append(set.Keys, contract.JWK{
				KeyType: "OKP", Curve: "Ed25519", Algorithm: "EdDSA", Use: "sig",
				KeyID: row.Kid, X: base64.RawURLEncoding.EncodeToString(row.PublicKey),
			})
		}
		return err
	})
	return set, err
}
