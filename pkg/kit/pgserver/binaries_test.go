package pgserver

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

func TestDownloadedServerRuns(t *testing.T) {
	t.Parallel()
	var requests atomic.Int32
	repository := serveBinaries(t, &requests)
	var log bytes.Buffer
	cfg := Config{Dir: tempDir(t), Volatile: true, Log: slog.New(slog.NewTextHandler(&log, nil))}
	find := finder{cache: filepath.Join(tempDir(t), "cache"), repository: repository}

	s, err := start(t.Context(), cfg, find)
	check(t, err)
	t.Cleanup(func() { stop(t, s) })
	execute(t, s, "SELECT")
	if n := strings.Count(log.String(), "downloading"); n != 1 || !strings.Contains(log.String(), repository) {
		t.Errorf("%d lines tell of the download:\n%s", n, &log)
	}

	asked := requests.Load()
	find.log = cfg.Log
	_, err = find.binaries(t.Context(), s.home.account, 0)
	check(t, err)
	if requests.Load() != asked {
		t.Error("downloaded again")
	}
	if left, _ := filepath.Glob(filepath.Join(find.cache, "download-*")); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func TestMissingPostgreSQLIsOneErrorWithTheRemedy(t *testing.T) {
	t.Parallel()
	repository := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(repository.Close)
	find := finder{cache: filepath.Join(tempDir(t), "cache"), repository: repository.URL}
	_, err := start(t.Context(), Config{Dir: tempDir(t)}, find)
	if !errors.Is(err, ErrNotInstalled) || !strings.Contains(err.Error(), "install") || !strings.Contains(err.Error(), "DATABASE_URL") {
		t.Errorf("got %v", err)
	}
	t.Log(err)
}

func TestHangingDownloadEndsWithTheContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	release := make(chan struct{})
	repository := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		cancel()
		<-release
	}))
	t.Cleanup(repository.Close)
	t.Cleanup(func() { close(release) })
	find := finder{cache: filepath.Join(tempDir(t), "cache"), repository: repository.URL}
	if _, err := start(ctx, Config{Dir: tempDir(t)}, find); !errors.Is(err, context.Canceled) || errors.Is(err, ErrNotInstalled) {
		t.Errorf("got %v", err)
	}
}

func TestDataAskForTheVersionThatMadeThem(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	s := startTest(t, dir)
	stop(t, s)
	check(t, os.WriteFile(filepath.Join(s.home.data, "PG_VERSION"), []byte("14\n"), 0o600))
	_, err := Start(t.Context(), Config{Dir: dir})
	if !errors.Is(err, ErrNotInstalled) || !strings.Contains(err.Error(), "PostgreSQL 14, which made the existing data") {
		t.Errorf("got %v", err)
	}
}

func TestInstallCommandSuitsTheSystem(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		goos, manager string
		want          int
		command       string
	}{
		{"linux", "apt-get", 0, "apt-get install postgresql"},
		{"linux", "apt-get", 16, "apt-get install postgresql-16"},
		{"linux", "dnf", 0, "dnf install postgresql-server"},
		{"linux", "apk", 17, "apk add postgresql17"},
		{"darwin", "", 0, "brew install postgresql@17"},
		{"darwin", "", 15, "brew install postgresql@15"},
	} {
		lookPath := func(program string) (string, error) {
			if program == c.manager {
				return program, nil
			}
			return "", exec.ErrNotFound
		}
		if got := installCommand(c.goos, lookPath, c.want); got != c.command {
			t.Errorf("%+v: got %s", c, got)
		}
	}
}

// serveBinaries is a repository whose every version is the installed one, by way of scripts.
func serveBinaries(t *testing.T, requests *atomic.Int32) string {
	t.Helper()
	installed, err := defaultFinder().binaries(t.Context(), testAccount(t), 0)
	check(t, err)
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, program := range []string{"initdb", "postgres", "pg_ctl"} {
		script := fmt.Sprintf("#!/bin/sh\nexec '%s' \"$@\"\n", filepath.Join(installed.dir, program))
		check(t, w.WriteHeader(&tar.Header{Name: "bin/" + program, Mode: 0o700, Size: int64(len(script))}))
		_, err := w.Write([]byte(script))
		check(t, err)
	}
	check(t, w.Close())

	var jar bytes.Buffer
	z := zip.NewWriter(&jar)
	entry, err := z.Create("postgres.txz")
	check(t, err)
	_, err = entry.Write(storeXZ(archive.Bytes()))
	check(t, err)
	check(t, z.Close())
	sum := sha256.Sum256(jar.Bytes())

	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		switch {
		case strings.HasSuffix(r.URL.Path, "17.5.0.jar"):
			_, _ = w.Write(jar.Bytes())
		case strings.HasSuffix(r.URL.Path, ".jar.sha256"):
			_, _ = w.Write([]byte(hex.EncodeToString(sum[:])))
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func testAccount(t *testing.T) account {
	t.Helper()
	a, err := serverAccount()
	check(t, err)
	return a
}

// storeXZ puts up to 64 KiB into an .xz container without compressing them.
func storeXZ(data []byte) []byte {
	sum := func(b []byte) []byte { return binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b)) }
	pad := func(b []byte) []byte { return append(b, make([]byte, (4-len(b)%4)%4)...) }
	flags := []byte{0, 0} // no check

	out := append([]byte{0xfd, '7', 'z', 'X', 'Z', 0}, flags...)
	out = binary.LittleEndian.AppendUint32(out, crc32.ChecksumIEEE(flags))
	header := sum([]byte{2, 0, 0x21, 1, 8, 0, 0, 0}) // one LZMA2 filter, 64 KiB dictionary
	size := len(data) - 1
	block := append([]byte{1, byte(size >> 8), byte(size)}, data...) // an uncompressed chunk
	block = append(block, 0)
	unpadded := len(header) + len(block)
	out = append(out, pad(append(header, block...))...)

	index := []byte{0, 1}
	index = binary.AppendUvarint(index, uint64(unpadded))
	index = binary.AppendUvarint(index, uint64(len(data)))
	index = sum(pad(index))
	out = append(out, index...)
	footer := binary.LittleEndian.AppendUint32(nil, uint32(len(index)/4-1))
	footer = append(footer, flags...)
	out = binary.LittleEndian.AppendUint32(out, crc32.ChecksumIEEE(footer))
	return append(append(out, footer...), 'Y', 'Z')
}
