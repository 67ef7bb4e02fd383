// Package mail sends people e-mails: written into a queue in the transaction
// of what they tell of, sent afterwards, by SMTP or, in development, into an
// outbox to look at.
package mail

import (
	"context"
	"errors"
	"strings"
)

// Message is an e-mail of plain text to one person.
type Message struct {
	To      string `json:"to"`
	Subject string `json:"subject"`
	Text    string `json:"text"`
}

// Sender delivers messages. Implementations are safe for concurrent use. An
// error that wraps ErrRefused says that trying again is of no use.
type Sender interface {
	Send(ctx context.Context, m Message) error
}

// ErrRefused says that a message can never be delivered: its address is none,
// or the server refused it for good.
var ErrRefused = errors.New("the message was refused")

// clean refuses what would end a header and begin another.
func (m Message) clean() error {
	if m.To == "" || strings.ContainsAny(m.To+m.Subject, "\r\n\x00") {
		return errors.Join(ErrRefused, errors.New("an address or a subject of more than one line"))
	}
	return nil
}

// Nowhere is the Sender of an installation without a mail server: messages stay
// in the queue.
type Nowhere struct{}

// Send implements Sender.
func (Nowhere) Send(context.Context, Message) error {
	return errors.New("no mail server is configured: give --smtp-server and --mail-from")
}
