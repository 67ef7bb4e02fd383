package registry

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/hex"
	"fmt"

	"github.com/Masterminds/semver/v3"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/manifest"
	"github.com/buildify/core/services/tenant/internal/registry/inspect"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// checker runs the checks that need more than the manifest.
type checker struct {
	*edit
	m     *manifest.Manifest
	found manifest.Findings
}

// add is a finding about a value of the manifest.
func (c *checker) add(code, severity, at, format string, args ...any) {
	line, column := manifest.Locate([]byte(c.row.Source), at)
	c.found = append(c.found, contract.Finding{
		Code: code, Severity: severity, Path: at, Line: line, Column: column, Message: fmt.Sprintf(format, args...),
	})
}

// ordered holds that versions grow.
func (c *checker) ordered(versions []db.VersionsOfRow) {
	for _, v := range versions {
		if v.Module == c.row.Module && v.State == published && compareVersions(v.Version, c.row.Version) > 0 {
			c.add("version", manifest.Warning, "/version", "%s is published and higher: tenants that follow a range do not come here", v.Version)
			return
		}
	}
}

func requiredBy(m *manifest.Manifest) (modules []string) {
	for _, need := range m.Requires {
		modules = append(modules, need.Module)
	}
	return modules
}

// requires holds that what the module needs can be had.
func (c *checker) requires(versions []db.VersionsOfRow) {
	for i, need := range c.m.Requires {
		fits, err := semver.NewConstraint(need.Range)
		if err != nil || need.Optional || need.Module == c.m.ID {
			continue // which has its finding, or needs none
		}
		there := false
		for _, v := range versions {
			parsed, err := semver.StrictNewVersion(v.Version)
			there = there || err == nil && v.Module == need.Module && v.State == published && v.Suspended == "" && fits.Check(parsed)
		}
		if !there {
			c.add("requires", manifest.Warning, fmt.Sprintf("/requires/%d", i),
				"the registry has no published %s %s: nobody can install this before it has", need.Module, need.Range)
		}
	}
}

// bundle holds that every file is here as the manifest says, and looks into
// them.
func (c *checker) bundle(ctx context.Context) error {
	if c.m.Bundle == nil || tooLarge(c.m.Bundle) {
		return nil
	}
	rows, err := c.q.FilesOf(ctx, db.FilesOfParams{Module: c.row.Module, Version: c.row.Version})
	if err != nil {
		return err
	}
	stored := map[string]db.FilesOfRow{}
	for _, row := range rows {
		stored[row.Path] = row
	}
	look := inspect.New(c.m)
	for i, f := range c.m.Bundle.Files {
		row, ok := stored[f.Path]
		if !ok {
			continue // the manifest's own checks say why
		}
		content, err := c.content(ctx, row)
		if err != nil {
			return err
		}
		if content == nil {
			c.add("hash", manifest.Error, fmt.Sprintf("/bundle/files/%d", i), "%s is not uploaded yet, as these %d bytes with this digest", f.Path, f.Size)
			continue
		}
		look.File(f.Path, content)
	}
	c.found = append(c.found, look.Findings()...)
	for _, host := range look.Unused() {
		c.add("egress", manifest.Info, "/egress", "%s is declared, and no file of the bundle names it", host)
	}
	return nil
}

// tooLarge reports whether there is more than is looked at; the manifest's own
// checks say so.
func tooLarge(b *manifest.Bundle) bool {
	var size int64
	for _, f := range b.Files {
		size += max(f.Size, 0)
	}
	return size > manifest.MaxBundleSize
}

// content is a file of the bundle; nil when it is not there as the row says.
func (c *checker) content(ctx context.Context, row db.FilesOfRow) ([]byte, error) {
	content := []byte{}
	if row.Size > 0 {
		if !row.Uploaded {
			return nil, nil
		}
		parts, err := c.q.AssetParts(ctx, row.Digest)
		if err != nil {
			return nil, err
		}
		content = bytes.Join(parts, nil)
	}
	if sum := sha512.Sum384(content); int64(len(content)) != row.Size || hex.EncodeToString(sum[:]) != row.Digest {
		return nil, nil
	}
	return content, nil
}
