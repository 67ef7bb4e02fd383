package pgserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
)

// repositoryVariable names the environment variable that overrides where binaries come from: the
// base URL of a Maven repository, such as a company's mirror.
const repositoryVariable = "BUILDIFY_POSTGRES_REPOSITORY"

// downloads are the versions that the library can fetch, by major version; 0 is for new data.
var downloads = map[int]embeddedpostgres.PostgresVersion{
	0:  embeddedpostgres.V17,
	15: embeddedpostgres.V15,
	16: embeddedpostgres.V16,
	17: embeddedpostgres.V17,
	18: embeddedpostgres.V18,
}

// cacheDir is where downloads are kept. Root's own cache is closed to the user that PostgreSQL
// runs as, so root's downloads go where the system's do.
func cacheDir() string {
	if os.Geteuid() == 0 {
		return "/var/cache/buildify/postgresql"
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir()
	}
	return filepath.Join(dir, "buildify", "postgresql")
}

// download returns the directory of the binaries in the cache, after fetching them if need be.
func (f finder) download(ctx context.Context, want int) (string, error) {
	version, ok := downloads[want]
	if !ok {
		return "", errors.New("no download of that version is known")
	}
	kept := filepath.Join(f.cache, string(version))
	if complete(kept) {
		return filepath.Join(kept, "bin"), nil
	}
	if err := makeDirs(f.cache, 0o755); err != nil {
		return "", err
	}
	lock, err := f.lockCache(ctx)
	if err != nil {
		return "", err
	}
	defer func() {
		unlock(lock)
		_ = lock.Close()
	}()
	if complete(kept) { // by the process we waited for
		return filepath.Join(kept, "bin"), nil
	}
	if err := f.fetch(ctx, version, kept); err != nil {
		return "", err
	}
	return filepath.Join(kept, "bin"), nil
}

func complete(dir string) bool {
	for _, program := range []string{"initdb", "postgres"} {
		if _, err := os.Stat(filepath.Join(dir, "bin", program)); err != nil {
			return false
		}
	}
	return true
}

// lockCache waits for another process that may be downloading just now.
func (f finder) lockCache(ctx context.Context) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(f.cache, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for tryLock(file) != nil {
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return nil, errors.Join(context.Cause(ctx), file.Close())
		}
	}
	return file, nil
}

// fetch downloads into a directory of its own and renames it once it is complete.
func (f finder) fetch(ctx context.Context, version embeddedpostgres.PostgresVersion, kept string) error {
	interrupted, _ := filepath.Glob(filepath.Join(f.cache, "download-*"))
	for _, dir := range interrupted {
		_ = os.RemoveAll(dir)
	}
	work, err := os.MkdirTemp(f.cache, "download-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()

	config := embeddedpostgres.DefaultConfig()
	if f.repository != "" {
		config = config.BinaryRepositoryURL(f.repository)
	}
	f.log.Info("PostgreSQL is not installed: downloading it, once",
		"version", string(version), "from", cmp.Or(f.repository, "the embedded-postgres default repository"), "into", kept)
	extracted := filepath.Join(work, "postgresql")
	failed := make(chan error, 1)
	go func() { failed <- extract(config.Version(version), work, extracted) }()
	select {
	case err = <-failed:
	case <-ctx.Done(): // the library cannot be interrupted; what it still writes goes with the next download
		return context.Cause(ctx)
	}
	if !complete(extracted) {
		return fmt.Errorf("download PostgreSQL %s: %w", version, err)
	}
	if err := makeReadable(extracted); err != nil {
		return err
	}
	return os.Rename(extracted, kept)
}

// extract has the library fetch and unpack the binaries. It offers that only as the first part
// of Start; an encoding that does not exist makes initdb, the next part, refuse. So the error
// means something only if the binaries are not there afterwards.
func extract(config embeddedpostgres.Config, work, into string) (err error) {
	defer func() {
		if r := recover(); r != nil { // the library panics when it cannot remove a file
			err = fmt.Errorf("%v", r)
		}
	}()
	free, err := freePort()
	if err != nil {
		return err
	}
	server := embeddedpostgres.NewDatabase(config.
		BinariesPath(into).
		CachePath(filepath.Join(work, "archive")).
		RuntimePath(filepath.Join(work, "runtime")).
		Encoding("extract-only").
		Port(free).
		Logger(io.Discard))
	if err := server.Start(); err != nil {
		return err
	}
	return server.Stop()
}

// freePort exists because the library insists on a port before it looks at anything else.
func freePort() (uint32, error) {
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		return 0, err
	}
	return uint32(l.Addr().(*net.TCPAddr).Port), l.Close() //nolint:errcheck // what a TCP listener has
}

// makeReadable opens the binaries to the account that PostgreSQL runs as, whatever the umask was.
func makeReadable(dir string) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Type()&fs.ModeSymlink != 0 {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		mode := info.Mode().Perm() | 0o444
		if entry.IsDir() || mode&0o100 != 0 {
			mode |= 0o111
		}
		return os.Chmod(path, mode) //nolint:gosec // our own cache, before anybody else knows of it
	})
}
