package registry

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/manifest"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// SubmitVersion answers tenant.submit_version. The checks look at the draft
// while others may change it; one that was changed meanwhile is a conflict.
func (r *Registry) SubmitVersion(ctx context.Context, req *contract.ChangeVersionRequest) (*contract.ModuleVersion, error) {
	owner, err := r.publisher(ctx, req.TenantID)
	if err != nil {
		return nil, err
	}
	which := target{req.TenantID, req.ModuleName, req.Version, req.Revision}
	var looked check
	err = r.Store.Read(ctx, database.Everything, func(q *db.Queries) (err error) {
		e := &edit{r: r, q: q}
		if e.module, err = q.GetModule(ctx, req.ModuleName); database.Missing(err) || err == nil && owner != "" && owner != e.module.OwnerID {
			return contract.Missing("module")
		}
		if err != nil {
			return err
		}
		e.row, err = q.GetVersion(ctx, db.GetVersionParams{Module: req.ModuleName, Version: req.Version})
		switch {
		case database.Missing(err):
			return contract.Missing("version")
		case err != nil:
			return err
		case which.revision != 0 && which.revision != e.row.Revision:
			return &contract.Error{Code: contract.Conflict, Field: "revision", Message: "the version was changed meanwhile; read it again"}
		}
		if err := e.in("submitted", draft); err != nil {
			return err
		}
		which.revision = e.row.Revision
		looked, err = e.check(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	return r.changeVersion(ctx, which, func(e *edit) error {
		if err := e.in("submitted", draft); err != nil {
			return err
		}
		return e.submit(ctx, &looked, req.Comment)
	})
}

// submit goes as far as the checks let it.
func (e *edit) submit(ctx context.Context, looked *check, comment string) (err error) {
	if e.row.Findings, err = writeFindings(looked.found); err != nil {
		return err
	}
	e.row.Asks, e.row.Comment = looked.asks, comment
	if looked.found.HasErrors() {
		return nil
	}
	now := time.Now().UTC()
	e.row.State, e.row.SubmittedBy, e.row.SubmittedAt = submitted, actor(ctx), &now
	if looked.before && len(looked.asks) == 0 && !looked.suspicious() && e.module.Suspended == "" {
		e.row.State, e.row.Automatic, e.row.DecidedAt = approved, true, &now
	}
	return nil
}

// check is what the automated checks say of a draft.
type check struct {
	found  manifest.Findings
	asks   []string
	before bool // a lower version was published
}

// suspicious reports whether a person has to look, even at what asks for
// nothing new.
func (c *check) suspicious() bool {
	return slices.ContainsFunc(c.found, func(f contract.Finding) bool {
		return f.Severity == manifest.Warning && slices.Contains([]string{"forbidden_pattern", "egress", "requires", "version"}, f.Code)
	})
}

// check runs all checks.
func (e *edit) check(ctx context.Context) (check, error) {
	m, found := manifest.Check([]byte(e.row.Source), e.r.Core)
	if m == nil { // it was readable when it was put
		return check{found: found}, nil
	}
	c := &checker{edit: e, m: m, found: found}
	if e.r.Core == "" {
		c.add("compat", manifest.Info, "/compat/core", "this core is a development build: it takes every range")
	}
	versions, err := e.q.VersionsOf(ctx, append([]string{e.row.Module}, requiredBy(m)...))
	if err != nil {
		return check{}, err
	}
	c.ordered(versions)
	c.requires(versions)
	if err := c.bundle(ctx); err != nil {
		return check{}, err
	}
	before, err := c.before(ctx, versions)
	if err != nil {
		return check{}, err
	}
	asks := m.Asks(before)
	for i := range asks {
		asks[i] = storable(asks[i], 300)
	}
	return check{found: c.found, asks: asks, before: before != nil}, nil
}

// before is the manifest of the highest version below this one that was
// published and is not suspended; nil is none.
func (c *checker) before(ctx context.Context, versions []db.VersionsOfRow) (*manifest.Manifest, error) {
	highest := ""
	for _, v := range versions {
		if v.Module == c.row.Module && (v.State == published || v.State == deprecated) && v.Suspended == "" &&
			compareVersions(v.Version, c.row.Version) < 0 && (highest == "" || compareVersions(v.Version, highest) > 0) {
			highest = v.Version
		}
	}
	if highest == "" {
		return nil, nil
	}
	row, err := c.q.GetVersion(ctx, db.GetVersionParams{Module: c.row.Module, Version: highest})
	if err != nil {
		return nil, err
	}
	m := new(manifest.Manifest)
	return m, json.Unmarshal(row.Manifest, m)
}
