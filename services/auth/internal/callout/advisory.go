package callout

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/buildify/core/pkg/contract"
)

// Refusal is one client that was turned away, or cut off for what it sent.
type Refusal struct {
	// Address is invalid for a client inside the server's process.
	Address netip.Addr
	// KeyID is the key that the client showed, valid or not; empty where none
	// was well-formed.
	KeyID  string
	Reason string
}

const (
	// refusedSubject is where the server tells account AUTH of every client that
	// it refused. The system account is told of the same clients, of some twice,
	// and never why the callout refused them.
	refusedSubject = "$SYS.ACCOUNT.CLIENT.AUTH.ERR"
	// cutSubject is where the server tells of ended connections.
	cutSubject = "$SYS.ACCOUNT.%s.DISCONNECT"
	// stranger is the account of clients that have not logged in.
	stranger = "$G"
)

// violations are the reasons, in the server's words, to end a connection that
// are the client's doing. Forbidden subjects are not among them: the server
// tells those to the client and to its own log only.
var violations = []string{
	"Authentication Timeout", "TLS Handshake Failure", "Parse Error", "Protocol Violation", "Bad Client Protocol Version",
	"Maximum Account Connections Exceeded", "Maximum Message Payload Exceeded", "Maximum Control Line Exceeded",
	"Maximum Subscriptions Exceeded", "Message Header Violation", "No Responders Requires Headers",
}

// advisory is what is of interest in a server's word on a client. The client
// chose its user unless the callout named it: that may even be its secret.
type advisory struct {
	Client struct {
		Host    string `json:"host"`
		Account string `json:"acc"`
		User    string `json:"user"`
		Lang    string `json:"lang"`
	} `json:"client"`
	Reason string `json:"reason"`
}

// hearAdvisories subscribes to what the servers tell of refused clients; the
// replicas share it.
func (r *Responder) hearAdvisories() error {
	for _, s := range []struct {
		nc      *nats.Conn
		subject string
		handle  func(advisory)
	}{
		{r.callout, refusedSubject, r.refusedByServer},
		{r.sys, fmt.Sprintf(cutSubject, r.cfg.Account), r.cut},
		{r.sys, fmt.Sprintf(cutSubject, stranger), r.cut},
	} {
		sub, err := s.nc.QueueSubscribe(s.subject, queue, func(msg *nats.Msg) {
			var a advisory
			if err := json.Unmarshal(msg.Data, &a); err != nil {
				r.cfg.Log.Error("auth callout: advisory not understood", "subject", msg.Subject, "error", err)
				return
			}
			s.handle(a)
		})
		if err != nil {
			return err
		}
		r.advisories = append(r.advisories, sub)
	}
	return r.sys.Flush()
}

func (r *Responder) ignoreAdvisories() {
	for _, sub := range r.advisories {
		_ = sub.Unsubscribe() // gone with its connection, if it fails
	}
}

// refusedByServer is of a client that no verdict of ours refused: whoever
// decided has told of those already.
func (r *Responder) refusedByServer(a advisory) {
	if strings.HasSuffix(a.Reason, ": "+refusal) {
		return
	}
	if a.Reason == "" {
		a.Reason = "not answered in time"
	}
	r.cfg.Refused(Refusal{Address: address(a.Client.Host), Reason: a.Reason})
}

func (r *Responder) cut(a advisory) {
	if a.Client.Account == stranger && a.Reason == "Authentication Failure" && a.Client.User+a.Client.Lang == "" {
		// Something other than CONNECT came first: account AUTH is not told.
		r.cfg.Refused(Refusal{Address: address(a.Client.Host), Reason: noConnect})
		return
	}
	if !slices.Contains(violations, a.Reason) {
		return
	}
	cut := Refusal{Address: address(a.Client.Host), Reason: a.Reason}
	if _, ok := contract.KeyModule(a.Client.User); ok && a.Client.Account != stranger {
		cut.KeyID = a.Client.User
	}
	r.cfg.Refused(cut)
}
