package route

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/natsconn"
)

// exportStage is a stage with a stand-in for service audit, whose trail has so many
// parts of the same size, each of its own number.
type exportStage struct {
	*stage
	parts, size int

	mu     sync.Mutex
	asked  []contract.ExportAuditRequest
	denied bool
	// before is told of each part that is asked for, from 0, and may refuse it.
	before func(part int) error
}

func newExportStage(t testing.TB, parts, size int) *exportStage {
	t.Helper()
	s := &exportStage{stage: newStage(t), parts: parts, size: size, before: func(int) error { return nil }}
	telemetry, err := kit.NewTelemetry(context.Background(), kit.TelemetryConfig{Process: "test"})
	require.NoError(t, err)
	server, err := kit.NewServer(kit.ServerConfig{Service: "audit", NATS: s.user(natsconn.Audit), Telemetry: telemetry, Users: s, Permissions: s})
	require.NoError(t, err)
	require.NoError(t, kit.Handle(server, contract.ExportAudit, s.export))
	t.Cleanup(func() { require.NoError(t, server.Stop(context.Background())) })
	return s
}

func (s *exportStage) VerifyUser(context.Context, string) (kit.User, error) {
	return kit.User{ID: "u", TenantID: tailTenant}, nil
}

func (s *exportStage) Allowed(_ context.Context, _ kit.User, permission string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.denied && permission == contract.ExportAudit.Permission, nil
}

func (s *exportStage) export(_ context.Context, r *contract.ExportAuditRequest) (*contract.ExportAuditResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, *r)
	part, _ := strconv.Atoi(r.Cursor) // none is the first
	if err := s.before(part); err != nil {
		return nil, err
	}
	answer := &contract.ExportAuditResponse{Chunk: s.part(part), Events: 1}
	if part+1 < s.parts {
		answer.NextCursor = strconv.Itoa(part + 1)
	}
	return answer, nil
}

func (s *exportStage) part(n int) []byte {
	return append(bytes.Repeat([]byte{byte('a' + n%26)}, s.size-1), '\n')
}

func (s *exportStage) whole() (all []byte) {
	for n := range s.parts {
		all = append(all, s.part(n)...)
	}
	return all
}

func (s *exportStage) askedFor() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.asked)
}

func (s *exportStage) get(ctx context.Context, method, suffix string) *http.Response {
	s.t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, s.server.URL+contract.ExportAudit.Path+suffix, nil)
	require.NoError(s.t, err)
	r.Header.Set("Authorization", "Bearer x")
	response, err := s.server.Client().Do(r)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

// free waits until no place among the exports is taken.
func (s *exportStage) free() {
	s.t.Helper()
	require.Eventually(s.t, func() bool { return len(s.router.exports) == 0 }, patience, time.Millisecond)
}

func TestAnExportIsAllPartsInOrder(t *testing.T) {
	t.Parallel()
	for format, mediaType := range exportTypes {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			s := newExportStage(t, 5, 100_000)
			response := s.get(t.Context(), http.MethodGet, "."+format+"?action=invoice.*&after=7")
			require.Equal(t, http.StatusOK, response.StatusCode)
			require.Equal(t, mediaType, response.Header.Get("Content-Type"))
			require.Equal(t, "no-store", response.Header.Get("Cache-Control"))
			require.Equal(t, "nosniff", response.Header.Get("X-Content-Type-Options"))
			require.Regexp(t, `^attachment; filename="audit-[0-9TZ]+\.`+format+`"$`, response.Header.Get("Content-Disposition"))
			got, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			require.True(t, bytes.Equal(s.whole(), got))
			for i, asked := range s.asked {
				want := contract.ExportAuditRequest{Format: format, Action: "invoice.*", After: 7}
				if i > 0 {
					want.Cursor = strconv.Itoa(i)
				}
				require.Equal(t, want, asked)
			}
			s.free()
		})
	}
}

// Whoever reads slowly has the bridge hold a part, not the trail; whoever leaves
// has it ask for nothing more.
func TestAnExportGoesAsFastAsItIsRead(t *testing.T) {
	t.Parallel()
	const parts = 200
	s := newExportStage(t, parts, 600<<10) // more than all buffers between us take
	ctx, leave := context.WithCancel(t.Context())
	response := s.get(ctx, http.MethodGet, ".jsonl")
	_, err := io.ReadFull(response.Body, make([]byte, 1<<20))
	require.NoError(t, err)
	var before int
	require.Eventually(t, func() bool { // it stands still
		last := before
		before = s.askedFor()
		return before == last
	}, patience, 200*time.Millisecond)
	require.Less(t, before, parts/2)
	leave()
	s.free()
	require.Less(t, s.askedFor(), parts/2)
}

// Half an export is never taken for all of it.
func TestAnExportThatCannotBeFinishedBreaksOff(t *testing.T) {
	t.Parallel()
	s := newExportStage(t, 5, 100_000)
	s.before = func(part int) error {
		if part == 3 {
			return contract.Errorf(contract.PermissionDenied, "withdrawn meanwhile")
		}
		return nil
	}
	response := s.get(t.Context(), http.MethodGet, ".jsonl")
	require.Equal(t, http.StatusOK, response.StatusCode)
	got, err := io.ReadAll(response.Body)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.True(t, bytes.HasPrefix(s.whole(), got))
	s.free()
}

// A service that is away for a moment, or a quota that is spent, holds an export up
// and no more.
func TestAnExportWaitsForWhatComesBack(t *testing.T) {
	t.Parallel()
	for name, refusal := range map[string]*contract.Error{
		"away":  {Code: contract.Unavailable, Message: "away"},
		"quota": {Code: contract.RateLimited, Message: "too many", RetryAfter: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newExportStage(t, 3, 1000)
			refused := false
			s.before = func(part int) error {
				if part == 1 && !refused {
					refused = true
					return refusal
				}
				return nil
			}
			got, err := io.ReadAll(s.get(t.Context(), http.MethodGet, ".csv").Body)
			require.NoError(t, err)
			require.Equal(t, string(s.whole()), string(got))
			require.Equal(t, 4, s.askedFor())
		})
	}
}

func TestWhoMayNotExportIsToldSo(t *testing.T) {
	t.Parallel()
	s := newExportStage(t, 2, 1000)
	for suffix, status := range map[string]int{
		".jsonl?cursor=1": http.StatusBadRequest, ".jsonl?format=csv": http.StatusBadRequest, ".csv?x=1": http.StatusBadRequest,
		".ocsf?outcome=x": http.StatusBadRequest, ".jsonl?after=-1": http.StatusBadRequest, ".xml": http.StatusNotFound,
	} {
		require.Equal(t, status, s.get(t.Context(), http.MethodGet, suffix).StatusCode, suffix)
	}
	require.Equal(t, http.StatusMethodNotAllowed, s.get(t.Context(), http.MethodPost, ".jsonl").StatusCode)
	require.Zero(t, s.askedFor())
	head := s.get(t.Context(), http.MethodHead, ".jsonl")
	require.Equal(t, http.StatusOK, head.StatusCode)
	require.Equal(t, exportTypes["jsonl"], head.Header.Get("Content-Type"))
	s.mu.Lock()
	s.denied = true
	s.mu.Unlock()
	refused := s.get(t.Context(), http.MethodGet, ".jsonl")
	require.Equal(t, http.StatusForbidden, refused.StatusCode)
	require.Equal(t, contract.ProblemType, refused.Header.Get("Content-Type"))
	require.Empty(t, refused.Header.Get("Content-Disposition"))
	s.free()
}

func TestOnlySoManyExportsAreWrittenAtOnce(t *testing.T) {
	t.Parallel()
	s := newExportStage(t, 2, 1000)
	for range exportsAtOnce {
		s.router.exports <- struct{}{}
	}
	refused := s.get(t.Context(), http.MethodGet, ".jsonl")
	require.Equal(t, http.StatusServiceUnavailable, refused.StatusCode)
	require.NotEmpty(t, refused.Header.Get("Retry-After"))
	problem, err := io.ReadAll(refused.Body)
	require.NoError(t, err)
	require.True(t, strings.Contains(string(problem), "too many exports"))
	require.Zero(t, s.askedFor())
}
