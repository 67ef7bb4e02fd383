package kit

import (
	"net/netip"
	"strings"
)

// ClientInfo is where a person's request reached the bridge from.
type ClientInfo struct {
	// Address is the client's IP address; invalid when it is not known.
	Address netip.Addr
	// Agent is the client's User-Agent, its own word, cut to 200 bytes.
	Agent string
}

// clientHeader carries the bridge's word on the client inside account CORE. It
// is read on core.> only, where no module can publish.
const clientHeader = "Buildify-Client"

// maxAgent bounds what is kept of a User-Agent, in bytes.
const maxAgent = 200

func (c ClientInfo) encode() string {
	address := ""
	if c.Address.IsValid() {
		address = c.Address.String()
	}
	agent := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\uFFFD' {
			return -1
		}
		return r
	}, c.Agent)
	return address + ";" + strings.ToValidUTF8(agent[:min(len(agent), maxAgent)], "")
}

// clientOf reads the bridge's word. On m.… no header counts.
func clientOf(subject string, header map[string][]string) ClientInfo {
	values := header[clientHeader]
	if strings.HasPrefix(subject, "m.") || len(values) == 0 {
		return ClientInfo{}
	}
	address, agent, _ := strings.Cut(values[0], ";")
	parsed, _ := netip.ParseAddr(address) // invalid is unknown
	return ClientInfo{Address: parsed, Agent: agent}
}
