// Package bundle serves the files of modules' bundles to browsers: those of
// versions that were approved, for as long as they are not suspended.
package bundle

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
)

// Pattern is where Handler is to be mounted.
const Pattern = "GET /modules/{module}/{version}/{path...}"

const (
	// Lease bounds how long a file is served without asking again whether it
	// may be: how late a kill switch is at most.
	Lease = 500 * time.Millisecond
	// MaxBytes bounds the contents that are kept.
	MaxBytes = 64 << 20
	// maxKnown bounds the files whose leases are kept.
	maxKnown = 10_000
	// asking bounds the questions at once, so that a flood of them leaves the
	// bus to others.
	asking = 32
	// beyond is an offset where no file reaches.
	beyond = 1 << 30
)

// Policy is the content security policy of every file. A page that is opened by
// itself runs nothing and belongs to no origin: modules are shown inside of the
// platform's pages.
const Policy = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox"

// Handler serves the files. It is safe for concurrent use.
type Handler struct {
	client  *kit.Client
	log     *slog.Logger
	flights singleflight.Group
	slots   chan struct{}
	now     func() time.Time

	mu       sync.Mutex
	known    map[name]lease
	contents *contents
}

// name is what a file is asked for by.
type name struct{ module, version, path string }

func (n name) String() string { return n.module + "/" + n.version + "/" + n.path }

// lease is what was said of a file, and until when that counts.
type lease struct {
	file  contract.VersionFile
	until time.Time
}

// New returns a Handler that asks service tenant.
func New(client *kit.Client, log *slog.Logger) *Handler {
	return &Handler{
		client: client, log: log, slots: make(chan struct{}, asking), now: time.Now,
		known: map[name]lease{}, contents: newContents(MaxBytes),
	}
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Security-Policy", Policy)
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Referrer-Policy", "no-referrer")
	file, content, err := h.file(r.Context(), name{r.PathValue("module"), r.PathValue("version"), r.PathValue("path")})
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	header.Set("Content-Type", file.Type)
	header.Set("ETag", `"`+file.SHA384+`"`)
	// Revalidated at each use, and not immutable, though the bytes of a version
	// never change: one that is suspended must not come from a browser's cache.
	header.Set("Cache-Control", "no-cache")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	var known *contract.Error
	if !errors.As(err, &known) {
		h.log.ErrorContext(r.Context(), "bundle: file not served", "path", r.URL.Path, "error", err)
		known = contract.Errorf(contract.InternalError, "internal error")
	}
	contract.WriteProblem(w, known)
}

// file is what may be served right now under a name.
func (h *Handler) file(ctx context.Context, n name) (contract.VersionFile, []byte, error) {
	h.mu.Lock()
	held, known := h.known[n]
	content, kept := h.contents.get(held.file.SHA384)
	h.mu.Unlock()
	if known && kept && h.now().Before(held.until) {
		return held.file, content, nil
	}
	found, err, _ := h.flights.Do(n.String(), func() (any, error) { // for all who ask now
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), contract.DefaultTimeout)
		defer cancel()
		return h.ask(ctx, n, kept)
	})
	if err != nil {
		h.mu.Lock()
		delete(h.known, n)
		h.mu.Unlock()
		return contract.VersionFile{}, nil, err
	}
	served, _ := found.(served)
	return served.file, served.content, nil
}

type served struct {
	file    contract.VersionFile
	content []byte
}

// ask asks whether a file may be served, and gets what is not kept of it.
func (h *Handler) ask(ctx context.Context, n name, kept bool) (served, error) {
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	default:
		return served{}, contract.Errorf(contract.Unavailable, "too many files are being fetched; try again")
	}
	asked := h.now()
	request := &contract.GetAssetRequest{ModuleName: n.module, Version: n.version, Path: n.path}
	if kept {
		request.Offset = beyond
	}
	answer, err := kit.Call(ctx, h.client, contract.GetAsset, request)
	if err != nil {
		return served{}, forCaller(err)
	}
	h.mu.Lock()
	content, kept := h.contents.get(answer.File.SHA384)
	h.mu.Unlock()
	if !kept {
		if content, err = h.load(ctx, request, answer); err != nil {
			return served{}, err
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.known) >= maxKnown {
		clear(h.known)
	}
	h.known[n] = lease{answer.File, asked.Add(Lease)}
	h.contents.put(answer.File.SHA384, content)
	return served{answer.File, content}, nil
}

// load gets a whole file, and holds it against its digest.
func (h *Handler) load(ctx context.Context, request *contract.GetAssetRequest, first *contract.GetAssetResponse) ([]byte, error) {
	content := make([]byte, 0, first.File.Size)
	if request.Offset == 0 {
		content = append(content, first.Data...)
	}
	for int64(len(content)) < first.File.Size {
		request.Offset = int64(len(content))
		part, err := kit.Call(ctx, h.client, contract.GetAsset, request)
		if err != nil {
			return nil, forCaller(err)
		}
		if len(part.Data) == 0 || part.File != first.File {
			return nil, fmt.Errorf("%s: changed while it was read", first.File.Path)
		}
		content = append(content, part.Data...)
	}
	sum := sha512.Sum384(content)
	if got := "sha384-" + base64.StdEncoding.EncodeToString(sum[:]); got != first.File.SHA384 || int64(len(content)) != first.File.Size {
		return nil, fmt.Errorf("%s: its bytes have digest %s, not %s", first.File.Path, got, first.File.SHA384)
	}
	return content, nil
}

// forCaller is an error of service tenant as a browser gets it: whatever is
// wrong with a path, there is no such file.
func forCaller(err error) error {
	if errors.Is(err, &contract.Error{Code: contract.InvalidArgument}) {
		return contract.Missing("file that may be served")
	}
	return err
}
