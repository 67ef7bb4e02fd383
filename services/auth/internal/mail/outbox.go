package mail

import (
	"context"
	_ "embed"
	"encoding/json"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// kept is how many messages an Outbox remembers.
const kept = 100

// Outbox takes the place of a mail server in development: it remembers the last
// messages, and shows them to whoever sits at this machine. It is safe for
// concurrent use.
type Outbox struct {
	log *slog.Logger

	mu       sync.Mutex
	messages []Delivered
}

// Delivered is a message and when it came.
type Delivered struct {
	Message
	At time.Time `json:"at"`
}

// NewOutbox returns an empty Outbox.
func NewOutbox(log *slog.Logger) *Outbox { return &Outbox{log: log} }

// Send implements Sender. What a message says is not logged: it holds links.
func (o *Outbox) Send(_ context.Context, m Message) error {
	if err := m.clean(); err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.messages) == kept {
		o.messages = slices.Delete(o.messages, 0, 1)
	}
	o.messages = append(o.messages, Delivered{m, time.Now().UTC()})
	o.log.Info("e-mail in the development outbox", "to", m.To, "subject", m.Subject)
	return nil
}

// Messages are what is remembered, the newest first.
func (o *Outbox) Messages() []Delivered {
	o.mu.Lock()
	defer o.mu.Unlock()
	messages := append([]Delivered{}, o.messages...)
	slices.Reverse(messages)
	return messages
}

//go:embed outbox.html
var page string

var pageTemplate = template.Must(template.New("outbox").Funcs(template.FuncMap{"lines": lines}).Parse(page))

// line is a line of a text; Link says that it is a link and nothing else.
type line struct {
	Text string
	Link bool
}

func lines(text string) (all []line) {
	for l := range strings.Lines(text) {
		l = strings.TrimRight(l, "\r\n")
		link := strings.HasPrefix(l, "http://") || strings.HasPrefix(l, "https://")
		all = append(all, line{l, link && !strings.Contains(l, " ")})
	}
	return all
}

// ServeHTTP shows the messages, as JSON to who accepts that, to callers on this
// machine only: whoever reads them can take over accounts.
func (o *Outbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !local(r) {
		http.Error(w, "the development outbox is shown on this machine only: open it as localhost", http.StatusForbidden)
		return
	}
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	messages := o.Messages()
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		header.Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"items": messages}) // the client is gone: nobody is left to tell
		return
	}
	header.Set("Content-Type", "text/html; charset=utf-8")
	if err := pageTemplate.Execute(w, messages); err != nil {
		o.log.Warn("development outbox not shown", "error", err)
	}
}

// local reports whether a request is of a caller on this machine and asks for
// it by its own name: another site's name may lead here too.
func local(r *http.Request) bool {
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	remote, _, _ := net.SplitHostPort(r.RemoteAddr)
	return loopback(remote) && loopback(strings.Trim(host, "[]")) && r.Header.Get("Sec-Fetch-Site") != "cross-site"
}
