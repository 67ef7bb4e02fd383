package app

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/buildify/core/services/auth/internal/mail"
	"github.com/buildify/core/services/auth/internal/secret"
	"github.com/buildify/core/services/auth/internal/store/db"
)

// What a link in an e-mail is for.
const (
	inviteLink = "invite"
	resetLink  = "reset"
	// endedLink is a reset of a password that an administrator ended.
	endedLink = "ended"
)

// How long links are good for.
const (
	inviteLifetime = 72 * time.Hour
	resetLifetime  = time.Hour
)

// sendLink queues the e-mail with a fresh link to set a password. It ends the
// links that were sent before.
func (a *App) sendLink(ctx context.Context, q *db.Queries, user db.AuthUser, purpose string) error {
	token, link := a.newLink()
	lifetime := resetLifetime
	if purpose == inviteLink {
		lifetime = inviteLifetime
	}
	if err := q.RemoveLinks(ctx, user.ID); err != nil {
		return err
	}
	stored := purpose
	if purpose == endedLink {
		stored = resetLink
	}
	if err := q.AddLink(ctx, db.AddLinkParams{
		Mac: a.linkMAC(token), UserID: user.ID, TenantID: user.TenantID, Purpose: stored, Lifetime: lifetime.Seconds(),
	}); err != nil {
		return err
	}
	return a.Mail.Add(ctx, q, linkMessage(user.Email, purpose, link, lifetime))
}

// newLink makes a link and the token that it carries, in the fragment: that
// reaches neither a proxy's log nor another site.
func (a *App) newLink() (token, link string) {
	token = hex.EncodeToString(secret.Random(32))
	return token, a.PublicURL.JoinPath("account", "set-password").String() + "#token=" + token
}

// linkMAC is what is stored of a link's token.
func (a *App) linkMAC(token string) []byte { return a.Box.MAC("link " + token) }

func linkMessage(to, purpose, link string, lifetime time.Duration) mail.Message {
	if purpose == inviteLink {
		return mail.Message{
			To: to, Subject: "You are invited: set your password",
			Text: fmt.Sprintf("An account was made for you. Set your password within %d hours:\n\n%s\n\nIf you do not expect this, ignore it.\n",
				int(lifetime.Hours()), link),
		}
	}
	text := "A new password was asked for your account. Set it within %d minutes:\n\n%s\n\n" +
		"If you did not ask for it, ignore this; your password stays as it is.\n"
	if purpose == endedLink {
		text = "An administrator ended your password. Set a new one within %d minutes:\n\n%s\n\n" +
			"Later, ask for another link where you log in.\n"
	}
	return mail.Message{To: to, Subject: "Set a new password", Text: fmt.Sprintf(text, int(lifetime.Minutes()), link)}
}
