// Package resolve finds out which modules have to be installed, changed or
// enabled so that a module has what it requires. It knows no database: the
// world is given to it.
package resolve

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// Requirement is a module that another one needs, in some range of versions.
type Requirement struct {
	Module   string
	Range    *semver.Constraints
	Optional bool // it need not be there, but if it is, in the range
}

// Version is a version that a module can be used in.
type Version struct {
	Module   string
	Version  *semver.Version
	Requires []Requirement
}

// Installed is a module that is there.
type Installed struct {
	Version
	Enabled bool
}

// World is what there is to choose from.
type World struct {
	// Installed are the modules that are there, by their names.
	Installed map[string]Installed
	// Available are the versions of a module that may be installed, the highest
	// first. It is asked at most once for each module.
	Available func(module string) ([]Version, error)
}

// Action is what is done about a module.
type Action string

// The actions.
const (
	None    Action = "none" // it is there, enabled, and fits
	Install Action = "install"
	Change  Action = "upgrade" // to another version, up or down
	Enable  Action = "enable"  // as it is there
)

// Step is one module of a solution.
type Step struct {
	Version
	Action   Action
	NeededBy string // the module that brought it in; empty for the wanted one
	Range    string // that the latter asked for
}

// Unsatisfied says why there is no solution.
type Unsatisfied struct {
	// Missing are the modules of which nothing fits, each with who needs it.
	Missing []Missing
}

// Missing is a module of which no version fits.
type Missing struct {
	Module, Range, NeededBy string
	Why                     string
}

// Error names what is missing.
func (u *Unsatisfied) Error() string {
	texts := make([]string, len(u.Missing))
	for i, m := range u.Missing {
		texts[i] = m.String()
	}
	return strings.Join(texts, "; ")
}

// String says what is missing, for whom and why.
func (m Missing) String() string {
	text := m.Module
	if m.Range != "" {
		text += " " + m.Range
	}
	if m.NeededBy != "" {
		text += " (needed by " + m.NeededBy + ")"
	}
	return text + ": " + m.Why
}

// bound of the versions tried in one search: real modules need few.
const bound = 10_000

// Resolve returns what is to be done so that the wanted module is there in a
// version that fits, with all that it requires and nothing that is enabled left
// without what it requires. What others need comes before them. Of the wanted
// module the highest version that works is taken, of the others the one that is
// there where it fits, else the highest. Where nothing works the error is
// *Unsatisfied.
func Resolve(w World, module string, wanted func(*semver.Version) bool, text string) ([]Step, error) {
	s := &search{world: w, available: map[string][]Version{}, chosen: map[string]Step{}, failed: map[Missing]int{}}
	ok, err := s.satisfy([]need{{module: module, fits: wanted, text: text}})
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return nil, s.unsatisfied()
	}
	return s.order(module), nil
}

// need is a requirement that a search has still to see to.
type need struct {
	module   string
	fits     func(*semver.Version) bool
	text, by string
	optional bool
}

type search struct {
	world     World
	available map[string][]Version
	chosen    map[string]Step
	tried     int
	failed    map[Missing]int // with how deep in the search
}

// satisfy sees to the needs, one after the other, and goes back where one
// cannot be met.
func (s *search) satisfy(needs []need) (bool, error) {
	if len(needs) == 0 {
		return s.agree(), nil
	}
	n, rest := needs[0], needs[1:]
	if step, ok := s.chosen[n.module]; ok {
		if n.fits(step.Version.Version) {
			return s.satisfy(rest)
		}
		return s.fail(n, fmt.Sprintf("%s is what fits the others", step.Version.Version))
	}
	present, there := s.world.Installed[n.module]
	if n.optional && (!there || !present.Enabled) {
		return s.satisfy(rest)
	}
	candidates, err := s.candidates(n)
	if err != nil {
		return false, err
	}
	if len(candidates) == 0 {
		return s.fail(n, "no version that may be installed fits")
	}
	for _, v := range candidates {
		if s.tried++; s.tried > bound {
			return false, fmt.Errorf("resolve %s: too many combinations of versions", n.module)
		}
		s.chosen[n.module] = Step{Version: v, Action: s.action(v), NeededBy: n.by, Range: n.text}
		if ok, err := s.satisfy(slices.Concat(requirements(v), rest)); ok || err != nil {
			return ok, err
		}
		delete(s.chosen, n.module)
	}
	return false, nil
}

func requirements(v Version) []need {
	needs := make([]need, len(v.Requires))
	for i, r := range v.Requires {
		needs[i] = need{module: r.Module, fits: r.Range.Check, text: r.Range.String(), by: v.Module, optional: r.Optional}
	}
	return needs
}

// candidates are the versions that fit a need, the best first.
func (s *search) candidates(n need) (fit []Version, err error) {
	present, there := s.world.Installed[n.module]
	if there && n.by != "" && n.fits(present.Version.Version) {
		fit = append(fit, present.Version)
	}
	all, known := s.available[n.module]
	if !known {
		if all, err = s.world.Available(n.module); err != nil {
			return nil, err
		}
		s.available[n.module] = all
	}
	if there && !slices.ContainsFunc(all, func(v Version) bool { return v.Version.Equal(present.Version.Version) }) {
		all = append(slices.Clone(all), present.Version) // it is there, whether it may be installed anew or not
		slices.SortStableFunc(all, func(a, b Version) int { return b.Version.Compare(a.Version) })
	}
	for _, v := range all {
		if n.fits(v.Version) && (len(fit) == 0 || !v.Version.Equal(fit[0].Version)) {
			fit = append(fit, v)
		}
	}
	return fit, nil
}

// agree reports whether what is chosen suits everybody: what is enabled and
// nothing is done about, and what is optional and came in later.
func (s *search) agree() bool {
	agree := true
	check := func(v Version) {
		for _, r := range v.Requires {
			step, chosen := s.chosen[r.Module]
			if chosen && !r.Range.Check(step.Version.Version) {
				agree, _ = s.fail(need{module: r.Module, text: step.Range, by: step.NeededBy},
					fmt.Sprintf("%s needs it in %s", v.Module, r.Range))
			}
		}
	}
	for name, present := range s.world.Installed {
		if _, chosen := s.chosen[name]; !chosen && present.Enabled {
			check(present.Version)
		}
	}
	for _, step := range s.chosen {
		check(step.Version)
	}
	return agree
}

func (s *search) action(v Version) Action {
	present, there := s.world.Installed[v.Module]
	switch {
	case !there:
		return Install
	case !present.Version.Version.Equal(v.Version):
		return Change
	case !present.Enabled:
		return Enable
	}
	return None
}

// fail notes what could not be met: of the search that came furthest it is
// told.
func (s *search) fail(n need, why string) (bool, error) {
	m := Missing{Module: n.module, Range: n.text, NeededBy: n.by, Why: why}
	s.failed[m] = max(s.failed[m], len(s.chosen))
	return false, nil
}

func (s *search) unsatisfied() *Unsatisfied {
	u := &Unsatisfied{}
	deepest := slices.Max(slices.Collect(maps.Values(s.failed)))
	for m, depth := range s.failed {
		if depth == deepest {
			u.Missing = append(u.Missing, m)
		}
	}
	slices.SortFunc(u.Missing, func(a, b Missing) int { return strings.Compare(a.String(), b.String()) })
	return u
}

// order puts what is needed before who needs it, the wanted module last. Where
// modules need one another, either may come first.
func (s *search) order(wanted string) (steps []Step) {
	seen := map[string]bool{}
	var visit func(module string)
	visit = func(module string) {
		step, chosen := s.chosen[module]
		if !chosen || seen[module] {
			return
		}
		seen[module] = true
		for _, r := range step.Requires {
			visit(r.Module)
		}
		steps = append(steps, step)
	}
	visit(wanted)
	return steps
}
