package pgserver

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// holdVariable makes the test binary a process that holds a server on the directory it names.
const holdVariable = "PGSERVER_TEST_HOLD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(holdVariable); dir != "" {
		hold(dir)
	}
	// A temporary directory of our own, to see and to clean what the tests leave.
	temp, err := os.MkdirTemp("", "pgserver-test-")
	if err == nil {
		err = errors.Join(os.Chmod(temp, 0o755), os.Setenv("TMPDIR", temp))
	}
	if err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(temp)
	os.Exit(code)
}

func hold(dir string) {
	s, err := Start(context.Background(), Config{Dir: dir})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(s.postgres.pid())
	<-s.Done()
}

// tempDir is t.TempDir with a path that the account of root's server can enter.
func tempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "home-") //nolint:usetesting // t.TempDir has a parent of mode 0700
	check(t, err)
	check(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() { check(t, os.RemoveAll(dir)) })
	return dir
}

func startTest(t *testing.T, dir string) *Server {
	t.Helper()
	begin := time.Now()
	s, err := Start(t.Context(), Config{Dir: dir, Volatile: true})
	check(t, err)
	t.Logf("started in %v", time.Since(begin).Round(time.Millisecond))
	t.Cleanup(func() { stop(t, s) })
	return s
}

func stop(t *testing.T, s *Server) {
	t.Helper()
	begin := time.Now()
	check(t, s.Stop(context.Background()))
	t.Logf("stopped in %v", time.Since(begin).Round(time.Millisecond))
}

func execute(t *testing.T, s *Server, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.URL("", ""))
	check(t, err)
	defer func() { check(t, conn.Close(context.Background())) }()
	_, err = conn.Exec(t.Context(), sql)
	check(t, err)
}

func query(t *testing.T, s *Server, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.URL("", ""))
	check(t, err)
	defer func() { check(t, conn.Close(context.Background())) }()
	var value string
	check(t, conn.QueryRow(t.Context(), sql).Scan(&value))
	return value
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 s: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestRestartKeepsDataAndLeavesNoSocket(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	s, err := Start(t.Context(), Config{Dir: dir})
	check(t, err)
	t.Cleanup(func() { stop(t, s) })
	execute(t, s, "CREATE TABLE kept AS SELECT 'value' AS v")
	stop(t, s)
	check(t, s.Stop(t.Context())) // a second time
	check(t, s.Err())
	if _, err := os.Stat(s.sockets); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket directory is still there: %v", err)
	}
	if got := query(t, startTest(t, dir), "SELECT v FROM kept"); got != "value" {
		t.Errorf("the table holds %q after the restart", got)
	}
}

func TestServerListensOnAPrivateSocketOnly(t *testing.T) {
	t.Parallel()
	s := startTest(t, tempDir(t))
	if got := query(t, s, "SELECT current_setting('listen_addresses')"); got != "" {
		t.Errorf("listens on %q", got)
	}
	info, err := os.Stat(s.sockets)
	check(t, err)
	if info.Mode().Perm() != 0o700 {
		t.Errorf("the socket directory has mode %v", info.Mode())
	}
	if got := query(t, s, "SELECT current_user || ' ' || current_database() || ' ' || current_setting('server_encoding')"); got != "buildify postgres UTF8" {
		t.Errorf("connected as %q", got)
	}
}

func TestURLAnswersToItsDatabaseAndRoleWhateverTheirNames(t *testing.T) {
	t.Parallel()
	s := startTest(t, tempDir(t))
	execute(t, s, `CREATE ROLE "a b&c" LOGIN`)
	conn, err := pgx.Connect(t.Context(), s.URL("template1", "a b&c"))
	check(t, err)
	defer func() { check(t, conn.Close(context.Background())) }()
	var who string
	check(t, conn.QueryRow(t.Context(), "SELECT current_user || '@' || current_database()").Scan(&who))
	if who != "a b&c@template1" {
		t.Errorf("connected as %s", who)
	}
}

func TestSecondServerOnADirectoryIsRefusedByName(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	s := startTest(t, dir)
	_, err := Start(t.Context(), Config{Dir: dir})
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
		t.Errorf("got %v", err)
	}
	if err := Remove(t.Context(), dir); !errors.Is(err, ErrInUse) {
		t.Errorf("Remove under a live server: %v", err)
	}
	execute(t, s, "SELECT") // the first is unharmed
}

func TestRemoveDeletesOnlyWhatIsOurs(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	other := filepath.Join(dir, "notes.txt")
	check(t, os.WriteFile(other, nil, 0o600))
	stop(t, startTest(t, dir))
	sockets := filepath.Join(os.TempDir(), "bfy-pg-"+fingerprint(dir))
	check(t, os.Mkdir(sockets, 0o700)) // as a killed process leaves it
	check(t, Remove(t.Context(), dir))
	if _, err := os.Stat(sockets); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket directory is still there: %v", err)
	}
	left, err := os.ReadDir(dir)
	check(t, err)
	if len(left) != 1 || left[0].Name() != "notes.txt" {
		t.Errorf("left: %v", left)
	}
	check(t, os.Remove(other))
	check(t, Remove(t.Context(), dir))
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the empty directory is still there: %v", err)
	}
}

func TestDeathOfTheServerIsReported(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	s := startTest(t, dir)
	s.postgres.signal(syscall.SIGQUIT)
	select {
	case <-s.Done():
	case <-time.After(20 * time.Second):
		t.Fatal("Done stays open")
	}
	if err := s.Err(); err == nil || !strings.Contains(err.Error(), "immediate shutdown") {
		t.Errorf("Err() = %v", err)
	}
	check(t, s.Stop(t.Context()))
	execute(t, startTest(t, dir), "SELECT")
}

func TestStopUnderAnEndedContextStillStops(t *testing.T) {
	t.Parallel()
	s := startTest(t, tempDir(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Stop(ctx); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("Stop: %v", err)
	}
	if runsOn(s.postgres.pid(), s.home.data) {
		t.Error("the server still runs")
	}
}

func TestCancelledStartLeavesNothingRunning(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond) // in initdb, most likely
	defer cancel()
	if s, err := Start(ctx, Config{Dir: dir}); err == nil {
		stop(t, s)
		t.Skip("too fast a machine")
	} else if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	execute(t, startTest(t, dir), "SELECT")
}

func TestKilledProcessLeavesNoServerAndTheNextStartWorks(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	holder, pid := startHolder(t, dir)
	data := filepath.Join(dir, "data")
	if !runsOn(pid, data) {
		t.Fatalf("postgres %d does not run", pid)
	}
	if _, err := Start(t.Context(), Config{Dir: dir}); !errors.Is(err, ErrInUse) {
		t.Errorf("while another process holds the directory: %v", err)
	}
	check(t, holder.Process.Kill())
	_ = holder.Wait()
	if deathSignal {
		eventually(t, "postgres ends with its parent", func() bool { return !runsOn(pid, data) })
	}
	execute(t, startTest(t, dir), "SELECT")
}

func startHolder(t *testing.T, dir string) (*exec.Cmd, int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), holdVariable+"="+dir)
	out, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	check(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	check(t, err)
	return cmd, pid
}

func TestOrphanedServerIsStoppedByTheNextStart(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	first := startTest(t, dir)
	check(t, first.Stop(t.Context()))

	// The same command line without a death signal is what an orphan is.
	cmd := exec.Command(first.postgres.cmd.Path, first.postgres.cmd.Args[1:]...)
	cmd.Dir, cmd.SysProcAttr = first.home.data, first.home.account.processAttributes()
	check(t, os.Mkdir(first.sockets, 0o700))
	check(t, first.home.account.give(first.sockets))
	check(t, cmd.Start())
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	eventually(t, "the orphan runs", func() bool {
		p, err := readPIDFile(first.home.data)
		return err == nil && p.ready && p.pid == cmd.Process.Pid
	})

	execute(t, startTest(t, dir), "SELECT")
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Error("the orphan still runs")
	}
}

func TestPIDOfAnotherProcessIsNoServer(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	s := startTest(t, dir)
	stop(t, s)
	stale := fmt.Sprintf("%d\n%s\n0\n5432\n\n\n", os.Getpid(), s.home.data)
	check(t, os.WriteFile(filepath.Join(s.home.data, "postmaster.pid"), []byte(stale), 0o600))
	execute(t, startTest(t, dir), "SELECT") // and we are still alive
}

func TestInterruptedInitdbIsStartedAfresh(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	unfinished := filepath.Join(dir, "initdb-123")
	check(t, os.MkdirAll(filepath.Join(unfinished, "base"), 0o700))
	check(t, os.WriteFile(filepath.Join(unfinished, "PG_VERSION"), []byte("15\n"), 0o600))
	execute(t, startTest(t, dir), "SELECT")
	if left, _ := filepath.Glob(filepath.Join(dir, "initdb-*")); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func TestFailedStartTellsPostgresOwnWords(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	s := startTest(t, dir)
	stop(t, s)
	conf, err := os.OpenFile(filepath.Join(s.home.data, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	check(t, err)
	_, err = conf.WriteString("\nno_such_setting = 1\n")
	check(t, errors.Join(err, conf.Close()))
	if _, err = Start(t.Context(), Config{Dir: dir}); err == nil || !strings.Contains(err.Error(), "no_such_setting") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(s.sockets); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket directory is still there: %v", err)
	}
}
