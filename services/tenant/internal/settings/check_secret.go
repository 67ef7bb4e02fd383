package settings

import (
	"context"
	"fmt"

	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/sealed"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// CheckSecret holds that what is sealed opens: before anything is sealed under
// another secret. One secret that was tampered with is no reason to stand still.
func (a *App) CheckSecret(ctx context.Context) error {
	var rows []db.TenantSetting
	err := a.Store.Read(ctx, database.Everything, func(q *db.Queries) (err error) {
		rows, err = q.SealedSettings(ctx)
		return err
	})
	if err != nil {
		return err
	}
	for _, row := range rows {
		l, err := layerOf(row)
		if err != nil {
			return err
		}
		if a.open(row.Namespace, &l); len(l.opened) > 0 {
			return nil
		}
	}
	if len(rows) > 0 {
		return fmt.Errorf("secret settings: %w; give --secret-file the file that they were set with", sealed.ErrSealed)
	}
	return nil
}
