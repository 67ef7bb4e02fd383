package registry

import (
	"context"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// GetAsset answers tenant.get_asset. At an offset beyond the end it says that
// the file may be served, and no more.
func (r *Registry) GetAsset(ctx context.Context, req *contract.GetAssetRequest) (*contract.GetAssetResponse, error) {
	if req.Offset < 0 || req.Offset%partSize != 0 {
		return nil, contract.Invalid("offset", "must be a multiple of %d", partSize)
	}
	response := &contract.GetAssetResponse{Data: []byte{}}
	err := r.Store.Read(ctx, database.Everything, func(q *db.Queries) error {
		file, err := q.ServedFile(ctx, db.ServedFileParams{
			Module: req.ModuleName, Version: req.Version, Path: req.Path, Review: req.Review,
		})
		if err != nil {
			return err
		}
		response.File = fileOf(file.Path, file.Digest, file.Size)
		if req.Offset >= file.Size {
			return nil
		}
		response.Data, err = q.AssetPart(ctx, db.AssetPartParams{Digest: file.Digest, Place: req.Offset})
		return err
	})
	if database.Missing(err) {
		return nil, contract.Missing("file that may be served")
	}
	if err != nil {
		return nil, err
	}
	return response, nil
}
