package auth

import (
	"errors"
	"net/http"

	"github.com/buildify/core/services/auth/internal/mail"
)

// prepareMail makes the queue of e-mails and what sends them.
func (s *Service) prepareMail() error {
	sender, err := s.mailSender()
	if err != nil {
		return err
	}
	telemetry := s.deps.Telemetry
	s.app.Mail = mail.NewQueue(s.deps.DB, s.app.Box, sender, telemetry.Log, telemetry.Metrics)
	return nil
}

func (s *Service) mailSender() (mail.Sender, error) {
	switch {
	case s.cfg.SMTPServer != "" && s.cfg.MailFrom == "":
		return nil, errors.New("a mail server needs the address that e-mails are from: give --mail-from")
	case s.cfg.SMTPServer != "":
		return mail.NewSMTP(s.cfg.SMTPServer, s.cfg.MailFrom)
	case s.outbox != nil:
		return s.outbox, nil
	}
	s.deps.Telemetry.Log.Warn("no mail server: invitations and links to set a password wait for one, a day at most")
	return mail.Nowhere{}, nil
}

// Outbox shows the e-mails that Config.Outbox keeps, to callers on this
// machine; nil without it.
func (s *Service) Outbox() http.Handler {
	if s.outbox == nil {
		return nil
	}
	return s.outbox
}
