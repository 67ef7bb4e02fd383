package registry

import (
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
)

// asset asks for a part of a file that may be served.
func (w *world) asset(module, version, path string, offset int64) (*contract.GetAssetResponse, error) {
	return w.GetAsset(bounded(w.t), &contract.GetAssetRequest{ModuleName: module, Version: version, Path: path, Offset: offset})
}

func TestAFileComesInPartsAndInAnyOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.publisher("crm")
	content := strings.Repeat("0123456789abcdef", (2*partSize+100)/16) + "!"
	p.put("1.0.0", bundle("a.png", map[string]string{"a.png": content, "b/c.png": content, "empty.txt": ""}))
	require.Equal(t, []string{digest(content)}, p.get("1.0.0").Missing, "one content, and nothing to upload of an empty file")
	_, err := w.PutAsset(asPlatform(t), &contract.PutAssetRequest{Digest: digest("nobody's"), Size: 8, Data: []byte("nobody's")})
	requireRefused(t, contract.NotFound, "", err)
	got, err := w.PutAsset(asPlatform(t), &contract.PutAssetRequest{Digest: digest(content), Size: int64(len(content)), Data: []byte(content[:partSize])})
	require.NoError(t, err, "the platform acts for whoever wants the file")
	require.False(t, got.Complete)
	for i, offset := range []int{2 * partSize, 0, 0, partSize, partSize} {
		got, err := p.part(content, offset)
		require.NoError(t, err)
		require.Equal(t, i >= 3, got.Complete)
	}
	require.Empty(t, p.get("1.0.0").Missing)
	v := p.submit("1.0.0")
	require.Equal(t, submitted, v.State, "%+v", v.Findings)
	_, err = w.asset("crm", "1.0.0", "a.png", 0)
	requireRefused(t, contract.NotFound, "", err)
	_, err = p.decide("1.0.0", "approve")
	require.NoError(t, err)

	var whole strings.Builder
	for _, offset := range []int64{0, partSize, 2 * partSize, 3 * partSize, 1 << 30} {
		part, err := w.asset("crm", "1.0.0", "b/c.png", offset)
		require.NoError(t, err)
		require.Equal(t, contract.VersionFile{Path: "b/c.png", SHA384: integrity(content), Size: int64(len(content)), Type: "image/png"}, part.File)
		whole.Write(part.Data)
	}
	require.Equal(t, content, whole.String())
	empty, err := w.asset("crm", "1.0.0", "empty.txt", 0)
	require.NoError(t, err)
	require.Empty(t, empty.Data)
	_, err = w.asset("crm", "1.0.0", "a.png", 1)
	requireRefused(t, contract.InvalidArgument, "offset", err)
	for _, path := range []string{"", "/a.png", "../a.png", "b/../a.png", "A.png", "b", "b/"} {
		_, err = w.asset("crm", "1.0.0", path, 0)
		requireRefused(t, contract.NotFound, "", err)
	}
}

func TestOnlyApprovedFilesAreServed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.publisher("crm")
	const content = "export {}\n"
	files := bundle("a.js", map[string]string{"a.js": content})
	p.put("9.0.0", files)
	p.upload(content)
	n := 0
	for state, served := range map[string]bool{
		draft: false, submitted: false, rejected: false, approved: true, published: true, deprecated: true,
	} {
		n++
		version := string(rune('0'+n)) + ".0.0"
		more := bundle("a.js", map[string]string{"a.js": content})
		more["egress"] = []string{state + ".example.com"}
		p.in(state, version, more)
		_, err := w.asset("crm", version, "a.js", 0)
		require.Equal(t, served, err == nil, state)
		reviewed, err := w.GetAsset(bounded(t), &contract.GetAssetRequest{ModuleName: "crm", Version: version, Path: "a.js", Review: true})
		require.NoError(t, err, "a reviewer sees it")
		require.Equal(t, content, string(reviewed.Data))
		if !served {
			continue
		}
		_, err = w.SuspendVersion(asPlatform(t), &contract.SuspendVersionRequest{ModuleName: "crm", Version: version, Reason: "x"})
		require.NoError(t, err)
		_, err = w.asset("crm", version, "a.js", 0)
		requireRefused(t, contract.NotFound, "", err)
		_, err = w.SuspendVersion(asPlatform(t), &contract.SuspendVersionRequest{ModuleName: "crm", Version: version})
		require.NoError(t, err)
		for _, reason := range []string{"all of it", ""} {
			_, err = w.SuspendModule(asPlatform(t), &contract.SuspendModuleRequest{ModuleName: "crm", Reason: reason})
			require.NoError(t, err)
			_, err = w.asset("crm", version, "a.js", 0)
			require.Equal(t, reason == "", err == nil)
		}
	}
}

func TestOnlyWhatAVersionNamesIsStored(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, other := w.publisher("crm"), w.publisher("erp")
	const content = "export {}\n"
	_, err := p.part(content, 0)
	requireRefused(t, contract.NotFound, "", err)
	other.put("1.0.0", bundle("a.js", map[string]string{"a.js": content}))
	_, err = p.part(content, 0)
	requireRefused(t, contract.NotFound, "", err)
	big := strings.Repeat("x", partSize+1)
	p.put("1.0.0", bundle("a.js", map[string]string{"a.js": content, "b.js": big}))
	for name, r := range map[string]contract.PutAssetRequest{
		"offset":  {Offset: 7},
		"offset ": {Offset: 2 * partSize},
		"data":    {Data: []byte("x")},
		"data ":   {Offset: partSize, Data: []byte("xx")},
		"data  ":  {},
	} {
		r.Digest, r.Size = digest(big), int64(len(big))
		_, err = w.PutAsset(as(t, p.tenant), &r)
		requireRefused(t, contract.InvalidArgument, strings.TrimSpace(name), err)
	}
	_, err = w.PutAsset(as(t, p.tenant), &contract.PutAssetRequest{Digest: digest(content), Size: 3, Data: []byte("xyz")})
	requireRefused(t, contract.NotFound, "", err)

	// Other bytes of that size: nothing of them is kept.
	wrong := &contract.PutAssetRequest{Digest: digest(content), Size: int64(len(content)), Data: []byte("export []\n")}
	for range 2 {
		_, err = w.PutAsset(as(t, p.tenant), wrong)
		requireRefused(t, contract.InvalidArgument, "digest", err)
	}
	require.Contains(t, p.get("1.0.0").Missing, digest(content))
	p.upload(content)
	require.NotContains(t, p.get("1.0.0").Missing, digest(content))
	require.Empty(t, other.get("1.0.0").Missing, "one content is stored once, whoever has it")
	got, err := w.PutAsset(as(t, p.tenant), wrong)
	require.NoError(t, err)
	require.True(t, got.Complete, "what is complete is not touched")
	require.Equal(t, content, string(w.review(p, "a.js")))

	// A first part of something else spoils the file; then it comes anew.
	_, err = w.PutAsset(as(t, p.tenant), &contract.PutAssetRequest{Digest: digest(big), Size: int64(len(big)), Data: []byte(strings.Repeat("y", partSize))})
	require.NoError(t, err)
	_, err = p.part(big, partSize)
	requireRefused(t, contract.InvalidArgument, "digest", err)
	p.upload(big)
	require.Empty(t, p.get("1.0.0").Missing)
}

// review is a file as a reviewer sees it.
func (w *world) review(p *publisher, path string) []byte {
	w.t.Helper()
	got, err := w.GetAsset(bounded(w.t), &contract.GetAssetRequest{ModuleName: p.module, Version: "1.0.0", Path: path, Review: true})
	require.NoError(w.t, err)
	return got.Data
}

func TestPartsThatComeAtOnceMakeOneFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.publisher("crm")
	content := strings.Repeat("x", 3*partSize)
	p.put("1.0.0", bundle("a.txt", map[string]string{"a.txt": content}))
	var wait sync.WaitGroup
	for i := range 9 {
		wait.Go(func() {
			if _, err := p.part(content, i%3*partSize); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	require.Empty(t, p.get("1.0.0").Missing)
}

func TestFilesOfNoVersionAreSweptAfterADay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.publisher("crm")
	p.put("1.0.0", bundle("a.js", map[string]string{"a.js": "kept", "b.js": "also kept"}))
	p.put("2.0.0", bundle("a.js", map[string]string{"a.js": "gone", "b.js": "young"}))
	for _, content := range []string{"kept", "gone", "young"} {
		p.upload(content)
	}
	_, err := w.DeleteVersion(as(t, p.tenant), &contract.VersionRequest{ModuleName: "crm", Version: "2.0.0"})
	require.NoError(t, err)
	w.exec("UPDATE tenant.assets SET created_at = now() - interval '25 hours' WHERE digest <> $1", digest("young"))
	require.NoError(t, w.SweepAssets(bounded(t)))
	p.put("3.0.0", bundle("a.js", map[string]string{"a.js": "gone", "b.js": "young", "c.js": "kept"}))
	require.Equal(t, []string{digest("gone")}, p.get("3.0.0").Missing)
}
