package pgserver

import (
	"errors"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
)

// account is the system user that PostgreSQL runs as: ourselves, or the one we drop to.
type account struct {
	uid, gid int
	dropped  bool
}

func serverAccount() (account, error) {
	if os.Geteuid() != 0 {
		return account{uid: os.Geteuid(), gid: os.Getegid()}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.Atoi(u.Uid)
		gid, err2 := strconv.Atoi(u.Gid)
		if err1 == nil && err2 == nil {
			return account{uid: uid, gid: gid, dropped: true}, nil
		}
	}
	return account{}, errors.New("PostgreSQL refuses to run as root, and there is no user postgres or nobody: " +
		"run this as an ordinary user, or create one: useradd --system postgres")
}

// give hands path and everything below to the account.
func (a account) give(path string) error {
	if !a.dropped {
		return nil
	}
	return filepath.WalkDir(path, func(p string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(p, a.uid, a.gid) //nolint:gosec // a directory that nobody else can write to
	})
}

// reaches reports whether the account may enter path, or, of a path yet to be made, the part
// that exists.
func (a account) reaches(path string) bool {
	if !a.dropped {
		return true
	}
	for {
		real, err := filepath.EvalSymlinks(path)
		if err == nil {
			path = real
			break
		}
		if !errors.Is(err, fs.ErrNotExist) || path == filepath.Dir(path) {
			return false
		}
		path = filepath.Dir(path)
	}
	for ; a.enters(path); path = filepath.Dir(path) {
		if path == filepath.Dir(path) {
			return true
		}
	}
	return false
}

func (a account) enters(dir string) bool {
	info, err := os.Stat(dir)
	if err != nil || !info.IsDir() {
		return false
	}
	uid, gid := owner(info)
	switch {
	case uid == a.uid:
		return info.Mode()&0o100 != 0
	case gid == a.gid:
		return info.Mode()&0o010 != 0
	default:
		return info.Mode()&0o001 != 0
	}
}

// makeDirs is MkdirAll with an exact mode for what it makes, whatever the umask.
func makeDirs(path string, mode fs.FileMode) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil
	}
	if parent := filepath.Dir(path); parent != path {
		if err := makeDirs(parent, mode); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, mode); err != nil {
		if errors.Is(err, fs.ErrExist) { // made by another process just now
			return nil
		}
		return err
	}
	return os.Chmod(path, mode)
}
