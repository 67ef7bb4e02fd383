package pgserver

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

const minMajor = 15

// binaries is a directory with initdb and postgres of one version.
type binaries struct {
	dir   string
	major int
}

// finder looks for PostgreSQL: in path, then in the places (globs), then in the download cache,
// then in the repository.
type finder struct {
	path       string
	places     []string
	cache      string
	repository string // empty: the library's own
	log        *slog.Logger
}

func defaultFinder() finder {
	return finder{
		path: os.Getenv("PATH"),
		places: []string{
			"/usr/lib/postgresql/*/bin",          // Debian, Ubuntu
			"/usr/pgsql-*/bin",                   // PGDG for Fedora and kin
			"/usr/libexec/postgresql*",           // Alpine
			"/opt/homebrew/opt/postgresql@*/bin", // Homebrew, Apple silicon
			"/usr/local/opt/postgresql@*/bin",    // Homebrew, Intel
			"/Applications/Postgres.app/Contents/Versions/*/bin",
		},
		cache:      cacheDir(),
		repository: os.Getenv(repositoryVariable),
	}
}

// binaries finds PostgreSQL of version want, which existing data need, or for 0 of any version
// from 15 on: the first in the path, else the newest.
func (f finder) binaries(ctx context.Context, a account, want int) (binaries, error) {
	suits := func(b binaries) bool { return b.major >= minMajor && (want == 0 || b.major == want) }
	for _, dir := range f.inPath() {
		if b, err := inspect(ctx, a, dir); err == nil && suits(b) {
			return b, nil
		}
	}
	var best binaries
	for _, place := range f.places {
		dirs, _ := filepath.Glob(place)
		for _, dir := range dirs {
			if b, err := inspect(ctx, a, dir); err == nil && suits(b) && b.major > best.major {
				best = b
			}
		}
	}
	if best.major != 0 {
		return best, nil
	}
	dir, err := f.download(ctx, want)
	if err != nil && ctx.Err() == nil {
		return binaries{}, notInstalled(want, err)
	}
	if err != nil {
		return binaries{}, err
	}
	return inspect(ctx, a, dir)
}

// inPath returns the directories of the path that hold initdb, where links lead: its siblings
// are there, and initdb looks for them there.
func (f finder) inPath() []string {
	var dirs []string
	for _, dir := range filepath.SplitList(f.path) {
		initdb, err := filepath.EvalSymlinks(filepath.Join(dir, "initdb"))
		if err != nil || !filepath.IsAbs(initdb) {
			continue
		}
		if dir := filepath.Dir(initdb); !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

var versionPattern = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

// inspect asks postgres for its version, as the account that is to run it: one that it may not
// execute is none.
func inspect(ctx context.Context, a account, dir string) (binaries, error) {
	if _, err := os.Stat(filepath.Join(dir, "initdb")); err != nil {
		return binaries{}, err
	}
	out, err := a.output(ctx, filepath.Join(dir, "postgres"), "--version")
	if err != nil {
		return binaries{}, err
	}
	match := versionPattern.FindStringSubmatch(out)
	if match == nil {
		return binaries{}, fmt.Errorf("%s/postgres does not tell its version: %q", dir, out)
	}
	major, err := strconv.Atoi(match[1])
	return binaries{dir: dir, major: major}, err
}

func notInstalled(want int, cause error) error {
	what := fmt.Sprintf("PostgreSQL %d or newer", minMajor)
	if want != 0 {
		what = fmt.Sprintf("PostgreSQL %d, which made the existing data,", want)
	}
	return fmt.Errorf("%w: %s is neither installed nor could it be downloaded (%w). "+
		"Install it:\n  %s\nor set DATABASE_URL to a running server", ErrNotInstalled, what, cause, installCommand(runtime.GOOS, exec.LookPath, want))
}

// installCommand returns what installs PostgreSQL on this system, of version want if not 0.
func installCommand(goos string, lookPath func(string) (string, error), want int) string {
	version := ""
	if want != 0 {
		version = strconv.Itoa(want)
	}
	if goos == "darwin" {
		return "brew install postgresql@" + cmp.Or(version, "17")
	}
	for _, manager := range []struct{ program, command, versioned string }{
		{"apt-get", "apt-get install postgresql", "apt-get install postgresql-%s"},
		{"dnf", "dnf install postgresql-server", "dnf install postgresql%s-server"},
		{"apk", "apk add postgresql", "apk add postgresql%s"},
		{"pacman", "pacman -S postgresql", ""},
		{"zypper", "zypper install postgresql-server", "zypper install postgresql%s-server"},
	} {
		if _, err := lookPath(manager.program); err != nil {
			continue
		}
		if version != "" && manager.versioned != "" {
			return strings.ReplaceAll(manager.versioned, "%s", version)
		}
		return manager.command
	}
	return "apt-get install postgresql   (or your system's equivalent)"
}
