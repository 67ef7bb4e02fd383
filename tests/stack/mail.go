package stack

import (
	"encoding/json"
	"io"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"
)

// Mail is an e-mail that a core sent.
type Mail struct {
	To   string `json:"to"`
	Text string `json:"text"`
}

var linkToken = regexp.MustCompile(`/account/set-password#token=(\S+)`)

// LinkToken waits for an e-mail to the address and returns the token of the
// link in the latest one.
func (s *Stack) LinkToken(t testing.TB, email string) (token string) {
	t.Helper()
	require.Eventually(t, func() bool {
		for _, m := range s.Mails(t) {
			if match := linkToken.FindStringSubmatch(m.Text); m.To == email && match != nil {
				token = match[1]
			}
		}
		return token != ""
	}, Timeout, 10*time.Millisecond, "no e-mail to %s", email)
	return token
}

// outbox reads the development outbox at a URL.
func outbox(url string) func(testing.TB) []Mail {
	return func(t testing.TB) []Mail {
		t.Helper()
		request, err := http.NewRequestWithContext(Context(t), http.MethodGet, url, nil)
		require.NoError(t, err)
		request.Header.Set("Accept", "application/json")
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		defer response.Body.Close()
		var list struct{ Items []Mail }
		require.NoError(t, json.NewDecoder(response.Body).Decode(&list))
		slices.Reverse(list.Items)
		return list.Items
	}
}

// mailServer keeps what it is given.
type mailServer struct {
	mu    sync.Mutex
	mails []Mail
}

// startMailServer serves SMTP until the test ends.
func startMailServer(t testing.TB) (address string, mails func(testing.TB) []Mail) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	m := &mailServer{}
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &mailSession{server: m}, nil }))
	server.Domain = "localhost"
	go func() { _ = server.Serve(listener) }() // ends with Close
	t.Cleanup(func() { _ = server.Close() })
	return listener.Addr().String(), func(testing.TB) []Mail {
		m.mu.Lock()
		defer m.mu.Unlock()
		return slices.Clone(m.mails)
	}
}

// mailSession takes the messages of one connection.
type mailSession struct {
	server *mailServer
	to     string
}

func (s *mailSession) Mail(string, *smtp.MailOptions) error { return nil }

func (s *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = to
	return nil
}

func (s *mailSession) Data(r io.Reader) error {
	message, err := mail.ReadMessage(r)
	if err != nil {
		return err
	}
	body := message.Body
	if strings.EqualFold(message.Header.Get("Content-Transfer-Encoding"), "quoted-printable") {
		body = quotedprintable.NewReader(body)
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	s.server.mails = append(s.server.mails, Mail{s.to, string(text)})
	return nil
}

func (s *mailSession) Reset()        {}
func (s *mailSession) Logout() error { return nil }
