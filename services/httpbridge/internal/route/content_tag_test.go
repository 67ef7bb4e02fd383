package route

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
)

// menus stands for service tenant, whose menu carries the tag that is asked for.
func (s *stage) menus(tag *atomic.Pointer[string]) {
	s.t.Helper()
	tenant, err := kit.NewServer(kit.ServerConfig{
		Service: "tenant", NATS: s.tenant, Telemetry: s.router.Telemetry, Users: everybody{}, Permissions: everybody{}, Keys: everybody{},
	})
	require.NoError(s.t, err)
	require.NoError(s.t, kit.Handle(tenant, contract.GetMenu, func(context.Context, *contract.GetMenuRequest) (*contract.Menu, error) {
		return &contract.Menu{Sections: []contract.MenuSection{{ID: "main", Items: []contract.MenuItem{}}}, ETag: *tag.Load()}, nil
	}))
	s.t.Cleanup(func() { require.NoError(s.t, tenant.Stop(context.Background())) })
}

func TestAnAnswerWithATagOfItsOwnIsNotSentTwice(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	var tag atomic.Pointer[string]
	is := func(value string) { tag.Store(&value) }
	is("first-Tag_1")
	s.menus(&tag)
	get := func(known string) *http.Response {
		response, answer := s.call(http.MethodGet, contract.GetMenu.Path, "", map[string]string{"Authorization": "Bearer good", "If-None-Match": known})
		if response.StatusCode == http.StatusOK {
			require.Equal(t, *tag.Load(), answer["etag"])
			require.Len(t, answer["sections"], 1)
		}
		return response
	}
	for known, want := range map[string]int{
		"": http.StatusOK, `"other"`: http.StatusOK, `first-Tag_1`: http.StatusOK, `"first-tag_1"`: http.StatusOK, `"first-Tag_1x"`: http.StatusOK,
		`"first-Tag_1"`: http.StatusNotModified, `W/"first-Tag_1"`: http.StatusNotModified,
		`"a", "first-Tag_1"`: http.StatusNotModified, `*`: http.StatusNotModified,
	} {
		response := get(known)
		require.Equal(t, want, response.StatusCode, known)
		require.Equal(t, `"first-Tag_1"`, response.Header.Get("ETag"))
		require.Equal(t, "no-store", response.Header.Get("Cache-Control"))
		if want == http.StatusNotModified {
			require.Empty(t, response.Header.Get("Content-Type"))
			require.LessOrEqual(t, response.ContentLength, int64(0))
		}
	}

	is("second")
	response := get(`"first-Tag_1"`)
	require.Equal(t, http.StatusOK, response.StatusCode)
	require.Equal(t, `"second"`, response.Header.Get("ETag"))

	for _, none := range []string{"", `"`, "a b", "a\r\nSet-Cookie: x", "ä", `*`} {
		is(none)
		response := get(`*`)
		require.Equal(t, http.StatusOK, response.StatusCode, "%q is no tag", none)
		require.Empty(t, response.Header.Get("ETag"))
	}
}

func TestWhoIsRefusedIsToldSoWhateverTheyKnow(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	var tag atomic.Pointer[string]
	known := "known"
	tag.Store(&known)
	s.menus(&tag)
	response, _ := s.call(http.MethodGet, contract.GetMenu.Path, "", map[string]string{"Authorization": "Bearer bad", "If-None-Match": `"known"`})
	require.Equal(t, http.StatusUnauthorized, response.StatusCode)
	require.Empty(t, response.Header.Get("ETag"))
}
