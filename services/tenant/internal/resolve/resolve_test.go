package resolve

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/Masterminds/semver/v3"
	"github.com/stretchr/testify/require"
)

// v reads "name 1.2.0: other ^1, third? 2.x" as a version and what it requires.
func v(text string) Version {
	head, tail, _ := strings.Cut(text, ":")
	name, number, _ := strings.Cut(strings.TrimSpace(head), " ")
	made := Version{Module: name, Version: semver.MustParse(number)}
	for part := range strings.SplitSeq(tail, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		module, asked, _ := strings.Cut(part, " ")
		constraint, err := semver.NewConstraint(asked)
		if err != nil {
			panic(err)
		}
		made.Requires = append(made.Requires, Requirement{
			Module: strings.TrimSuffix(module, "?"), Range: constraint, Optional: strings.HasSuffix(module, "?"),
		})
	}
	return made
}

// world has versions to choose from, and what is there: "+" enabled, "-" not.
func world(available []string, installed ...string) World {
	w := World{Installed: map[string]Installed{}}
	all := map[string][]Version{}
	for _, text := range available {
		made := v(text)
		all[made.Module] = append(all[made.Module], made)
	}
	for _, versions := range all {
		slices.SortFunc(versions, func(a, b Version) int { return b.Version.Compare(a.Version) })
	}
	for _, text := range installed {
		made := v(text[1:])
		w.Installed[made.Module] = Installed{Version: made, Enabled: text[0] == '+'}
	}
	w.Available = func(module string) ([]Version, error) { return all[module], nil }
	return w
}

func fits(t testing.TB, text string) func(*semver.Version) bool {
	constraint, err := semver.NewConstraint(text)
	require.NoError(t, err)
	return constraint.Check
}

func TestWhatIsDoneAboutEachModule(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		world World
		asked string
		want  string
	}{
		"the highest that fits": {world([]string{"a 1.0.0", "a 1.2.0", "a 2.0.0"}), "^1", "install a 1.2.0"},
		"what it needs comes first": {
			world([]string{"a 1.0.0: b ^1", "b 1.5.0: c ^2", "c 2.0.0"}), "*", "install c 2.0.0, install b 1.5.0, install a 1.0.0",
		},
		"what is there and fits is left as it is": {
			world([]string{"a 1.0.0: b ^1", "b 1.0.0", "b 1.9.0"}, "+b 1.0.0"), "*", "none b 1.0.0, install a 1.0.0",
		},
		"what is there and does not fit is changed": {
			world([]string{"a 1.0.0: b ^2", "b 2.1.0"}, "+b 1.0.0"), "*", "upgrade b 2.1.0, install a 1.0.0",
		},
		"what is there and disabled is enabled": {
			world([]string{"a 1.0.0: b ^1"}, "-b 1.0.0"), "*", "enable b 1.0.0, install a 1.0.0",
		},
		"what is there stays, though it may not be installed anew": {
			world([]string{"a 1.0.0"}, "+a 1.1.0"), "*", "none a 1.1.0",
		},
		"an older version, where the newest needs what there is not": {
			world([]string{"a 1.1.0: b ^9", "a 1.0.0: b ^1", "b 1.0.0"}), "*", "install b 1.0.0, install a 1.0.0",
		},
		"it goes back where two need different versions": {
			world([]string{"a 1.0.0: b *, c ^1", "b 2.0.0: c ^2", "b 1.0.0: c ^1", "c 2.0.0", "c 1.0.0"}), "*",
			"install c 1.0.0, install b 1.0.0, install a 1.0.0",
		},
		"modules may need one another":       {world([]string{"a 1.0.0: b ^1", "b 1.0.0: a ^1"}), "*", "install b 1.0.0, install a 1.0.0"},
		"what is optional need not be there": {world([]string{"a 1.0.0: b? ^1", "b 1.0.0"}), "*", "install a 1.0.0"},
		"what is optional and there has to fit": {
			world([]string{"a 1.0.0: b? ^2", "b 2.0.0"}, "+b 1.0.0"), "*", "upgrade b 2.0.0, install a 1.0.0",
		},
		"what is optional and disabled may be anything": {world([]string{"a 1.0.0: b? ^2"}, "-b 1.0.0"), "*", "install a 1.0.0"},
		"both that need one another change": {
			world([]string{"a 2.0.0: b ^2", "b 2.0.0: a ^2"}, "+a 1.0.0: b ^1", "+b 1.0.0: a ^1"), "^2", "upgrade b 2.0.0, upgrade a 2.0.0",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			steps, err := Resolve(c.world, "a", fits(t, c.asked), c.asked)
			require.NoError(t, err)
			got := make([]string, len(steps))
			for i, s := range steps {
				got[i] = fmt.Sprintf("%s %s %s", s.Action, s.Module, s.Version.Version)
			}
			require.Equal(t, c.want, strings.Join(got, ", "))
		})
	}
}

func TestWhatIsMissingIsNamed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		world World
		want  string
	}{
		"nothing of that name": {world(nil), "a *: no version that may be installed fits"},
		"nothing that fits":    {world([]string{"a 1.0.0: b ^2", "b 1.0.0"}), "b ^2 (needed by a): no version that may be installed fits"},
		"further down":         {world([]string{"a 1.0.0: b ^1", "b 1.0.0: c ^1"}), "c ^1 (needed by b): no version that may be installed fits"},
		"somebody else needs another": {
			world([]string{"a 1.0.0: b ^2", "b 2.0.0"}, "+b 1.0.0", "+x 1.0.0: b ^1"), "b ^2 (needed by a): x needs it in ^1",
		},
		"two that do not go together": {
			world([]string{"a 1.0.0: b ^1, c ^1", "b 1.0.0", "c 1.0.0: b ^2"}), "b ^2 (needed by c): 1.0.0 is what fits the others",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Resolve(c.world, "a", fits(t, "*"), "*")
			require.EqualError(t, err, c.want)
			var unsatisfied *Unsatisfied
			require.True(t, errors.As(err, &unsatisfied))
		})
	}
}

// solves is a naive look at whether a state of the world, modules to versions,
// is what was wanted: everything enabled has what it requires, and only what
// the wanted module needs, directly or not, has changed.
func solves(w World, state map[string]Version, wanted func(*semver.Version) bool) bool {
	target, ok := state["a"]
	if !ok || !wanted(target.Version) {
		return false
	}
	for _, version := range state {
		for _, r := range version.Requires {
			other, there := state[r.Module]
			if there && !r.Range.Check(other.Version) || !there && !r.Optional {
				return false
			}
		}
	}
	needed, todo := map[string]bool{"a": true}, []string{"a"}
	for len(todo) > 0 {
		next := todo[0]
		todo = todo[1:]
		for _, r := range state[next].Requires {
			if _, there := state[r.Module]; there && !needed[r.Module] {
				needed[r.Module], todo = true, append(todo, r.Module)
			}
		}
	}
	for name, version := range state {
		before, there := w.Installed[name]
		untouched := there && before.Enabled && before.Version.Version.Equal(version.Version)
		if !needed[name] && !untouched {
			return false
		}
	}
	return true
}

// possible tries every state of the world there is.
func possible(t testing.TB, w World, names []string, wanted func(*semver.Version) bool) (found bool) {
	t.Helper()
	var try func(left []string, state map[string]Version)
	try = func(left []string, state map[string]Version) {
		if found {
			return
		}
		if len(left) == 0 {
			found = solves(w, state, wanted)
			return
		}
		name := left[0]
		present, there := w.Installed[name]
		if !there || !present.Enabled {
			try(left[1:], state)
		}
		all, err := w.Available(name)
		require.NoError(t, err)
		if there {
			all = append(slices.Clone(all), present.Version)
		}
		for _, version := range all {
			next := maps.Clone(state)
			next[name] = version
			try(left[1:], next)
		}
	}
	try(names, map[string]Version{})
	return found
}

// Whatever the world: there is an answer exactly when trying everything finds
// one, and the answer is one.
func TestResolveFindsASolutionWhereThereIsOne(t *testing.T) {
	t.Parallel()
	names := []string{"a", "b", "c", "d"}
	solved, unsolved := 0, 0
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 7))
		made := map[string]string{} // a version requires what it requires
		random := func(name string) string {
			head := fmt.Sprintf("%s %d.%d.0:", name, 1+r.IntN(3), r.IntN(2))
			if text, known := made[head]; known {
				return text
			}
			text := head
			for _, other := range names {
				if other != name && r.IntN(3) == 0 {
					text += fmt.Sprintf(" %s%s ^%d,", other, []string{"", "", "?"}[r.IntN(3)], 1+r.IntN(3))
				}
			}
			made[head] = text
			return text
		}
		var available, installed []string
		for _, name := range names {
			for range r.IntN(4) {
				more := random(name)
				if !slices.Contains(available, more) {
					available = append(available, more)
				}
			}
		}
		w := world(available, installed...)
		for _, name := range names[r.IntN(3):] { // consistent: nothing enabled lacks anything
			if r.IntN(2) == 0 {
				continue
			}
			there := Installed{Version: v(random(name)), Enabled: r.IntN(4) > 0}
			w.Installed[name] = there
			if !allConsistent(w) {
				delete(w.Installed, name)
			}
		}
		text := fmt.Sprintf("^%d", 1+r.IntN(3))
		wanted := fits(t, text)
		steps, err := Resolve(w, "a", wanted, text)
		if err != nil {
			var unsatisfied *Unsatisfied
			require.True(t, errors.As(err, &unsatisfied))
			require.NotEmpty(t, unsatisfied.Missing)
			require.False(t, possible(t, w, names, wanted), "seed %d: %v %v %s", seed, available, w.Installed, text)
			unsolved++
			continue
		}
		state := map[string]Version{}
		for name, there := range w.Installed {
			if there.Enabled {
				state[name] = there.Version
			}
		}
		for _, s := range steps {
			state[s.Module] = s.Version
		}
		require.True(t, solves(w, state, wanted), "seed %d: %v %v", seed, available, steps)
		solved++
	}
	require.Greater(t, min(solved, unsolved), 300)
}

func consistent(w World, there Installed) bool {
	return !slices.ContainsFunc(there.Requires, func(r Requirement) bool {
		other, ok := w.Installed[r.Module]
		ok = ok && other.Enabled
		return ok && !r.Range.Check(other.Version.Version) || !ok && !r.Optional
	})
}

func allConsistent(w World) bool {
	for _, there := range w.Installed {
		if there.Enabled && !consistent(w, there) {
			return false
		}
	}
	return true
}
