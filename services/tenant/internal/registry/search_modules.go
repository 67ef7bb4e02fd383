package registry

import (
	"cmp"
	"context"
	"encoding/base64"
	"regexp"
	"slices"
	"strings"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// SearchModules answers tenant.search_modules. The platform, in no tenant,
// searches all there are.
func (r *Registry) SearchModules(ctx context.Context, req *contract.SearchModulesRequest) (*contract.SearchModulesResponse, error) {
	asks, err := r.viewer(ctx, req.TenantID)
	if err != nil {
		return nil, err
	}
	asks.everything = asks.tenant == platform
	limit := cmp.Or(req.Limit, 50)
	query := db.SearchModulesParams{
		TenantID: asks.tenant, Everything: asks.everything, Owned: req.Owned, Category: req.Category,
		Patterns: containing(req.Search), Page: int32(limit) + 1,
	}
	if query.After, err = readCursor(req.Cursor); err != nil {
		return nil, err
	}
	response := &contract.SearchModulesResponse{Items: []contract.RegisteredModule{}}
	err = r.Store.Read(ctx, database.Everything, func(q *db.Queries) error {
		for { // a candidate's versions may all be for others
			rows, err := q.SearchModules(ctx, query)
			if err != nil || len(rows) == 0 {
				return err
			}
			found, err := r.registered(ctx, q, asks, rows...)
			if err != nil {
				return err
			}
			for _, one := range found {
				if len(response.Items) == limit {
					response.NextCursor = cursorOf(response.Items[limit-1].ID)
					return nil
				}
				response.Items = append(response.Items, one.RegisteredModule)
			}
			query.After = rows[len(rows)-1].ID
		}
	})
	if err != nil {
		return nil, err
	}
	return response, nil
}

// containing are what ILIKE finds text by; none for an empty text. The database
// may know the case of ASCII letters only, so others are looked for as they are
// usually written.
func containing(text string) []string {
	all := []string{}
	text = strings.TrimSpace(text)
	for _, spelt := range []string{text, strings.ToLower(text), strings.ToUpper(text)} {
		p := "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(spelt) + "%"
		if text != "" && !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	return all
}

var moduleID = regexp.MustCompile(`^[a-z][a-z0-9-]{1,62}$`)

// cursorOf is the cursor after a module.
func cursorOf(id string) string { return base64.RawURLEncoding.EncodeToString([]byte(id)) }

// readCursor is the module that a cursor is after; empty is before all.
func readCursor(cursor string) (string, error) {
	id, err := base64.RawURLEncoding.DecodeString(cursor)
	if cursor != "" && (err != nil || !moduleID.Match(id)) {
		return "", contract.Invalid("cursor", "is not a cursor that this operation gave out")
	}
	return string(id), nil
}
