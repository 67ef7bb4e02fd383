package webhooks

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/buildify/core/pkg/contract"
)

func TestOnlyPublicAddressesAreConnectedTo(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"93.184.215.14:443", "8.8.8.8:8443", "[2606:2800:21f:cb07:6820:80da:af6b:8b2c]:443", "1.1.1.1:65535",
	} {
		network := "tcp4"
		if strings.HasPrefix(address, "[") {
			network = "tcp6"
		}
		require.NoError(t, allowed(network, address, nil), address)
	}
	for what, addresses := range map[string][]string{
		"loopback":             {"127.0.0.1:443", "127.8.8.8:443", "127.255.255.254:8443", "[::1]:443"},
		"this network":         {"0.0.0.0:443", "0.1.2.3:443", "[::]:443"},
		"private":              {"10.0.0.1:443", "172.16.0.1:443", "172.31.255.255:443", "192.168.1.1:443", "[fc00::1]:443", "[fd12:3456::1]:443"},
		"link-local":           {"169.254.0.1:443", "[fe80::1]:443", "[fe80::1%eth0]:443"},
		"site-local":           {"[fec0::1]:443"},
		"shared, of carriers":  {"100.64.0.1:443", "100.127.255.255:443"},
		"multicast":            {"224.0.0.1:443", "239.255.255.250:443", "[ff02::1]:443"},
		"broadcast, reserved":  {"255.255.255.255:443", "240.0.0.1:443"},
		"documentation, tests": {"192.0.2.1:443", "198.51.100.7:443", "203.0.113.9:443", "198.18.0.1:443", "[2001:db8::1]:443", "[3fff::1]:443"},
		"metadata of clouds":   {"169.254.169.254:443", "169.254.170.2:443", "100.100.100.200:443", "192.0.0.192:443", "168.63.129.16:443", "[fd00:ec2::254]:443"},
		"IPv4 in IPv6":         {"[::ffff:127.0.0.1]:443", "[::ffff:10.0.0.1]:443", "[::ffff:8.8.8.8]:443", "[::127.0.0.1]:443"},
		"translated":           {"[64:ff9b::7f00:1]:443", "[64:ff9b::a00:1]:443", "[64:ff9b:1::1]:443"},
		"6to4, Teredo":         {"[2002:7f00:1::]:443", "[2002:a00:1::1]:443", "[2001:0:4136:e378:8000:63bf:3fff:fdd2]:443", "192.88.99.1:443"},
		"no global unicast":    {"[100::1]:443", "[4000::1]:443", "[5f00::1]:443"},
		"ports of other kinds": {"93.184.215.14:22", "93.184.215.14:25", "93.184.215.14:80", "93.184.215.14:1023", "93.184.215.14:0"},
		"no address":           {"example.com:443", "93.184.215.14", ":443", ""},
	} {
		for _, address := range addresses {
			for _, network := range []string{"tcp4", "tcp6"} {
				require.ErrorIs(t, allowed(network, address, nil), errAddress, "%s: %s", what, address)
			}
		}
	}
	require.ErrorIs(t, allowed("udp4", "93.184.215.14:443", nil), errAddress)
}

func TestAnAddressIsLookedAtBeforeItIsKept(t *testing.T) {
	t.Parallel()
	for _, good := range []string{
		"https://example.com/hooks", "https://example.com", "https://EXAMPLE.com:443/", "https://hooks.example.com:8443/a?b=c", "https://8.8.8.8/x",
		"https://xn--bcher-kva.example/", "https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/", "https://example.com./x",
	} {
		require.NoError(t, checkURL(good, false), good)
	}
	for _, bad := range []string{
		"", "example.com", "//example.com", "http://example.com/", "ftp://example.com", "file:///etc/passwd", "gopher://example.com", "https:example.com", "https://",
		"https:///x", "https://:443/", "https://user@example.com/", "https://user:pass@example.com", "https://example.com/#x", "https://example.com/#",
		"https://example.com:22/", "https://example.com:0/", "https://example.com:99999/", "https://example.com:/", "https://example.com:https/",
		"https://localhost/", "https://LOCALHOST:8443/", "https://localhost./", "https://a.localhost/", "https://printer.local/", "https://vault.internal/", "https://intranet/",
		"https://127.0.0.1/", "https://127.1/", "https://2130706433/", "https://0x7f000001/", "https://0x7f.0.0.1/", "https://017700000001/", "https://0/",
		"https://10.0.0.1/", "https://169.254.169.254/latest", "https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://[::ffff:8.8.8.8]/", "https://[64:ff9b::7f00:1]/", "https://[fe80::1%25eth0]/",
		"https://example.com/a b", "https://example.com\\@127.0.0.1/", "https://exa\nmple.com/", " https://example.com",
	} {
		err := checkURL(bad, false)
		require.Error(t, err, bad)
		requireRefused(t, contract.InvalidArgument, "url", err)
	}
	for _, development := range []string{"http://127.0.0.1:8080/hooks", "https://localhost:1/", "http://a/"} {
		require.NoError(t, checkURL(development, true), development)
	}
	for _, bad := range []string{"ftp://127.0.0.1", "http://user@127.0.0.1/", "x"} {
		require.Error(t, checkURL(bad, true), bad)
	}
}

// rebinding answers for each name a public address first, and this machine from
// then on.
func rebinding(t *testing.T) (*net.Resolver, *atomic.Int32) {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	var asked atomic.Int32
	go func() {
		buffer := make([]byte, 1500)
		for {
			n, from, err := server.ReadFrom(buffer)
			if err != nil {
				return
			}
			var question dnsmessage.Message
			if question.Unpack(buffer[:n]) != nil || len(question.Questions) != 1 {
				continue
			}
			q := question.Questions[0]
			answer := dnsmessage.Message{Header: dnsmessage.Header{ID: question.ID, Response: true, Authoritative: true}, Questions: question.Questions}
			if q.Type == dnsmessage.TypeA {
				at := [4]byte{93, 184, 215, 14}
				if asked.Add(1) > 1 {
					at = [4]byte{127, 0, 0, 1}
				}
				answer.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class}, Body: &dnsmessage.AResource{A: at},
				}}
			}
			if packed, err := answer.Pack(); err == nil {
				_, _ = server.WriteTo(packed, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", server.LocalAddr().String())
	}}, &asked
}

func TestANameThatIsBoundAnewLeadsNowhere(t *testing.T) {
	t.Parallel()
	inside := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("reached from outside") }))
	t.Cleanup(inside.Close)
	_, port, err := net.SplitHostPort(inside.Listener.Addr().String())
	require.NoError(t, err)
	resolver, asked := rebinding(t)
	// At the first look the name is public.
	at, err := resolver.LookupHost(bounded(t), "rebind.example.com.")
	require.NoError(t, err)
	require.Equal(t, []string{"93.184.215.14"}, at)
	transport := newTransport(false)
	transport.DialContext = (&net.Dialer{Timeout: 5 * time.Second, Control: allowed, Resolver: resolver}).DialContext
	target := "https://rebind.example.com.:" + port + "/hooks"
	require.NoError(t, checkURL(target, false))
	request, err := http.NewRequestWithContext(bounded(t), http.MethodPost, target, http.NoBody)
	require.NoError(t, err)
	response, err := transport.RoundTrip(request)
	if response != nil {
		_ = response.Body.Close()
	}
	require.ErrorIs(t, err, errAddress)
	require.Greater(t, asked.Load(), int32(1))
	require.Equal(t, errAddress.Error(), reason(bounded(t), &url.Error{Op: "Post", URL: target, Err: err}), "and what is there is not told")
}

func TestTheTransportTrustsNoEnvironmentAndNoOldTLS(t *testing.T) {
	t.Parallel()
	transport := newTransport(false)
	require.Nil(t, transport.Proxy)
	old := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	old.StartTLS()
	t.Cleanup(old.Close)
	open := newTransport(true)
	request, err := http.NewRequestWithContext(bounded(t), http.MethodGet, old.URL, http.NoBody)
	require.NoError(t, err)
	response, err := open.RoundTrip(request)
	if response != nil {
		_ = response.Body.Close()
	}
	require.Error(t, err, "a certificate of nobody known")
	require.False(t, open.TLSClientConfig.InsecureSkipVerify)

	_, err = transport.DialContext(bounded(t), "tcp", old.Listener.Addr().String())
	require.True(t, errors.Is(err, errAddress), "%v", err)
}
