package webhooks

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"code.dny.dev/ssrf"

	"github.com/buildify/core/pkg/contract"
)

// errAddress says that a webhook leads where none may. It says nothing about
// what is there.
var errAddress = errors.New("the address is not on a public network, or its port is not 443 or one above 1023")

// special are addresses that look public and are not: the wire server of one
// cloud. Those of the others are in special-purpose ranges.
var special = []netip.Prefix{netip.MustParsePrefix("168.63.129.16/32")}

// guardian refuses what the IANA special-purpose registries list: loopback,
// private, link-local, shared, multicast, documentation and translated addresses.
var guardian = ssrf.New(ssrf.WithAnyPort(), ssrf.WithDeniedV4Prefixes(special...))

// allowed is a net.Dialer's Control: it sees the address that is connected to,
// after any resolution, so no name can lead elsewhere at the second look.
func allowed(network, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || !goodPort(at.Port()) || guardian.Safe(network, address, nil) != nil || !goodAddress(at.Addr()) {
		return errAddress
	}
	return nil
}

func goodPort(port uint16) bool { return port == 443 || port > 1023 }

// goodAddress holds what the standard library knows of beside the guardian.
func goodAddress(ip netip.Addr) bool {
	ip = ip.Unmap()
	return guardian.SafeAddr(ip) == nil && ip.IsGlobalUnicast() && !ip.IsPrivate() && ip.Zone() == ""
}

// newTransport connects to public addresses only, without the environment's
// proxies, over TLS 1.2 at least.
func newTransport(allowPrivate bool) *http.Transport {
	dialer := &net.Dialer{Timeout: 5 * time.Second, Control: allowed}
	if allowPrivate {
		dialer.Control = nil
	}
	return &http.Transport{
		DialContext:            dialer.DialContext,
		Proxy:                  nil,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    5 * time.Second,
		MaxIdleConnsPerHost:    2,
		MaxIdleConns:           256,
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: 16 << 10,
		DisableCompression:     true, // an answer is no larger than it came
	}
}

// checkURL answers what is wrong with a webhook's address as far as it can be
// seen; the dialer sees the rest.
func checkURL(raw string, allowPrivate bool) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Hostname() == "" || u.Opaque != "" || strings.ContainsAny(raw, " \t\r\n\\"):
		return contract.Invalid("url", "must be an address such as https://example.com/hooks")
	case u.Scheme != "https" && (u.Scheme != "http" || !allowPrivate):
		return contract.Invalid("url", "must begin with https://")
	case u.User != nil:
		return contract.Invalid("url", "must not hold a user name or password: messages are signed, verify that")
	case u.Fragment != "" || strings.HasSuffix(raw, "#"):
		return contract.Invalid("url", "must not hold a fragment")
	case allowPrivate:
		return nil
	}
	if p := u.Port(); p != "" || strings.HasSuffix(u.Host, ":") {
		if port, err := strconv.ParseUint(p, 10, 16); err != nil || !goodPort(uint16(port)) {
			return contract.Invalid("url", "must name no port, 443 or one above 1023")
		}
	}
	if local(u.Hostname()) {
		return contract.Invalid("url", "must lead to a public network")
	}
	return nil
}

// local reports whether a host is no public one at first sight.
func local(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if ip, err := netip.ParseAddr(host); err == nil {
		return !goodAddress(ip) || ip.Is4In6()
	}
	last := host[strings.LastIndexByte(host, '.')+1:]
	_, err := strconv.ParseUint(last, 0, 64) // 127.1, 0x7f000001, 2130706433: no name ends in a number
	return err == nil || host == last || last == "localhost" || last == "local" || last == "internal"
}
