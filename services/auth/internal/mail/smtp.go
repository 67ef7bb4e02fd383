package mail

import (
	"context"
	"errors"
	"fmt"
	netmail "net/mail"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// sendTime bounds one delivery.
const sendTime = 30 * time.Second

// SMTP hands messages to a mail server (RFC 5321), over a connection of each
// message's own. It is safe for concurrent use.
type SMTP struct {
	host    string
	from    string
	options []gomail.Option
}

// NewSMTP reads where mail goes: smtp://user:password@host:587, which needs
// STARTTLS unless the host is this machine, or smtps://…, port 465. from is the
// sender's address, with or without a name.
func NewSMTP(server, from string) (*SMTP, error) {
	u, err := url.Parse(server)
	if err != nil || u.Hostname() == "" || u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("the mail server must be a URL such as smtp://user:password@mail.example.com:587") // err may quote the password
	}
	if _, err := netmail.ParseAddress(from); err != nil {
		return nil, fmt.Errorf("the sender %q must be an address such as Buildify <noreply@example.com>", from)
	}
	s := &SMTP{host: u.Hostname(), from: from, options: []gomail.Option{gomail.WithTimeout(sendTime)}}
	port, auth := 587, gomail.SMTPAuthAutoDiscover
	switch {
	case u.Scheme == "smtps":
		port = 465
		s.options = append(s.options, gomail.WithSSL())
	case u.Scheme != "smtp":
		return nil, fmt.Errorf("the mail server's URL must begin with smtp:// or smtps://, not %s://", u.Scheme)
	case loopback(s.host):
		// What does not leave the machine needs no TLS, and a local server's
		// certificate is rarely one to trust.
		auth = gomail.SMTPAuthPlainNoEnc
		s.options = append(s.options, gomail.WithTLSPolicy(gomail.NoTLS))
	default:
		s.options = append(s.options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	}
	if given := u.Port(); given != "" {
		if port, err = strconv.Atoi(given); err != nil {
			return nil, fmt.Errorf("the mail server's port: %w", err)
		}
	}
	s.options = append(s.options, gomail.WithPort(port))
	if u.User != nil {
		password, _ := u.User.Password()
		s.options = append(s.options, gomail.WithSMTPAuth(auth), gomail.WithUsername(u.User.Username()), gomail.WithPassword(password))
	}
	_, err = gomail.NewClient(s.host, s.options...)
	return s, err
}

func loopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}

// Send implements Sender.
func (s *SMTP) Send(ctx context.Context, m Message) error {
	message, err := s.compose(m)
	if err != nil {
		return errors.Join(ErrRefused, err)
	}
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	done := make(chan error, 1)
	// The library minds its own timeout, but not ctx once it has dialled.
	go func() { done <- s.deliver(ctx, message) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("mail server: %w", ctx.Err())
	}
}

func (s *SMTP) deliver(ctx context.Context, message *gomail.Msg) error {
	client, err := gomail.NewClient(s.host, s.options...)
	if err != nil {
		return err
	}
	connection, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return fmt.Errorf("mail server: %w", err)
	}
	err = client.SendWithSMTPClient(connection, message)
	// Once the server took the message, a connection that ends badly is no
	// reason to send it again.
	_ = client.CloseWithSMTPClient(connection)
	var refused *gomail.SendError
	if errors.As(err, &refused) && !refused.IsTemp() && refused.ErrorCode() >= 500 {
		return errors.Join(ErrRefused, err)
	}
	return err
}

func (s *SMTP) compose(m Message) (*gomail.Msg, error) {
	if err := m.clean(); err != nil {
		return nil, err
	}
	message := gomail.NewMsg()
	if err := errors.Join(message.From(s.from), message.To(m.To)); err != nil {
		return nil, err
	}
	message.Subject(m.Subject)
	message.SetMessageID()
	message.SetDate()
	// No mailbox is to answer that its owner is away.
	message.SetGenHeader("Auto-Submitted", "auto-generated")
	message.SetGenHeader("X-Auto-Response-Suppress", "All")
	message.SetBodyString(gomail.TypeTextPlain, m.Text)
	return message, nil
}
