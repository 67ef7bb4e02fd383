package pgserver

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func rootOnly(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
}

func TestRootsServerRunsAsAnotherUser(t *testing.T) {
	t.Parallel()
	rootOnly(t)
	s := startTest(t, tempDir(t))
	info, err := os.Stat(s.home.data)
	check(t, err)
	if uid, _ := owner(info); uid == 0 || uid != s.home.account.uid {
		t.Errorf("the data belong to uid %d", uid)
	}
}

func TestRootsUnreachableDirectoryIsReplacedAndRemembered(t *testing.T) {
	t.Parallel()
	rootOnly(t)
	dir := filepath.Join(t.TempDir(), "db") // its parent has mode 0700
	s, err := Start(t.Context(), Config{Dir: dir, Volatile: true})
	check(t, err)
	t.Cleanup(func() {
		stop(t, s)
		check(t, Remove(context.Background(), dir))
	})
	if strings.HasPrefix(s.Dir(), dir) {
		t.Errorf("the data are in %s", s.Dir())
	}
	execute(t, s, "CREATE TABLE kept AS SELECT 'value' AS v")
	stop(t, s)
	if got := query(t, startTest(t, dir), "SELECT v FROM kept"); got != "value" {
		t.Errorf("the table holds %q", got)
	}
}

func TestDataOfAnEarlierAccountAreTakenOver(t *testing.T) {
	t.Parallel()
	rootOnly(t)
	dir := tempDir(t)
	s := startTest(t, dir)
	stop(t, s)
	check(t, account{uid: 54321, gid: 54321, dropped: true}.give(s.home.data))
	execute(t, startTest(t, dir), "SELECT")
}

func TestReach(t *testing.T) {
	t.Parallel()
	rootOnly(t)
	open, closed := tempDir(t), t.TempDir()
	link := filepath.Join(open, "link")
	check(t, os.Symlink(closed, link))
	someone := account{uid: 65534, gid: 65534, dropped: true}
	for path, want := range map[string]bool{
		open:                            true,
		filepath.Join(open, "a", "b"):   true,
		closed:                          false,
		filepath.Join(closed, "a", "b"): false,
		link:                            false,
		filepath.Join(link, "a"):        false,
		"/":                             true,
	} {
		if got := someone.reaches(path); got != want {
			t.Errorf("reaches(%s) = %v", path, got)
		}
	}
}
