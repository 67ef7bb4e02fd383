package browser

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/tests/stack"
)

func TestAnInvitedPersonSetsTheirPassword(t *testing.T) {
	t.Parallel()
	s := stack.OneProcess(t)
	company, email := s.Company(t), "ida@example.com"
	stack.Do(t, s, contract.CreateUser, &contract.CreateUserRequest{
		TenantID: contract.ID(company.Tenant.ID), Email: email, Name: "Ida Invited",
	})
	token := s.LinkToken(t, email)
	p := open(t)
	require.NoError(t, chromedp.Do(p.ctx, chromedp.Navigate(s.HTTPURL+"/account/set-password"), chromedp.WaitVisible("#no-link")))
	p.shoot(t, "set-password-no-link")

	fill := func(password, again string) {
		t.Helper()
		require.NoError(t, chromedp.Do(p.ctx,
			chromedp.SetValue("#password", password), chromedp.SetValue("#again", again), chromedp.Click("#send")))
	}
	told := func(selector, want string) {
		t.Helper()
		require.NoError(t, chromedp.Do(p.ctx, chromedp.Poll[chromedp.Void](
			`[document.querySelector("`+selector+`")].some((e) => e.checkVisibility() && e.textContent.includes("`+want+`"))`)))
	}
	require.NoError(t, chromedp.Do(p.ctx, chromedp.Navigate(s.PublicURL+"/account/set-password#token="+token), chromedp.WaitVisible("#form")))
	at, err := chromedp.Run(p.ctx, chromedp.Location())
	require.NoError(t, err)
	require.NotContains(t, at, token, "the token stays in the address bar")
	p.shoot(t, "set-password")
	fill("nine green kettles", "nine green kettle")
	told("#error", "differ")
	fill("password2024!", "password2024!")
	told("#error", "most common")
	p.shoot(t, "set-password-refused")
	fill("nine green kettles", "nine green kettles")
	told("#done", "is set")
	p.shoot(t, "set-password-done")
	in := stack.Do(t, s, contract.Login, &contract.LoginRequest{Email: email, Password: "nine green kettles"})
	require.NotEmpty(t, in.AccessToken)

	require.NoError(t, chromedp.Do(p.ctx, chromedp.Navigate("about:blank"),
		chromedp.Navigate(s.PublicURL+"/account/set-password#token="+token), chromedp.WaitVisible("#form")))
	fill("eight green kettles", "eight green kettles")
	told("#error", "used already")
	require.NoError(t, chromedp.Do(p.ctx, chromedp.Navigate(s.HTTPURL+"/dev/mail"), chromedp.WaitVisible("article a")))
	p.shoot(t, "outbox")

	p.mu.Lock()
	defer p.mu.Unlock()
	require.Empty(t, p.troubles)
	for _, url := range p.requests {
		require.True(t, strings.HasPrefix(url, s.HTTPURL) || strings.HasPrefix(url, s.PublicURL) || strings.HasPrefix(url, "data:") || url == "about:blank", url)
		require.NotContains(t, strings.SplitN(url, "#", 2)[0], token)
	}
}
