package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/kit/kittest"
)

func TestMain(m *testing.M) { kittest.Main(m) }

// limit bounds every wait; nothing waits that long unless a test fails.
const limit = 20 * time.Second

func bounded(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

// received is what a mail server took.
type received struct{ from, to, data, user string }

// server is a real mail server in the test's process.
type server struct {
	address string
	tls     *tls.Config // what a client trusts

	mu     sync.Mutex
	mails  []received
	refuse error // what it answers to a recipient
}

func (s *server) got() []received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]received{}, s.mails...)
}

func (s *server) setRefusal(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = err
}

// serve starts a mail server with a certificate for example.com, if secure:
// for STARTTLS, or for TLS from the beginning.
func serve(t testing.TB, secure, implicit bool) *server {
	t.Helper()
	s := &server{}
	backend := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &session{server: s}, nil }))
	backend.Domain, backend.AllowInsecureAuth, backend.ReadTimeout = "example.com", true, limit
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s.address = listener.Addr().String()
	if secure {
		borrowed := httptest.NewTLSServer(nil) // for its certificate
		t.Cleanup(borrowed.Close)
		config := borrowed.TLS.Clone()
		config.NextProtos = nil
		trusted := x509.NewCertPool()
		trusted.AddCert(borrowed.Certificate())
		s.tls = &tls.Config{RootCAs: trusted, ServerName: "example.com"}
		if implicit {
			listener = tls.NewListener(listener, config)
		} else {
			backend.TLSConfig = config
		}
	}
	done := make(chan struct{})
	go func() {
		_ = backend.Serve(listener)
		close(done)
	}()
	t.Cleanup(func() {
		_ = backend.Close()
		<-done
	})
	return s
}

// session is one connection of a client.
type session struct {
	server *server
	mail   received
}

func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if password != "p@ss word" {
			return errors.New("wrong password")
		}
		s.mail.user = user
		return nil
	}), nil
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	s.mail.from = from
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	s.mail.to = to
	return s.server.refuse
}

func (s *session) Data(r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.mail.data = string(data)
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	s.server.mails = append(s.server.mails, s.mail)
	return nil
}

func (s *session) Reset()        {}
func (s *session) Logout() error { return nil }
