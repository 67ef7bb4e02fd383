package origin

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheClientIsWhoTheTrustedProxiesName(t *testing.T) {
	t.Parallel()
	trusted, err := ParseTrusted([]string{"10.0.0.0/8", "192.0.2.7", "fd00::/8"})
	require.NoError(t, err)
	for name, c := range map[string]struct{ peer, plain, standard, want string }{
		"directly":                         {"198.51.100.1:999", "", "", "198.51.100.1"},
		"directly, over IPv6":              {"[2001:db8::1]:999", "", "", "2001:db8::1"},
		"directly, IPv4 within IPv6":       {"[::ffff:198.51.100.1]:999", "", "", "198.51.100.1"},
		"directly, with a zone":            {"[fe80::1%eth0]:999", "", "", "fe80::1"},
		"a stranger's word":                {"198.51.100.1:999", "10.0.0.1", "for=10.0.0.1", "198.51.100.1"},
		"a proxy for itself":               {"10.0.0.1:999", "", "", "10.0.0.1"},
		"one proxy":                        {"10.0.0.1:999", "198.51.100.1", "", "198.51.100.1"},
		"a proxy within IPv6":              {"[::ffff:10.0.0.1]:999", "::ffff:198.51.100.1", "", "198.51.100.1"},
		"a single trusted address":         {"192.0.2.7:1", "198.51.100.1", "", "198.51.100.1"},
		"the neighbour of that":            {"192.0.2.8:1", "198.51.100.1", "", "192.0.2.8"},
		"what the client wrote is skipped": {"10.0.0.1:999", "127.0.0.1, 10.9.9.9, 198.51.100.1", "", "198.51.100.1"},
		"two proxies":                      {"10.0.0.1:999", "203.0.113.9, 198.51.100.1, 10.0.0.2", "", "198.51.100.1"},
		"all trusted":                      {"10.0.0.1:999", "10.0.0.3, 10.0.0.2", "", "10.0.0.3"},
		"with a port":                      {"10.0.0.1:999", "198.51.100.1:4711", "", "198.51.100.1"},
		"over several lines":               {"10.0.0.1:999", "203.0.113.9\n198.51.100.1", "", "198.51.100.1"},
		"no address":                       {"10.0.0.1:999", "203.0.113.9, unknown", "", ""},
		"empty":                            {"10.0.0.1:999", "203.0.113.9,", "", ""},
		"RFC 7239":                         {"10.0.0.1:999", "", "for=203.0.113.9;proto=https, For=198.51.100.1;by=10.0.0.1", "198.51.100.1"},
		"RFC 7239, IPv6":                   {"10.0.0.1:999", "", `for="[2001:db8:cafe::17]:4711"`, "2001:db8:cafe::17"},
		"RFC 7239, without port":           {"10.0.0.1:999", "", `for="[2001:db8:cafe::17]"`, "2001:db8:cafe::17"},
		"RFC 7239, a quoted comma":         {"10.0.0.1:999", "", `for="a,for=203.0.113.9"`, ""},
		"RFC 7239, a comma in Host":        {"10.0.0.1:999", "", `for=198.51.100.1;host="a,for=203.0.113.9"`, ""},
		"RFC 7239, commas in Host":         {"10.0.0.1:999", "", `for=198.51.100.1;host="a,for=203.0.113.9,b"`, ""},
		"RFC 7239, obfuscated":             {"10.0.0.1:999", "", "for=203.0.113.9, for=_hidden", ""},
		"RFC 7239, nobody named":           {"10.0.0.1:999", "", "for=203.0.113.9, proto=https", ""},
		"both say the same":                {"10.0.0.1:999", "198.51.100.1", "for=198.51.100.1", "198.51.100.1"},
		"one was smuggled through":         {"10.0.0.1:999", "198.51.100.1", "for=10.5.5.5", ""},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.RemoteAddr = c.peer
		if c.plain != "" {
			r.Header["X-Forwarded-For"] = strings.Split(c.plain, "\n")
		}
		if c.standard != "" {
			r.Header["Forwarded"] = []string{c.standard}
		}
		var want netip.Addr
		if c.want != "" {
			want = netip.MustParseAddr(c.want)
		}
		require.Equal(t, want, trusted.Of(r), name)
	}
}

func TestWhatIsNoNetworkIsNotTrusted(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "x", "10.0.0.0/33", "10.0.0.0-10.0.0.9", "*"} {
		_, err := ParseTrusted([]string{text})
		require.Error(t, err, text)
	}
}

func TestRequestsAreCountedByWhatAClientCannotChoose(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"198.51.100.1": "198.51.100.1", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::", "2001:db8:1:2::": "2001:db8:1:2::",
	} {
		require.Equal(t, netip.MustParseAddr(want), Network(netip.MustParseAddr(text)))
	}
	require.Equal(t, netip.Addr{}, Network(netip.Addr{}))
}

// Whatever a client writes, the proxy's own word comes last.
func FuzzOf(f *testing.F) {
	f.Add("10.0.0.2", `for="[2001:db8::1]:80";by=x`)
	f.Add(`"`, `for=10.0.0.2;x="`)
	f.Fuzz(func(t *testing.T, plain, standard string) {
		trusted, want := Trusted{netip.MustParsePrefix("10.0.0.0/8")}, netip.MustParseAddr("2001:db8::9")
		for _, header := range []http.Header{
			{"X-Forwarded-For": {plain + ", 2001:db8::9"}},
			{"X-Forwarded-For": {plain, "2001:db8::9"}},
			{"Forwarded": {standard + `, for="[2001:db8::9]:80";proto=https`}},
			{"Forwarded": {standard, `for="[2001:db8::9]"`}},
		} {
			if got := trusted.Of(&http.Request{RemoteAddr: "10.0.0.1:1", Header: header}); got != want {
				t.Errorf("%q makes it %v", header, got)
			}
			header["X-Forwarded-For"], header["Forwarded"] = []string{plain + ", 2001:db8::9"}, []string{standard}
			if got := trusted.Of(&http.Request{RemoteAddr: "10.0.0.1:1", Header: header}); got.IsValid() && got != want {
				t.Errorf("%q makes it %v", header, got)
			}
		}
	})
}
