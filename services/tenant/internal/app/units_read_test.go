package app

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

func (o *org) tree(r contract.OrgTreeRequest) *contract.OrgTree {
	o.t.Helper()
	r.TenantID = o.tenant
	tree, err := o.OrgTree(o.ctx(), &r)
	require.NoError(o.t, err)
	return tree
}

// drawn is a tree as text: codes, with what is in them, and how many are not
// shown.
func drawn(nodes []contract.OrgNode) string {
	var all []string
	for _, n := range nodes {
		text := n.Code
		switch {
		case len(n.Items) > 0:
			text += "(" + drawn(n.Items) + ")"
		case n.Children > 0:
			text += fmt.Sprintf("+%d", n.Children)
		}
		all = append(all, text)
	}
	return strings.Join(all, " ")
}

func TestTheTreeIsNested(t *testing.T) {
	t.Parallel()
	o := newOrg(t)
	require.Equal(t, &contract.OrgTree{Items: []contract.OrgNode{}, Complete: true}, o.tree(contract.OrgTreeRequest{}))
	b, a := o.unit("company", "", "b"), o.unit("company", "", "a")
	branch := o.unit("branch", b, "branch")
	o.unit("department", b, "also")
	o.unit("department", o.unit("department", branch, "x"), "y")
	gone := o.unit("department", a, "gone")
	_, err := o.remove(gone, false)
	require.NoError(t, err)
	(&org{o.App, t, newTenant(t, o.App)}).unit("company", "", "theirs")
	for _, c := range []struct {
		unit  string
		depth int
		want  string
	}{
		{"", 0, "a b(also branch(x(y)))"},
		{"", 1, "a b+2"},
		{"", 3, "a b(also branch(x+1))"},
		{"", 32, "a b(also branch(x(y)))"},
		{branch, 0, "branch(x(y))"},
		{branch, 2, "branch(x+1)"},
		{a, 0, "a"},
	} {
		tree := o.tree(contract.OrgTreeRequest{UnitID: contract.ID(c.unit), Depth: c.depth})
		require.Equal(t, c.want, drawn(tree.Items))
		require.True(t, tree.Complete, "all that was asked for")
		require.Equal(t, 6, tree.Units)
	}
	for _, nobodys := range []string{gone, kit.NewID()} {
		_, err := o.OrgTree(o.ctx(), &contract.OrgTreeRequest{TenantID: o.tenant, UnitID: contract.ID(nobodys)})
		requireRefused(t, contract.NotFound, "", err)
	}
}

func TestATreeThatIsTooLargeShowsItsTop(t *testing.T) {
	t.Parallel()
	row := func(parent, id string) db.TenantUnit {
		unit := db.TenantUnit{ID: id, Code: id, Name: strings.Repeat("\x01", 200)} // as long as JSON can make it
		if parent != "" {
			unit.ParentID = &parent
		}
		return unit
	}
	g := &grower{below: map[string][]db.TenantUnit{}, room: treeRoom}
	var tops []db.TenantUnit
	for i := range 5 {
		company := row("", fmt.Sprint("c", i))
		tops = append(tops, company)
		for j := range 300 {
			g.below[company.ID] = append(g.below[company.ID], row(company.ID, fmt.Sprint(company.ID, "d", j)))
		}
	}
	items, complete := g.grow(tops, contract.OrgDepth)
	require.False(t, complete)
	require.Len(t, items, 5)
	require.Len(t, items[0].Items, 300)
	require.Len(t, items[1].Items, 300)
	require.Empty(t, items[4].Items)
	require.Equal(t, 300, items[4].Children)
	raw, err := json.Marshal(contract.OrgTree{Items: items})
	require.NoError(t, err)
	require.Less(t, len(raw), 1<<20)

	g = &grower{below: map[string][]db.TenantUnit{"": g.below["c0"]}, room: 100_000}
	items, complete = g.grow(g.below[""], contract.OrgDepth)
	require.False(t, complete)
	require.NotEmpty(t, items, "of the tops as many as fit")
	require.Less(t, len(items), 300)
}

func TestAUnitsPlaceIsTold(t *testing.T) {
	t.Parallel()
	o := newOrg(t)
	company := o.unit("company", "", "c")
	branch := o.unit("branch", company, "b")
	departments := o.chain(branch, 3)
	detail := o.get(departments[0])
	require.Equal(t, []contract.UnitName{
		{ID: company, Kind: "company", Code: "c", Name: "c"},
		{ID: branch, Kind: "branch", Code: "b", Name: "b"},
		{ID: departments[0], Kind: "department", Code: "x", Name: "x"},
	}, detail.Path)
	require.Equal(t, []int{1, 2}, []int{detail.Children, detail.Below})
	_, err := o.remove(departments[1], true)
	require.NoError(t, err)
	detail = o.get(departments[0])
	require.Equal(t, []int{0, 0}, []int{detail.Children, detail.Below})
	require.True(t, o.get(departments[2]).Unit.Removed)
	require.Len(t, o.get(departments[2]).Path, 5)
	for name, r := range map[string]contract.UnitRequest{
		"nobody's":  {TenantID: o.tenant, UnitID: contract.ID(kit.NewID())},
		"another's": {TenantID: newTenant(t, o.App), UnitID: contract.ID(company)},
	} {
		_, err = o.GetUnit(o.ctx(), &r)
		require.ErrorIs(t, err, &contract.Error{Code: contract.NotFound}, name)
	}
}

// pages reads a list to its end.
func pages(t *testing.T, limit int, read func(cursor string) (*contract.ListUnitsResponse, error)) (names []string) {
	t.Helper()
	for cursor, more := "", true; more; more = cursor != "" {
		page, err := read(cursor)
		require.NoError(t, err)
		require.LessOrEqual(t, len(page.Items), limit)
		for _, unit := range page.Items {
			names = append(names, unit.Name)
		}
		cursor = page.NextCursor
	}
	return names
}

func TestUnitsAreFound(t *testing.T) {
	t.Parallel()
	o := newOrg(t)
	one, two := o.unit("company", "", "one"), o.unit("company", "", "two")
	for i, name := range []string{"Sales", "50%", "İzmir", "sales", "Sales"} {
		r := o.wanted("department", one, fmt.Sprint("D", i))
		r.Name = name
		_, err := o.CreateUnit(o.ctx(), r)
		require.NoError(t, err)
	}
	o.unit("branch", two, "b")
	_, err := o.remove(two, true)
	require.NoError(t, err)
	(&org{o.App, t, newTenant(t, o.App)}).unit("company", "", "theirs")
	for name, c := range map[string]struct {
		request contract.SearchUnitsRequest
		want    []string
	}{
		"all":               {contract.SearchUnitsRequest{}, []string{"50%", "Sales", "Sales", "one", "sales", "İzmir"}},
		"of a kind":         {contract.SearchUnitsRequest{Kind: "company"}, []string{"one"}},
		"in a unit":         {contract.SearchUnitsRequest{ParentID: contract.ID(one), Search: "SALES"}, []string{"Sales", "Sales", "sales"}},
		"by code":           {contract.SearchUnitsRequest{Search: "d1"}, []string{"50%"}},
		"what is a pattern": {contract.SearchUnitsRequest{Search: "%"}, []string{"50%"}},
		"beyond ASCII":      {contract.SearchUnitsRequest{Search: "İz"}, []string{"İzmir"}},
		"nothing":           {contract.SearchUnitsRequest{Search: "nothing"}, nil},
		"deleted ones":      {contract.SearchUnitsRequest{Removed: true}, []string{"b", "two"}},
		"deleted, in one":   {contract.SearchUnitsRequest{Removed: true, ParentID: contract.ID(two)}, []string{"b"}},
	} {
		for _, limit := range []int{1, 2, 500} {
			r := c.request
			r.TenantID, r.Limit = o.tenant, limit
			require.Equal(t, c.want, pages(t, limit, func(cursor string) (*contract.ListUnitsResponse, error) {
				r.Cursor = cursor
				return o.SearchUnits(o.ctx(), &r)
			}), "%s, %d a page", name, limit)
		}
	}
	_, err = o.SearchUnits(o.ctx(), &contract.SearchUnitsRequest{TenantID: o.tenant, Cursor: "x"})
	requireRefused(t, contract.InvalidArgument, "cursor", err)
}

// fakeRights gives permissions by unit, and bindings.
type fakeRights struct {
	t       *testing.T
	held    map[string][]string // units by permission
	sources []contract.TraceStep
	moves   []contract.MayMoveUnitRequest // asked about
	refuses error
}

func (f *fakeRights) MayMoveUnit(_ context.Context, r *contract.MayMoveUnitRequest) (*contract.Empty, error) {
	f.moves = append(f.moves, *r)
	return &contract.Empty{}, f.refuses
}

func (f *fakeRights) CheckBatch(_ context.Context, r *contract.CheckBatchRequest) (*contract.CheckBatchResponse, error) {
	require.LessOrEqual(f.t, len(r.Checks), batch)
	answer := &contract.CheckBatchResponse{}
	for _, c := range r.Checks {
		answer.Allowed = append(answer.Allowed, slices.Contains(f.held[r.Permission], c.UnitID))
	}
	return answer, nil
}

func (f *fakeRights) Effective(context.Context, *contract.EffectiveRequest) (*contract.EffectiveResponse, error) {
	return &contract.EffectiveResponse{Items: []contract.EffectivePermission{{Permission: "a:b", Sources: f.sources}}}, nil
}

func TestPeopleSeeWhereTheyHoldSomething(t *testing.T) {
	t.Parallel()
	o := newOrg(t)
	one, two := o.unit("company", "", "one"), o.unit("company", "", "two")
	branch := o.unit("branch", one, "branch")
	x := o.unit("department", branch, "x")
	gone := o.unit("department", two, "gone")
	_, err := o.remove(gone, false)
	require.NoError(t, err)
	person := kit.User{ID: kit.NewID(), TenantID: string(o.tenant)}
	root := kit.User{ID: kit.NewID(), TenantID: string(o.tenant), Platform: true}
	step := func(effect, scope string) contract.TraceStep { return contract.TraceStep{Effect: effect, Scope: scope} }
	o.Rights = &fakeRights{t: t, held: map[string][]string{"crm:deals:read": {two, x, gone}}}
	all := []string{"branch", "one", "two", "x"}
	for name, c := range map[string]struct {
		user       kit.User
		permission string
		kind       string
		sources    []contract.TraceStep
		want       []string
	}{
		"a permission":                 {user: person, permission: "crm:deals:read", want: []string{"two", "x"}},
		"a permission, in companies":   {user: person, permission: "crm:deals:read", kind: "company", want: []string{"two"}},
		"a permission held nowhere":    {user: person, permission: "crm:deals:write"},
		"a platform administrator":     {user: root, permission: "crm:deals:write", want: all},
		"who is bound to nothing":      {user: person},
		"who is bound to the tenant":   {user: person, sources: []contract.TraceStep{step("allow", "tenant")}, want: all},
		"who is bound to a unit":       {user: person, sources: []contract.TraceStep{step("allow", "unit:"+branch)}, want: []string{"branch", "x"}},
		"who is bound to a deleted":    {user: person, sources: []contract.TraceStep{step("allow", "unit:"+gone)}},
		"who is denied something":      {user: person, sources: []contract.TraceStep{step("deny", "tenant"), step("deny", "unit:"+two)}},
		"who is bound to a resource":   {user: person, sources: []contract.TraceStep{step("allow", "resource:invoice:"+two)}},
		"who is bound to two, by kind": {user: person, kind: "company", sources: []contract.TraceStep{step("allow", "unit:"+one), step("allow", "unit:"+two)}, want: []string{"one", "two"}},
	} {
		for _, limit := range []int{1, 2, 500} {
			o.Rights.(*fakeRights).sources = c.sources //nolint:errcheck // it is one
			r := contract.MyUnitsRequest{Permission: c.permission, Kind: c.kind, Limit: limit}
			require.Equal(t, c.want, pages(t, limit, func(cursor string) (*contract.ListUnitsResponse, error) {
				r.Cursor = cursor
				return o.MyUnits(o.as(c.user), &r)
			}), "%s, %d a page", name, limit)
		}
	}
	_, err = o.MyUnits(o.as(person), &contract.MyUnitsRequest{TenantID: newTenant(t, o.App)})
	requireRefused(t, contract.NotFound, "", err)
	_, err = o.MyUnits(o.as(person), &contract.MyUnitsRequest{Cursor: "x"})
	requireRefused(t, contract.InvalidArgument, "cursor", err)
}

func TestManyUnitsAreAskedForInBatches(t *testing.T) {
	t.Parallel()
	o := newOrg(t)
	last := ""
	require.NoError(t, o.Store.Change(o.ctx(), string(o.tenant), func(q *db.Queries) ([]events.Event, error) {
		for i := range 2*batch + 10 {
			last = kit.NewID()
			code := fmt.Sprintf("%06d", i)
			if _, err := q.CreateUnit(o.ctx(), db.CreateUnitParams{TenantID: string(o.tenant), ID: last, Kind: "company", Code: code, Name: code}); err != nil {
				return nil, err
			}
		}
		return nil, nil
	}))
	o.Rights = &fakeRights{t: t, held: map[string][]string{"crm:deals:read": {last}}}
	page, err := o.MyUnits(o.as(kit.User{ID: kit.NewID(), TenantID: string(o.tenant)}), &contract.MyUnitsRequest{Permission: "crm:deals:read"})
	require.NoError(t, err)
	require.Equal(t, []string{last}, ids(page.Items))
}
