package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/buildify/core/modules/financial/internal/coretest"
)

func TestServesUntilToldToStop(t *testing.T) {
	core := coretest.Start(t)
	core.AddUser("ann", "acme", "financial:accounts:read")
	dir := t.TempDir()
	t.Setenv("CORE_API_URL", core.URL)
	t.Setenv("CORE_NATS_URL", "")
	t.Setenv("CORE_API_KEY", coretest.Key)
	t.Setenv("FINANCIAL_DATA", filepath.Join(dir, "books"))
	t.Setenv("FINANCIAL_ADDR", "127.0.0.1:0")
	readyFile := filepath.Join(dir, "ready.json")

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	stdout, said := io.Pipe()
	result := make(chan error, 1)
	go func() {
		result <- run(ctx, []string{"--ready-file", readyFile}, said, io.Discard)
		_ = said.Close()
	}()
	line := make([]byte, 200)
	n, err := stdout.Read(line)
	if err != nil {
		t.Fatal(err, <-result)
	}
	body, err := os.ReadFile(readyFile)
	if err != nil {
		t.Fatal(err)
	}
	var ready struct{ URL string }
	if err := json.Unmarshal(body, &ready); err != nil {
		t.Fatal(err)
	}
	if got := string(line[:n]); got != "financial: serving "+ready.URL+"\n" {
		t.Errorf("said %q", got)
	}

	request, err := http.NewRequestWithContext(ctx, http.MethodGet, ready.URL+"/accounts", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer ann")
	res, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	answer, _ := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if res.StatusCode != 200 || strings.TrimSpace(string(answer)) != `{"items":[]}` {
		t.Errorf("%d %s", res.StatusCode, answer)
	}

	stop()
	select {
	case err := <-result:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("does not stop")
	}
}

func TestMistakesAreNamedAndHelpIsNone(t *testing.T) {
	t.Setenv("CORE_API_URL", "http://127.0.0.1:1")
	t.Setenv("CORE_NATS_URL", "")
	t.Setenv("CORE_API_KEY", coretest.Key)
	t.Setenv("FINANCIAL_ADDR", "")
	t.Setenv("FINANCIAL_DATA", "")
	var out bytes.Buffer
	if err := run(t.Context(), []string{"--help"}, &out, io.Discard); !errors.Is(err, flag.ErrHelp) {
		t.Error(err)
	}
	for _, name := range []string{"CORE_API_KEY", "CORE_API_URL", "CORE_NATS_URL", "FINANCIAL_ADDR", "FINANCIAL_DATA", "-ready-file", "127.0.0.1:8090"} {
		if !strings.Contains(out.String(), name) {
			t.Errorf("help does not name %s", name)
		}
	}
	dir := t.TempDir()
	for want, args := range map[string][]string{
		"FINANCIAL_DATA": nil,
		"-bogus":         {"--bogus"},
		"extra":          {"--data", dir, "extra"},
		"ready file":     {"--data", dir, "--addr", "127.0.0.1:0", "--ready-file", filepath.Join(dir, "no", "ready")},
		"listen":         {"--data", dir, "--addr", "256.0.0.1:1"},
	} {
		if err := run(t.Context(), args, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v", args, err)
		}
	}
	t.Setenv("CORE_API_KEY", "")
	if err := run(t.Context(), []string{"--data", dir}, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), "CORE_API_KEY") {
		t.Error(err)
	}
}
