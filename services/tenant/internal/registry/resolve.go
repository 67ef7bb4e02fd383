package registry

import (
	"context"
	"errors"
	"hash/fnv"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/manifest"
	"github.com/buildify/core/services/tenant/internal/resolve"
	"github.com/buildify/core/services/tenant/internal/store/db"
)

// wanted is what somebody asks for: one version, or a range that is followed.
type wanted struct {
	text string
	fits func(*semver.Version) bool
	pin  bool
}

// readWanted reads a version or a range of versions; empty is any.
func readWanted(text string) (wanted, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return wanted{fits: func(v *semver.Version) bool { return v.Prerelease() == "" }}, nil
	}
	if version, err := semver.StrictNewVersion(text); err == nil {
		return wanted{text: text, pin: true, fits: version.Equal}, nil
	}
	constraint, err := semver.NewConstraint(text)
	if err != nil {
		return wanted{}, contract.Invalid("version", "must be a version such as 1.2.0, or a range such as ^1.2 or >=1.2 <3")
	}
	return wanted{text: text, fits: constraint.Check}, nil
}

// follows is the range that an installation follows from now on.
func (w wanted) follows(version string) string {
	switch {
	case w.pin:
		return ""
	case w.text == "":
		return "^" + version
	}
	return w.text
}

// solution is what is to be done so that a module is there as wanted.
type solution struct {
	steps     []resolve.Step
	installed map[string]db.TenantActivation
	manifests map[string]*manifest.Manifest // of the steps and of what is installed now, by module@version
}

// wantedStep is the step of the module that was asked for: the last.
func (s *solution) wantedStep() resolve.Step { return s.steps[len(s.steps)-1] }

func (s *solution) manifest(step resolve.Step) *manifest.Manifest {
	return s.manifests[step.Module+"@"+step.Version.Version.Original()]
}

// solve finds out what is to be done. Whatever of the answer is missing is a
// conflict that names it; a module of which the tenant may know nothing is
// not_found.
func (r *Registry) solve(ctx context.Context, q *db.Queries, tenant, module string, want wanted) (*solution, error) {
	s := &solution{installed: map[string]db.TenantActivation{}, manifests: map[string]*manifest.Manifest{}}
	world := resolve.World{Installed: map[string]resolve.Installed{}}
	rows, err := q.InstalledModules(ctx, tenant)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		m, err := r.manifestOf(ctx, q, row.Module, row.Version)
		if err != nil {
			return nil, err
		}
		version, err := s.take(row.Module, row.Version, m)
		if err != nil {
			return nil, err
		}
		s.installed[row.Module] = row
		world.Installed[row.Module] = resolve.Installed{Version: version, Enabled: row.Enabled}
	}
	world.Available = func(name string) ([]resolve.Version, error) { return r.available(ctx, q, s, tenant, name) }
	steps, err := resolve.Resolve(world, module, want.fits, want.text)
	var unsatisfied *resolve.Unsatisfied
	switch {
	case errors.As(err, &unsatisfied):
		return nil, r.refuse(ctx, q, s, tenant, module, want, unsatisfied)
	case err != nil:
		return nil, err
	}
	s.steps = steps
	return s, nil
}

// refuse says what is missing.
func (r *Registry) refuse(ctx context.Context, q *db.Queries, s *solution, tenant, module string, want wanted, u *resolve.Unsatisfied) error {
	if _, there := s.installed[module]; !there {
		any, err := r.available(ctx, q, s, tenant, module)
		if err != nil {
			return err
		}
		if len(any) == 0 {
			return contract.Missing("module")
		}
	}
	if len(u.Missing) == 1 && u.Missing[0].Module == module && u.Missing[0].NeededBy == "" && want.text != "" {
		return &contract.Error{Code: contract.Conflict, Field: "version", Message: u.Error()}
	}
	return contract.Errorf(contract.Conflict, "what the module needs is missing: %s", u.Error())
}

// available are the versions of a module that the tenant may install, the
// highest first.
func (r *Registry) available(ctx context.Context, q *db.Queries, s *solution, tenant, module string) ([]resolve.Version, error) {
	rows, err := q.InstallableVersions(ctx, db.InstallableVersionsParams{Module: module, TenantID: tenant})
	if err != nil {
		return nil, err
	}
	var versions []resolve.Version
	for _, row := range rows {
		if !inRollout(tenant, module, row.RolloutPercent, row.RolloutTenants) {
			continue
		}
		m, err := r.remember(module, row.Version, row.Manifest)
		if err != nil {
			return nil, err
		}
		if r.Core != "" && m.CompatibleWith(r.Core) != nil {
			continue
		}
		version, err := s.take(module, row.Version, m)
		if err != nil {
			return nil, err
		}
		versions = append(versions, version)
	}
	slices.SortFunc(versions, func(a, b resolve.Version) int { return b.Version.Compare(a.Version) })
	return versions, nil
}

// take makes a version known to the solution.
func (s *solution) take(module, version string, m *manifest.Manifest) (resolve.Version, error) {
	s.manifests[module+"@"+version] = m
	parsed, err := semver.StrictNewVersion(version)
	if err != nil {
		return resolve.Version{}, err
	}
	v := resolve.Version{Module: module, Version: parsed}
	for _, need := range m.Requires {
		constraint, err := semver.NewConstraint(need.Range)
		if err != nil {
			return resolve.Version{}, err
		}
		v.Requires = append(v.Requires, resolve.Requirement{Module: need.Module, Range: constraint, Optional: need.Optional})
	}
	return v, nil
}

// inRollout reports whether a version is meant for the tenant. Each tenant has
// its place between 0 and 99 for a module, so that a growing percentage takes
// nobody out, and other modules are not tried out on the same tenants.
func inRollout(tenant, module string, percent int32, tenants []string) bool {
	if percent >= 100 || slices.Contains(tenants, tenant) {
		return true
	}
	place := fnv.New32a()
	_, _ = place.Write([]byte(module + "/" + tenant)) // never fails
	return int32(place.Sum32()%100) < percent
}

// laterThan reports whether a version comes after another one, in text.
func laterThan(v *semver.Version, other string) bool {
	o, err := semver.StrictNewVersion(other)
	return err == nil && v.GreaterThan(o)
}
