// Package origin finds the address that a request really came from.
package origin

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// Trusted are the networks of the proxies whose word on where a request came
// from is taken.
type Trusted []netip.Prefix

// ParseTrusted reads networks such as "10.0.0.0/8" and single addresses.
func ParseTrusted(networks []string) (Trusted, error) {
	var t Trusted
	for _, text := range networks {
		prefix, err := netip.ParsePrefix(text)
		if address, single := netip.ParseAddr(text); single == nil {
			prefix, err = address.Prefix(address.BitLen())
		}
		if err != nil {
			return nil, fmt.Errorf("%q is no network such as 10.0.0.0/8", text)
		}
		t = append(t, prefix.Masked())
	}
	return t, nil
}

func (t Trusted) holds(address netip.Addr) bool {
	for _, prefix := range t {
		if prefix.Contains(address) {
			return true
		}
	}
	return false
}

// Of returns the client's address: the peer's, or, behind trusted proxies, the
// last one that they name and that is not a trusted proxy itself. All before
// that anybody may have written. It is invalid when the proxies' word cannot
// be made out; so it is when both headers are there and differ, for then one
// of them is the client's own.
func (t Trusted) Of(r *http.Request) netip.Addr {
	peer := parse(r.RemoteAddr)
	if !t.holds(peer) {
		return peer
	}
	plain, standard := r.Header["X-Forwarded-For"], r.Header["Forwarded"]
	switch {
	case len(plain) == 0 && len(standard) == 0:
		return peer
	case len(standard) == 0:
		return t.client(split(plain))
	case len(plain) == 0:
		return t.client(forwarded(standard))
	}
	if client := t.client(split(plain)); client == t.client(forwarded(standard)) {
		return client
	}
	return netip.Addr{}
}

// client goes from the nearest hop outwards. Where all are trusted, the
// outermost asks for itself.
func (t Trusted) client(hops []string) (client netip.Addr) {
	for i := len(hops) - 1; i >= 0; i-- {
		client = parse(hops[i])
		if !t.holds(client) {
			break // also one that is invalid
		}
	}
	return client
}

// forwarded takes the for= of each hop (RFC 7239).
func forwarded(values []string) []string {
	hops := split(values)
	for i, element := range hops {
		hops[i] = ""
		if strings.Count(element, `"`)%2 != 0 {
			continue // a part of something longer
		}
		for pair := range strings.SplitSeq(element, ";") {
			if name, value, _ := strings.Cut(pair, "="); strings.EqualFold(strings.TrimSpace(name), "for") {
				hops[i] = strings.Trim(strings.TrimSpace(value), `"`)
			}
		}
	}
	return hops
}

// split cuts the values of a header at every comma, quoted or not: no address
// holds one, and a quote that a client opens must not swallow what the proxy
// appends.
func split(values []string) []string {
	parts := strings.Split(strings.Join(values, ","), ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}

// parse reads an address with or without port and brackets; invalid if it is
// none. IPv4 within IPv6 is IPv4.
func parse(text string) netip.Addr {
	address, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	if err != nil {
		withPort, err := netip.ParseAddrPort(text)
		if err != nil {
			return netip.Addr{}
		}
		address = withPort.Addr()
	}
	return address.Unmap().WithZone("")
}

// Network is what requests are counted by: an IPv4 address, or an IPv6
// network of 64 bits, within which a client may take any address.
func Network(address netip.Addr) netip.Addr {
	if address.Is6() {
		prefix, err := address.Prefix(64)
		if err == nil {
			return prefix.Addr()
		}
	}
	return address
}
