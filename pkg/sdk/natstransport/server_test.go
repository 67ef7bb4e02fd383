package natstransport_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// server speaks as much of the NATS protocol as the transport needs. The real
// one is used by the parity suite of the whole system; here it would become a
// dependency of everyone who imports the SDK.
type server struct {
	listener net.Listener
	// accept decides about a connection; "" lets it in.
	accept func(token string) (refusal string)
	// answer is called for every request, on the connection's goroutine.
	answer func(c *conn, r request)
	// refuse says which subscriptions are not permitted; nil permits all.
	refuse func(subject string) bool

	mu      sync.Mutex
	conns   []*conn
	clients []hello
}

// hello is what a client says of itself.
type hello struct {
	Token string `json:"auth_token"`
	Name  string `json:"name"`
}

type request struct {
	subject, reply string
	header, body   string
}

type conn struct {
	net.Conn

	mu   sync.Mutex
	sids map[string]string // subject of a subscription → sid
}

func (c *conn) subscribed(change func(sids map[string]string)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(c.sids)
}

func newServer(t *testing.T) *server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &server{
		listener: listener,
		accept:   func(string) string { return "" },
		answer:   func(c *conn, r request) { c.reply(r, "", `{"allowed":true}`) },
	}
	var work sync.WaitGroup
	t.Cleanup(func() {
		_ = listener.Close()
		s.kick()
		work.Wait()
	})
	work.Go(func() {
		for {
			nc, err := listener.Accept()
			if err != nil {
				return
			}
			work.Go(func() { s.serve(&conn{Conn: nc, sids: map[string]string{}}) })
		}
	})
	return s
}

func (s *server) url() string { return "nats://" + s.listener.Addr().String() }

// kick breaks every connection.
func (s *server) kick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		_ = c.Close()
	}
}

// greeted is who connected so far.
func (s *server) greeted() []hello {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clients
}

func (s *server) policy(accept func(token string) string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accept = accept
}

func (s *server) serve(c *conn) {
	s.mu.Lock()
	s.conns = append(s.conns, c)
	s.mu.Unlock()
	defer func() {
		_ = c.Close()
		c.subscribed(func(sids map[string]string) { clear(sids) })
	}()
	c.send(`INFO {"server_id":"x","version":"2.15.2","proto":1,"headers":true,"auth_required":true,"max_payload":1114112}`)
	in := bufio.NewReader(c)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		fields := strings.Fields(rest)
		switch verb {
		case "CONNECT":
			if refusal := s.greet(rest); refusal != "" {
				c.send("-ERR '" + refusal + "'")
				return
			}
		case "PING":
			c.send("PONG")
		case "SUB":
			s.mu.Lock()
			refuse := s.refuse
			s.mu.Unlock()
			if refuse != nil && refuse(fields[0]) {
				c.send(`-ERR 'Permissions Violation for Subscription to "` + fields[0] + `"'`)
				continue
			}
			c.subscribed(func(sids map[string]string) { sids[fields[0]] = fields[len(fields)-1] })
		case "UNSUB":
			c.subscribed(func(sids map[string]string) {
				maps.DeleteFunc(sids, func(_, sid string) bool { return sid == fields[0] })
			})
		case "PUB", "HPUB":
			r, err := c.read(in, verb, fields)
			if err != nil {
				return
			}
			s.mu.Lock()
			answer := s.answer
			s.mu.Unlock()
			answer(c, r)
		}
	}
}

func (s *server) greet(connect string) string {
	var who hello
	if err := json.Unmarshal([]byte(connect), &who); err != nil {
		return err.Error()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clients = append(s.clients, who)
	return s.accept(who.Token)
}

// read takes "PUB subject reply size" or "HPUB subject reply headers total".
func (c *conn) read(in io.Reader, verb string, fields []string) (request, error) {
	total, err := strconv.Atoi(fields[len(fields)-1])
	if err != nil {
		return request{}, err
	}
	header := 0
	if verb == "HPUB" {
		if header, err = strconv.Atoi(fields[len(fields)-2]); err != nil {
			return request{}, err
		}
	}
	payload := make([]byte, total+2)
	if _, err := io.ReadFull(in, payload); err != nil {
		return request{}, err
	}
	return request{fields[0], fields[1], string(payload[:header]), string(payload[header:total])}, nil
}

// reply answers a request; header is lines such as "Name: value\r\n", or the
// status of an answer of the server's own such as " 503\r\n".
func (c *conn) reply(r request, header, body string) {
	var sid string
	c.subscribed(func(sids map[string]string) {
		for subject, id := range sids {
			if strings.HasPrefix(r.reply, strings.TrimSuffix(subject, "*")) {
				sid = id
			}
		}
	})
	if header == "" {
		c.send(fmt.Sprintf("MSG %s %s %d\r\n%s", r.reply, sid, len(body), body))
		return
	}
	if !strings.HasPrefix(header, " ") {
		header = "\r\n" + header
	}
	header = "NATS/1.0" + header + "\r\n"
	c.send(fmt.Sprintf("HMSG %s %s %d %d\r\n%s%s", r.reply, sid, len(header), len(header)+len(body), header, body))
}

// publish sends a message to all who subscribed to its subject, once for each
// subscription.
func (s *server) publish(subject, header, body string) {
	s.mu.Lock()
	conns := slices.Clone(s.conns)
	s.mu.Unlock()
	for _, c := range conns {
		c.mu.Lock()
		subscriptions := maps.Clone(c.sids)
		c.mu.Unlock()
		for pattern := range subscriptions {
			prefix, wildcard := strings.CutSuffix(pattern, "*")
			if pattern == subject || wildcard && strings.HasPrefix(subject, prefix) && !strings.HasPrefix(pattern, "_INBOX") {
				c.reply(request{reply: subject}, header, body)
			}
		}
	}
}

// subscriptions counts those to anything but inboxes.
func (s *server) subscriptions() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		c.subscribed(func(sids map[string]string) {
			for subject := range sids {
				if !strings.HasPrefix(subject, "_INBOX") {
					n++
				}
			}
		})
	}
	return n
}

func (c *conn) send(line string) { _, _ = io.WriteString(c, line+"\r\n") }
