package mail

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"
	gomail "github.com/wneessen/go-mail"
)

var hello = Message{To: "zoë@example.com", Subject: "Grüße", Text: "Set your password:\n\nhttp://localhost:8080/account/set-password#token=abc\n"}

// to is a sender that reaches the test's server, whatever the URL's host is.
func to(t testing.TB, s *server, url string) *SMTP {
	t.Helper()
	sender, err := NewSMTP(url, "Buildify <noreply@example.com>")
	require.NoError(t, err)
	sender.options = append(sender.options, gomail.WithDialContextFunc(func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, s.address)
	}))
	if s.tls != nil {
		sender.options = append(sender.options, gomail.WithTLSConfig(s.tls))
	}
	return sender
}

func TestAMessageArrivesAsItIs(t *testing.T) {
	t.Parallel()
	s := serve(t, false, false)
	m := hello
	m.To = "zoe@example.com"
	require.NoError(t, to(t, s, "smtp://127.0.0.1").Send(bounded(t), m))
	got := s.got()
	require.Len(t, got, 1)
	require.Equal(t, "noreply@example.com", got[0].from)
	require.Equal(t, "zoe@example.com", got[0].to)
	require.Empty(t, got[0].user)
	for _, header := range []string{
		"From: \"Buildify\" <noreply@example.com>", "To: <zoe@example.com>", "Subject: =?UTF-8?", "Message-ID: <", "Date: ",
		"Auto-Submitted: auto-generated", "Content-Type: text/plain",
	} {
		require.Contains(t, got[0].data, header)
	}
	require.Contains(t, strings.ReplaceAll(got[0].data, "=\r\n", ""), "#token=3Dabc", "the link, quoted-printable")
}

func TestBeyondThisMachineNothingIsSentWithoutTLS(t *testing.T) {
	t.Parallel()
	plain := serve(t, false, false)
	require.ErrorContains(t, to(t, plain, "smtp://mail.example.com").Send(bounded(t), hello), "STARTTLS")
	starttls := serve(t, true, false)
	m := hello
	m.To = "zoe@example.com"
	require.NoError(t, to(t, starttls, "smtp://anna:p%40ss%20word@mail.example.com").Send(bounded(t), m))
	require.Equal(t, "anna", starttls.got()[0].user)
	stranger := to(t, starttls, "smtp://mail.example.com")
	stranger.options = append(stranger.options, gomail.WithTLSConfig(nil))
	require.Error(t, stranger.Send(bounded(t), m), "a certificate that nobody trusts")
	require.Len(t, starttls.got(), 1)
	require.Empty(t, plain.got())
}

func TestTLSFromTheBeginning(t *testing.T) {
	t.Parallel()
	s := serve(t, true, true)
	sender, err := NewSMTP("smtps://anna:p%40ss%20word@"+s.address, "noreply@example.com")
	require.NoError(t, err)
	sender.options = append(sender.options, gomail.WithTLSConfig(s.tls))
	m := hello
	m.To = "zoe@example.com"
	require.NoError(t, sender.Send(bounded(t), m))
	require.Equal(t, "anna", s.got()[0].user)
}

func TestAWrongPasswordIsNoReasonToLoseAMessage(t *testing.T) {
	t.Parallel()
	s := serve(t, false, false)
	err := to(t, s, "smtp://anna:wrong@localhost").Send(bounded(t), hello)
	require.Error(t, err)
	require.NotErrorIs(t, err, ErrRefused, "an operator mends it")
	require.NotContains(t, err.Error(), "wrong:", "no password in an error")
}

func TestOnlyWhatIsRefusedForGoodIsRefused(t *testing.T) {
	t.Parallel()
	s := serve(t, false, false)
	m := hello
	m.To = "nobody@example.com"
	s.setRefusal(&smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such mailbox"})
	require.ErrorIs(t, to(t, s, "smtp://127.0.0.1").Send(bounded(t), m), ErrRefused)
	s.setRefusal(&smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "try again later"})
	err := to(t, s, "smtp://127.0.0.1").Send(bounded(t), m)
	require.Error(t, err)
	require.NotErrorIs(t, err, ErrRefused)
	nowhere, err := NewSMTP("smtp://127.0.0.1:1", "noreply@example.com")
	require.NoError(t, err)
	require.NotErrorIs(t, nowhere.Send(bounded(t), m), ErrRefused)
}

func TestNoMessageWritesHeadersOfItsOwn(t *testing.T) {
	t.Parallel()
	s := serve(t, false, false)
	for _, m := range []Message{
		{To: "a@example.com\r\nBcc: b@example.com", Subject: "x"},
		{To: "a@example.com", Subject: "x\r\nBcc: b@example.com"},
		{To: "a@example.com", Subject: "x\nBcc: b@example.com"},
		{To: "a@example.com, b@example.com", Subject: "x"},
		{To: "a@example.com> RCPT TO:<b@example.com", Subject: "x"},
		{To: "", Subject: "x"},
		{To: "nonsense", Subject: "x"},
	} {
		require.ErrorIs(t, to(t, s, "smtp://127.0.0.1").Send(bounded(t), m), ErrRefused, "%q", m)
	}
	require.Empty(t, s.got())
	body := Message{To: "a@example.com", Subject: "x", Text: "one\r\n.\r\nMAIL FROM:<x>\r\n"}
	require.NoError(t, to(t, s, "smtp://127.0.0.1").Send(bounded(t), body))
	require.Len(t, s.got(), 1)
	require.Contains(t, s.got()[0].data, "MAIL FROM:<x>", "a line with a dot ends nothing")
}

func TestAMailServerThatCannotBeIsRefusedAtTheStart(t *testing.T) {
	t.Parallel()
	for server, from := range map[string]string{
		"":                                  "a@example.com",
		"mail.example.com":                  "a@example.com",
		"http://mail.example.com":           "a@example.com",
		"smtp://":                           "a@example.com",
		"smtp://mail.example.com/inbox":     "a@example.com",
		"smtp://mail.example.com:99999":     "a@example.com",
		"smtp://u:secret%@mail.example.com": "a@example.com",
		"smtp://mail.example.com":           "nobody",
		"smtps://mail.example.com":          "a@example.com\r\nBcc: b@example.com",
	} {
		_, err := NewSMTP(server, from)
		require.Error(t, err, "%q", server)
		require.NotContains(t, err.Error(), "secret")
	}
}

func TestASilentServerIsNotWaitedForWhenTheQueueStops(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	sender, err := NewSMTP("smtp://"+silent.Addr().String(), "noreply@example.com")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(bounded(t))
	failed := make(chan error)
	m := hello
	m.To = "zoe@example.com"
	go func() { failed <- sender.Send(ctx, m) }()
	connection, err := silent.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { _, _ = connection.Close(), silent.Close() })
	cancel()
	select {
	case err := <-failed:
		require.ErrorIs(t, err, context.Canceled)
	case <-time.After(limit):
		require.Fail(t, "still waiting")
	}
}
