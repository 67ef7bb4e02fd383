package registry

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/services/tenant/internal/registry/inspect"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// The states of a version; contract.ModuleVersion draws how it goes from one to
// another.
const (
	draft      = "draft"
	submitted  = "submitted"
	approved   = "approved"
	rejected   = "rejected"
	published  = "published"
	deprecated = "deprecated"
)

// brief is a version without what is large.
func brief(row db.VersionsOfRow) contract.ModuleVersion {
	v := contract.ModuleVersion{
		Module: row.Module, Version: row.Version, State: row.State, Suspended: row.Suspended,
		Findings: readFindings(row.Findings), Asks: append([]string{}, row.Asks...), Automatic: row.Automatic, Comment: row.Comment,
		SubmittedBy: row.SubmittedBy, DecidedBy: row.DecidedBy, CreatedAt: row.CreatedAt, SubmittedAt: row.SubmittedAt,
		DecidedAt: row.DecidedAt, PublishedAt: row.PublishedAt, Revision: row.Revision,
	}
	if row.RolloutPercent < 100 {
		v.Rollout = &contract.Rollout{Percent: int(row.RolloutPercent), TenantIDs: row.RolloutTenants}
	}
	return v
}

// briefOf is what VersionsOf would have said of a version.
func briefOf(row db.TenantModuleVersion) db.VersionsOfRow {
	return db.VersionsOfRow{
		Module: row.Module, Version: row.Version, State: row.State, Suspended: row.Suspended, Findings: row.Findings,
		Asks: row.Asks, Automatic: row.Automatic, Comment: row.Comment, RolloutPercent: row.RolloutPercent,
		RolloutTenants: row.RolloutTenants, SubmittedBy: row.SubmittedBy, DecidedBy: row.DecidedBy, CreatedAt: row.CreatedAt,
		SubmittedAt: row.SubmittedAt, DecidedAt: row.DecidedAt, PublishedAt: row.PublishedAt, Revision: row.Revision,
	}
}

// whole is a version with its manifest and files.
func whole(ctx context.Context, q *db.Queries, row db.TenantModuleVersion) (*contract.ModuleVersion, error) {
	files, err := q.FilesOf(ctx, db.FilesOfParams{Module: row.Module, Version: row.Version})
	if err != nil {
		return nil, err
	}
	v := brief(briefOf(row))
	v.Manifest = row.Manifest
	for _, f := range files {
		v.Files = append(v.Files, fileOf(f.Path, f.Digest, f.Size))
		if !f.Uploaded && f.Size > 0 && !slices.Contains(v.Missing, f.Digest) {
			v.Missing = append(v.Missing, f.Digest)
		}
	}
	return &v, nil
}

func fileOf(path, digest string, size int64) contract.VersionFile {
	raw, _ := hex.DecodeString(digest) // as readDigest made it
	return contract.VersionFile{
		Path: path, SHA384: integrityPrefix + base64.StdEncoding.EncodeToString(raw), Size: size, Type: inspect.MediaType(path),
	}
}

const integrityPrefix = "sha384-"

// readDigest is the digest that Subresource Integrity writes, in hexadecimal.
func readDigest(integrity string) (digest string, ok bool) {
	text, ok := strings.CutPrefix(integrity, integrityPrefix)
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	return hex.EncodeToString(raw), ok && err == nil && len(raw) == 48
}

// maxFindings of one version are kept: who has more reads the first.
const maxFindings = 400

// writeFindings makes JSON of findings, without what PostgreSQL cannot store.
func writeFindings(findings []contract.Finding) ([]byte, error) {
	if len(findings) > maxFindings {
		findings = findings[:maxFindings]
	}
	kept := make([]contract.Finding, len(findings))
	for i, f := range findings {
		f.Path, f.Message = storable(f.Path, 500), storable(f.Message, 2000)
		kept[i] = f
	}
	return json.Marshal(kept)
}

func storable(text string, limit int) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "\ufffd"), "\x00", "\ufffd")
	if runes := []rune(text); len(runes) > limit {
		return string(runes[:limit-1]) + "…"
	}
	return text
}

// readFindings reads what writeFindings wrote.
func readFindings(raw []byte) []contract.Finding {
	findings := []contract.Finding{}
	_ = json.Unmarshal(raw, &findings)
	return findings
}

// order sorts versions, the highest first.
func order[T any](versions []T, text func(T) string) {
	slices.SortStableFunc(versions, func(a, b T) int { return compareVersions(text(b), text(a)) })
}

// compareVersions orders two versions. All that are stored are semantic ones.
func compareVersions(a, b string) int {
	x, errX := semver.StrictNewVersion(a)
	y, errY := semver.StrictNewVersion(b)
	if errX != nil || errY != nil {
		return cmp.Compare(a, b)
	}
	return x.Compare(y)
}
