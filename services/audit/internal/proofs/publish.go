package proofs

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/buildify/core/pkg/trail"
)

// Publication is a new checkpoint on its way to the publishers.
type Publication struct {
	Tenant string
	Size   int64
	// Published is the size of the last one that all publishers have.
	Published int64
	// Note is the signed checkpoint; a witness adds its cosignature.
	Note []byte

	tree *tree
}

// Publisher brings checkpoints to where the platform cannot take them back. Publish
// may come again with one that it has. String names it for people.
type Publisher interface {
	Publish(ctx context.Context, p *Publication) error
	fmt.Stringer
}

// store keeps files under paths.
type store interface {
	put(ctx context.Context, path string, data []byte) error
	fmt.Stringer
}

// mirror keeps the logs as C2SP tlog-tiles has it: <tenant>/checkpoint and
// <tenant>/tile/….
type mirror struct{ store }

// Directory publishes into a directory, which may be an object store's.
func Directory(path string) Publisher { return mirror{directory(path)} }

// Put publishes with HTTP PUT under a base URL, as object stores take it.
func Put(base *url.URL, client *http.Client) Publisher { return mirror{&remote{base, client}} }

// Publish writes the tiles first: who sees a checkpoint finds them.
func (m mirror) Publish(ctx context.Context, p *Publication) error {
	for _, tile := range tlog.NewTiles(trail.TileHeight, p.Published, p.Size) {
		data, err := p.tree.tile(tile)
		if err != nil {
			return err
		}
		if err := m.put(ctx, p.Tenant+"/"+tilePath(tile), data); err != nil {
			return err
		}
	}
	return m.put(ctx, p.Tenant+"/checkpoint", p.Note)
}

// tilePath is tlog-tiles': tile/<level>/<n>, and .p/<width> of a partial one.
func tilePath(t tlog.Tile) string {
	n := fmt.Sprintf("%03d", t.N%1000)
	for rest := t.N / 1000; rest > 0; rest /= 1000 {
		n = fmt.Sprintf("x%03d/%s", rest%1000, n)
	}
	path := fmt.Sprintf("tile/%d/%s", t.L, n)
	if t.W < trail.TileWidth {
		path += fmt.Sprintf(".p/%d", t.W)
	}
	return path
}

type directory string

func (d directory) String() string { return string(d) }

func (d directory) put(_ context.Context, path string, data []byte) error {
	name := filepath.Join(string(d), filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil { //nolint:gosec // to be read by others
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(name), ".new-*")
	if err != nil {
		return err
	}
	_, err = temporary.Write(data)
	err = errors.Join(err, temporary.Chmod(0o644), temporary.Sync(), temporary.Close())
	if err == nil {
		err = os.Rename(temporary.Name(), name)
	}
	if err != nil {
		_ = os.Remove(temporary.Name()) // what cannot be removed either is seen there
	}
	return err
}

type remote struct {
	base   *url.URL
	client *http.Client
}

func (r *remote) String() string { return r.base.Redacted() }

func (r *remote) put(ctx context.Context, path string, data []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, r.base.JoinPath(path).String(), bytes.NewReader(data))
	if err != nil {
		return err
	}
	status, _, err := do(r.client, request)
	if err == nil && status/100 != 2 {
		err = fmt.Errorf("answered %d", status)
	}
	return err
}

// witness is another party that cosigns checkpoints, if they continue what it
// cosigned before (C2SP tlog-witness).
type witness struct {
	base     *url.URL
	verifier note.Verifier
	client   *http.Client
}

// Witness asks the witness at a submission prefix, whose cosignatures verifier
// verifies.
func Witness(base *url.URL, verifier note.Verifier, client *http.Client) Publisher {
	return &witness{base, verifier, client}
}

func (w *witness) String() string { return w.verifier.Name() }

// Publish has the checkpoint cosigned, and adds that to its note.
func (w *witness) Publish(ctx context.Context, p *Publication) error {
	if n, err := note.Open(p.Note, note.VerifierList(w.verifier)); err == nil && len(n.Sigs) > 0 {
		return nil
	}
	old := p.Published
	for range 3 {
		status, answer, err := w.add(ctx, p, old)
		if err != nil {
			return err
		}
		switch status {
		case http.StatusOK:
			signed := append(bytes.Clone(p.Note), answer...)
			n, err := note.Open(signed, note.VerifierList(w.verifier))
			if err != nil || len(n.Sigs) == 0 {
				return errors.New("the witness' cosignature does not verify")
			}
			p.Note = signed
			return nil
		case http.StatusConflict: // it knows another size, and says which
			size, err := strconv.ParseInt(strings.TrimSpace(string(answer)), 10, 64)
			if err != nil || size > p.Size || size < 0 || size == old {
				return fmt.Errorf("the witness has seen %q entries, of %d", strings.TrimSpace(string(answer)), p.Size)
			}
			old = size
		default:
			return fmt.Errorf("the witness answered %d", status)
		}
	}
	return errors.New("the witness keeps changing what it has seen")
}

func (w *witness) add(ctx context.Context, p *Publication, old int64) (status int, answer []byte, err error) {
	proof, err := trail.ProveConsistency(p.tree, old, p.Size)
	if err != nil {
		return 0, nil, err
	}
	var body bytes.Buffer
	fmt.Fprintf(&body, "old %d\n", old)
	for _, h := range proof {
		fmt.Fprintln(&body, base64.StdEncoding.EncodeToString(h[:]))
	}
	fmt.Fprintf(&body, "\n%s", p.Note)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.base.JoinPath("add-checkpoint").String(), &body)
	if err != nil {
		return 0, nil, err
	}
	return do(w.client, request)
}

// errAway says that nobody who could take anything answers there.
var errAway = errors.New("is away")

func do(client *http.Client, request *http.Request) (status int, answer []byte, err error) {
	ctx, cancel := context.WithTimeout(request.Context(), 10*time.Second)
	defer cancel()
	response, err := client.Do(request.WithContext(ctx))
	if err != nil {
		return 0, nil, fmt.Errorf("%w: %w", errAway, err)
	}
	defer response.Body.Close()
	if response.StatusCode >= http.StatusInternalServerError || response.StatusCode == http.StatusTooManyRequests {
		return 0, nil, fmt.Errorf("%w: answered %d", errAway, response.StatusCode)
	}
	answer, err = io.ReadAll(io.LimitReader(response.Body, 64<<10))
	return response.StatusCode, answer, err
}
