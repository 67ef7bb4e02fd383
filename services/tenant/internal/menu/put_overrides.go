package menu

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// maxDepth is how many levels a menu has at most by what a tenant moves.
const maxDepth = 8

// PutOverrides answers tenant.put_menu_overrides.
func (a *App) PutOverrides(ctx context.Context, r *contract.PutMenuOverridesRequest) (*contract.MenuOverrides, error) {
	tenant, err := a.Directory.ActingTenant(ctx, r.TenantID)
	if err != nil {
		return nil, err
	}
	declared, err := a.declared(ctx, tenant)
	if err != nil {
		return nil, err
	}
	if err := cmp.Or(checkItems(r.Items), checkMoves(r.Items, declared)); err != nil {
		return nil, err
	}
	items := slices.SortedFunc(slices.Values(r.Items), func(a, b contract.MenuOverride) int { return cmp.Compare(a.ItemID, b.ItemID) })
	var own overrides
	err = a.Store.Change(ctx, tenant, func(q *db.Queries) (_ []events.Event, err error) {
		var changed []string
		if own, changed, err = put(ctx, q, tenant, items, r.Revision); err != nil || len(changed) == 0 {
			return nil, err
		}
		event, err := kit.NewEvent(ctx, events.MenuChanged, tenant, own.revision,
			events.MenuChange{TenantID: tenant, Revision: own.revision, Items: changed})
		return []events.Event{event}, err
	})
	if err != nil {
		return nil, err
	}
	a.overrides.changed(tenant, own.revision) // the event says so too, later
	return own.answer(tenant, declared), nil
}

// put writes the overrides, and returns whose have changed.
func put(ctx context.Context, q *db.Queries, tenant string, items []contract.MenuOverride, revision int64) (overrides, []string, error) {
	if err := q.AddMenuOverrides(ctx, tenant); err != nil {
		return overrides{}, nil, err
	}
	row, err := q.LockMenuOverrides(ctx, tenant)
	if err != nil {
		return overrides{}, nil, err
	}
	before, err := readOverrides(row)
	if err != nil {
		return overrides{}, nil, err
	}
	if revision != 0 && revision != before.revision {
		return overrides{}, nil, contract.Errorf(contract.Conflict,
			"the overrides were changed meanwhile, they are at revision %d; read them again", before.revision)
	}
	changed := differing(before.items, items)
	if len(changed) == 0 {
		return before, nil, nil
	}
	raw, err := json.Marshal(append([]contract.MenuOverride{}, items...))
	if err != nil {
		return overrides{}, nil, err
	}
	if row, err = q.PutMenuOverrides(ctx, db.PutMenuOverridesParams{TenantID: tenant, Items: raw}); err != nil {
		return overrides{}, nil, err
	}
	after, err := readOverrides(row)
	return after, changed, err
}

// differing are the items of which one list says something else than the other.
func differing(before, after []contract.MenuOverride) []string {
	said := map[string]contract.MenuOverride{}
	for _, o := range before {
		said[o.ItemID] = o
	}
	changed := []string{}
	for _, o := range after {
		if old, known := said[o.ItemID]; !known || !reflect.DeepEqual(old, o) {
			changed = append(changed, o.ItemID)
		}
		delete(said, o.ItemID)
	}
	return slices.Sorted(slices.Values(slices.AppendSeq(changed, maps.Keys(said))))
}

var languageTag = regexp.MustCompile(`^[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?$`)

// checkItems looks at each of the overrides. What is right is put into the form
// that is stored.
func checkItems(items []contract.MenuOverride) error {
	named := map[string]bool{}
	for i := range items {
		o := &items[i]
		if named[o.ItemID] {
			return contract.Invalid(field(i, "item_id"), "is given more than once")
		}
		named[o.ItemID] = true
		if len(o.Title) == 0 {
			o.Title = nil
		}
		for _, language := range slices.Sorted(maps.Keys(o.Title)) {
			if !languageTag.MatchString(language) {
				return contract.Invalid(field(i, "title"), "has %q, which is no language tag such as en, de-CH or zh-Hant", language)
			}
			said := strings.TrimSpace(o.Title[language])
			if said == "" || utf8.RuneCountInString(said) > 200 || strings.ContainsFunc(said, unicode.IsControl) {
				return contract.Invalid(field(i, "title."+language), "must be one line of 1 to 200 characters")
			}
			o.Title[language] = said
		}
	}
	return nil
}

// checkMoves holds that nothing is moved below itself, nor too deep. Items that
// are not there now count as well.
func checkMoves(items []contract.MenuOverride, declared map[string]string) error {
	parents, moves := maps.Clone(declared), map[string]int{}
	for i, o := range items {
		if o.ParentID != "" {
			parents[o.ItemID], moves[o.ItemID] = o.ParentID, i
		}
	}
	blamed := len(items)
	for _, id := range loops(parents) {
		if i, moved := moves[id]; moved {
			blamed = min(blamed, i)
		}
	}
	if blamed < len(items) {
		return contract.Invalid(field(blamed, "parent_id"), "would put %s below itself", items[blamed].ItemID)
	}
	for id := range parents {
		levels, by := 0, len(items)
		for at := id; parents[at] != ""; at = parents[at] {
			levels++
			if i, moved := moves[at]; moved {
				by = min(by, i)
			}
		}
		if levels > maxDepth {
			blamed = min(blamed, by)
		}
	}
	if blamed < len(items) {
		return contract.Invalid(field(blamed, "parent_id"), "makes the menu more than %d levels deep", maxDepth)
	}
	return nil
}

func field(i int, name string) string { return fmt.Sprintf("items[%d].%s", i, name) }
