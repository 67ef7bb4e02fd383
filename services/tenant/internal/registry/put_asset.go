package registry

import (
	"context"
	"crypto/sha512"
	"encoding/hex"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// partSize is the size of all parts of an asset but the last.
const partSize = 524_288

// PutAsset answers tenant.put_asset. Only files that a version of the publisher
// names are taken, and a part that came before may come again.
func (r *Registry) PutAsset(ctx context.Context, req *contract.PutAssetRequest) (*contract.Asset, error) {
	owner, err := r.publisher(ctx, req.TenantID)
	if err != nil {
		return nil, err
	}
	if err := checkPart(req); err != nil {
		return nil, err
	}
	asset := &contract.Asset{Digest: req.Digest, Size: req.Size}
	wrong := false
	err = r.Store.Change(ctx, database.Everything, func(q *db.Queries) ([]events.Event, error) {
		of := db.WantedFileParams{Digest: req.Digest, Size: req.Size}
		if owner != "" {
			of.OwnerID = &owner
		}
		wanted, err := q.WantedFile(ctx, of)
		if err == nil && !wanted {
			err = contract.Errorf(contract.NotFound, "no version of yours has a file of this digest and size; put the version first")
		}
		if err != nil {
			return nil, err
		}
		asset.Complete, wrong, err = putPart(ctx, q, req)
		return nil, err
	})
	switch {
	case err != nil:
		return nil, err
	case wrong:
		return nil, contract.Invalid("digest", "is not that of the parts that came; they are dropped: upload the file anew")
	}
	return asset, nil
}

// checkPart holds that the part is one of the file.
func checkPart(req *contract.PutAssetRequest) error {
	switch {
	case req.Offset%partSize != 0:
		return contract.Invalid("offset", "must be a multiple of %d", partSize)
	case req.Offset >= req.Size:
		return contract.Invalid("offset", "is not within the file, which has %d bytes", req.Size)
	case int64(len(req.Data)) != min(partSize, req.Size-req.Offset):
		return contract.Invalid("data", "has %d bytes; this part has %d", len(req.Data), min(partSize, req.Size-req.Offset))
	}
	return nil
}

// putPart stores a part. With the last one the digest is checked; of a wrong
// file nothing is kept.
func putPart(ctx context.Context, q *db.Queries, req *contract.PutAssetRequest) (complete, wrong bool, err error) {
	asset, err := q.TakeAsset(ctx, db.TakeAssetParams{Digest: req.Digest, Size: req.Size})
	if err != nil || asset.Complete {
		return true, false, err
	}
	if err := q.PutPart(ctx, db.PutPartParams{Digest: req.Digest, Place: req.Offset, Data: req.Data}); err != nil {
		return false, false, err
	}
	have, err := q.UploadedParts(ctx, req.Digest)
	if err != nil || have.Parts*partSize < req.Size {
		return false, false, err
	}
	parts, err := q.AssetParts(ctx, req.Digest)
	if err != nil {
		return false, false, err
	}
	hash := sha512.New384()
	for _, part := range parts {
		hash.Write(part)
	}
	if have.Size != req.Size || hex.EncodeToString(hash.Sum(nil)) != req.Digest {
		return false, true, q.DropParts(ctx, req.Digest)
	}
	return true, false, q.CompleteAsset(ctx, req.Digest)
}

// SweepAssets removes files that no version has, a day after they came.
func (r *Registry) SweepAssets(ctx context.Context) error {
	return r.Store.Change(ctx, database.Everything, func(q *db.Queries) ([]events.Event, error) {
		_, err := q.SweepAssets(ctx)
		return nil, err
	})
}
