package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/manifest"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// PutVersion answers tenant.put_version. What is wrong with a manifest does not
// keep it from being a draft, as long as it says which module it is of.
func (r *Registry) PutVersion(ctx context.Context, req *contract.PutVersionRequest) (*contract.ModuleVersion, error) {
	if contract.ReservedModule(req.ModuleName) {
		return nil, contract.Invalid("module_name", "is a name of the platform; choose another")
	}
	version, err := semver.StrictNewVersion(req.Version)
	if err != nil || version.Metadata() != "" {
		return nil, contract.Invalid("version", "must be a semantic version such as 1.4.0, without +build")
	}
	owner, err := r.publisher(ctx, req.TenantID)
	if err != nil {
		return nil, err
	}
	m, put, err := readDraft(req)
	if err != nil {
		return nil, err
	}
	var made *contract.ModuleVersion
	err = r.edit(ctx, func(e *edit) ([]events.Event, error) {
		if err := e.claim(ctx, owner, m); err != nil {
			return nil, err
		}
		row, err := e.q.LockVersion(ctx, db.LockVersionParams{Module: put.Module, Version: put.Version})
		switch {
		case err == nil && row.State != draft && row.State != rejected:
			return nil, contract.Errorf(contract.Conflict, "the version is %s; only a draft, or one that was rejected, can be replaced: choose a higher version", row.State)
		case err != nil && !database.Missing(err):
			return nil, err
		}
		if e.row, err = e.q.PutDraft(ctx, put); err != nil {
			return nil, err
		}
		if err := e.putFiles(ctx, m); err != nil {
			return nil, err
		}
		if err := e.withinUse(ctx); err != nil {
			return nil, err
		}
		told, err := e.commit(ctx, e.versionChange(ctx))
		if err != nil {
			return nil, err
		}
		made, err = whole(ctx, e.q, e.row)
		return told, err
	})
	if err != nil {
		return nil, err
	}
	return made, nil
}

// readDraft reads the manifest of a draft, whatever else is wrong with it.
func readDraft(req *contract.PutVersionRequest) (*manifest.Manifest, db.PutDraftParams, error) {
	put := db.PutDraftParams{Module: req.ModuleName, Version: req.Version, Source: req.Manifest}
	m, found := manifest.Parse([]byte(req.Manifest))
	if m == nil {
		message := "is no manifest"
		if len(found) > 0 {
			message = fmt.Sprintf("line %d, column %d: %s", found[0].Line, found[0].Column, found[0].Message)
		}
		return nil, put, contract.Invalid("manifest", "%s", storable(message, 1000))
	}
	for _, same := range []struct{ member, says, path string }{{"id", m.ID, req.ModuleName}, {"version", m.Version, req.Version}} {
		if same.says != same.path {
			return nil, put, contract.Invalid("manifest", "its %s is %q, and not %q as the request says", same.member, storable(same.says, 100), same.path)
		}
	}
	var err error
	if put.Findings, err = writeFindings(found); err != nil {
		return nil, put, err
	}
	put.Manifest, err = storedManifest(m)
	return m, put, err
}

// storedManifest is a manifest of version 2 as PostgreSQL takes it. Schemas in
// it stand as they were written, escapes and all.
func storedManifest(m *manifest.Manifest) ([]byte, error) {
	raw, err := json.Marshal(m)
	if err != nil {
		return nil, contract.Invalid("manifest", "cannot be read: %s", storable(err.Error(), 500))
	}
	raw = stringLiteral.ReplaceAllFunc(raw, func(literal []byte) []byte {
		var text string
		if !bytes.Contains(literal, []byte(`\u`)) || json.Unmarshal(literal, &text) != nil {
			return literal
		}
		plain, err := json.Marshal(strings.ReplaceAll(text, "\x00", "\ufffd"))
		if err != nil {
			return literal
		}
		return plain
	})
	return raw, nil
}

var stringLiteral = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

// claim locks the module for its owner. Nobody's becomes the owner's.
func (e *edit) claim(ctx context.Context, owner string, m *manifest.Manifest) (err error) {
	if e.module, err = e.q.LockModule(ctx, m.ID); database.Missing(err) {
		if owner == "" { // the platform, which names nobody
			if owner = kit.UserFrom(ctx).TenantID; owner == "" {
				return contract.Invalid("tenant_id", "is required: it becomes the module's publisher")
			}
		}
		if err := e.free(ctx, m.ID); err != nil {
			return err
		}
		claim := db.ClaimModuleParams{ID: m.ID, OwnerID: owner, Name: nameOf(m), Category: storable(m.Category, 60)}
		if _, err := e.q.ClaimModule(ctx, claim); err != nil {
			return err
		}
		e.module, err = e.q.LockModule(ctx, m.ID) // another may have been faster
	}
	if err == nil && owner != "" && owner != e.module.OwnerID {
		err = &contract.Error{Code: contract.NotFound, Field: "module_name", Message: "no such module of yours: another publisher has this id; choose another"}
	}
	return err
}

// free holds that nobody uses a module's id without a manifest: else only the
// platform says whose it is.
func (e *edit) free(ctx context.Context, module string) error {
	if fromPlatform(ctx) {
		return nil
	}
	used, err := e.q.ModuleInUse(ctx, module)
	if err == nil && !used && e.r.HasKeys != nil {
		used, err = e.r.HasKeys(ctx, module)
	}
	if err == nil && used {
		err = &contract.Error{Code: contract.Conflict, Field: "module_name", Message: "the id is in use; a platform administrator can make it yours"}
	}
	return err
}

// What a publisher may keep.
const (
	maxModules  = 1000
	maxVersions = 500     // of a module
	maxBundles  = 1 << 30 // bytes of files, each once
)

// withinUse holds that the publisher keeps no more than it may, with what was
// just put.
func (e *edit) withinUse(ctx context.Context) error {
	use, err := e.q.PublisherUse(ctx, db.PublisherUseParams{OwnerID: e.module.OwnerID, Module: e.row.Module})
	switch {
	case err != nil:
		return err
	case use.Modules > maxModules:
		return contract.Errorf(contract.Conflict, "a publisher has %d modules at most", maxModules)
	case use.Versions > maxVersions:
		return contract.Errorf(contract.Conflict, "a module has %d versions at most; delete drafts that are not needed", maxVersions)
	case use.Bytes > maxBundles:
		return contract.Errorf(contract.Conflict, "a publisher's bundles have %d bytes at most; delete versions that are not needed", maxBundles)
	}
	return nil
}

// bundlePath is where files of a bundle may be: no segment begins with a dot.
var bundlePath = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$`)

// putFiles keeps which files the version has. Those that the findings are about
// are left out.
func (e *edit) putFiles(ctx context.Context, m *manifest.Manifest) error {
	if err := e.q.RemoveFiles(ctx, db.RemoveFilesParams{Module: e.row.Module, Version: e.row.Version}); err != nil || m.Bundle == nil {
		return err
	}
	files := db.AddFilesParams{Module: e.row.Module, Version: e.row.Version}
	known := map[string]bool{}
	for _, f := range m.Bundle.Files {
		digest, ok := readDigest(f.SHA384)
		if !ok || known[f.Path] || !bundlePath.MatchString(f.Path) || f.Size < 0 || f.Size > manifest.MaxFileSize {
			continue
		}
		known[f.Path] = true
		files.Paths, files.Digests, files.Sizes = append(files.Paths, f.Path), append(files.Digests, digest), append(files.Sizes, f.Size)
	}
	return e.q.AddFiles(ctx, files)
}
