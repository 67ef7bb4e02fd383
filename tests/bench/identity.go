package main

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"
	"golang.org/x/crypto/argon2"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/natsconn"
)

// How much of each is done.
const (
	uncachedTokens = 1500
	burst          = 100
	logouts        = 200
	endedKeys      = 50
)

// Identity is what is measured of logins and revocations, beside the figures
// with ratios.
type Identity struct {
	UncachedPerSecond float64 `json:"verify_uncached_per_s"`
	UncachedRatio     float64 `json:"verify_uncached_ratio_to_jwt_parse"`
	LoginPerSecond    float64 `json:"login_per_s"`
	LoginRatio        float64 `json:"login_ratio_to_argon2id"`
	LoginRefused      int     `json:"login_refused_of_burst"`
	BurstMegabytes    float64 `json:"login_burst_rss_growth_mb"`
	LogoutAuth        Latency `json:"logout_until_refused_by_auth"`
	LogoutOther       Latency `json:"logout_until_refused_by_another_service"`
	KeyBus            Latency `json:"key_revoked_until_bus_connection_closed"`
	KeyHTTP           Latency `json:"key_revoked_until_refused_over_http"`
}

// Latency in milliseconds, from the request that revokes being sent.
type Latency struct {
	P50 float64 `json:"p50_ms"`
	P99 float64 `json:"p99_ms"`
}

func latency(all []time.Duration) Latency {
	slices.Sort(all)
	return Latency{micros(all[len(all)/2]) / 1000, micros(all[len(all)*99/100]) / 1000}
}

func (f *fixture) identity(ctx context.Context) (*Identity, error) {
	i := &Identity{}
	for _, step := range []func(context.Context, *Identity) error{f.uncached, f.loginBurst, f.logouts, f.endedKeys} {
		if err := step(ctx, i); err != nil {
			return nil, err
		}
	}
	return i, nil
}

// uncached verifies tokens that were never seen before, against parsing and
// verifying them by the bare library on all cores.
func (f *fixture) uncached(ctx context.Context, i *Identity) error {
	tokens, err := f.freshTokens(ctx, uncachedTokens)
	if err != nil {
		return err
	}
	set, err := kit.Call(ctx, f.core.Client, contract.JWKS, &contract.JWKSRequest{})
	if err != nil {
		return err
	}
	keys := map[string]ed25519.PublicKey{}
	for _, k := range set.Keys {
		raw, err := base64.RawURLEncoding.DecodeString(k.X)
		if err != nil {
			return err
		}
		keys[k.KeyID] = raw
	}
	raw, err := each(tokens, runtime.GOMAXPROCS(0), func(_ int, token string) error {
		_, err := jwt.Parse(token, func(t *jwt.Token) (any, error) { return keys[fmt.Sprint(t.Header["kid"])], nil })
		return err
	})
	if err != nil {
		return err
	}
	ours, err := each(tokens, 32, func(caller int, token string) error {
		body, err := json.Marshal(contract.VerifyRequest{Token: token})
		if err != nil {
			return err
		}
		out, err := request(ctx, f.module[caller], contract.VerifyToken.ModuleSubject(f.keyID), body)
		return errors.Join(err, f.checkUser(out))
	})
	i.UncachedPerSecond = ours
	i.UncachedRatio = ours / raw
	return err
}

// each gives every item to one of n workers and returns the items a second.
func each[T any](items []T, n int, work func(worker int, item T) error) (float64, error) {
	var mu sync.Mutex
	var failed error
	var wg sync.WaitGroup
	begin := time.Now()
	for worker := range n {
		wg.Go(func() {
			for at := worker; at < len(items); at += n {
				if err := work(worker, items[at]); err != nil {
					mu.Lock()
					failed = errors.Join(failed, err)
					mu.Unlock()
					return
				}
			}
		})
	}
	wg.Wait()
	return float64(len(items)) / time.Since(begin).Seconds(), failed
}

// freshTokens refreshes a session again and again.
func (f *fixture) freshTokens(ctx context.Context, n int) ([]string, error) {
	in, err := f.login(ctx, f.email)
	if err != nil {
		return nil, err
	}
	refresh := in.RefreshToken
	var tokens []string
	for range n {
		next, err := kit.Call(ctx, f.core.Client, contract.Refresh, &contract.RefreshRequest{RefreshToken: refresh})
		if err != nil {
			return nil, fmt.Errorf("refresh: %w", err)
		}
		tokens, refresh = append(tokens, next.AccessToken), next.RefreshToken
	}
	return tokens, nil
}

func (f *fixture) login(ctx context.Context, email string) (*contract.LoginResponse, error) {
	in, err := kit.Call(ctx, f.core.Client, contract.Login, &contract.LoginRequest{Email: email, Password: passwordOfTheAdmin})
	if err != nil {
		return nil, fmt.Errorf("login: %w", err)
	}
	return in, nil
}

// loginBurst has a hundred people log in at once, against hashing as many
// passwords on all cores.
func (f *fixture) loginBurst(ctx context.Context, i *Identity) error {
	people, err := f.peopleWithPasswords(ctx)
	if err != nil {
		return err
	}
	raw, _ := each(people, runtime.GOMAXPROCS(0), func(int, string) error {
		argon2.IDKey([]byte(passwordOfTheAdmin), make([]byte, 16), 2, 19*1024, 1, 32)
		return nil
	})
	runtime.GC()
	before, peak := resident(), make(chan float64)
	done := make(chan struct{})
	go func() {
		highest := before
		for {
			select {
			case <-done:
				peak <- highest
				return
			case <-time.After(5 * time.Millisecond):
				highest = max(highest, resident())
			}
		}
	}()
	var mu sync.Mutex
	ours, err := each(people, len(people), func(_ int, email string) error {
		_, err := f.login(ctx, email)
		if errors.Is(err, &contract.Error{Code: contract.RateLimited}) || errors.Is(err, &contract.Error{Code: contract.Unavailable}) {
			mu.Lock()
			defer mu.Unlock()
			i.LoginRefused++
			return nil
		}
		return err
	})
	close(done)
	i.BurstMegabytes = <-peak - before
	i.LoginPerSecond = ours * float64(len(people)-i.LoginRefused) / float64(len(people))
	i.LoginRatio = i.LoginPerSecond / raw
	return err
}

// peopleWithPasswords gives the first users of the fixture the administrator's
// password.
func (f *fixture) peopleWithPasswords(ctx context.Context) ([]string, error) {
	conn, err := pgx.Connect(ctx, f.database)
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	var people []string
	for n := range burst {
		people = append(people, fmt.Sprintf("user%d@bench.example", n))
	}
	_, err = conn.Exec(ctx, `UPDATE auth.users SET password_hash = (SELECT password_hash FROM auth.users WHERE email = $1)
		WHERE email = ANY($2)`, f.email, people)
	return people, err
}

// resident is the process's resident memory in megabytes, PostgreSQL apart.
func resident() float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0 // not Linux: then there is no figure
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	var kb float64
	_, _ = fmt.Sscan(rest, &kb)
	return kb / 1024
}

// logouts measures from a logout being sent until auth, and another service,
// refuse the token.
func (f *fixture) logouts(ctx context.Context, i *Identity) error {
	var byAuth, byOther []time.Duration
	for range logouts {
		in, err := f.login(ctx, f.email)
		if err != nil {
			return err
		}
		verify, err := json.Marshal(contract.VerifyRequest{Token: in.AccessToken})
		if err != nil {
			return err
		}
		atAuth := func(caller int) error {
			_, err := request(ctx, f.module[caller], contract.VerifyToken.ModuleSubject(f.keyID), verify)
			return err
		}
		person := kit.Outgoing{Principal: kit.Principal{Kind: kit.KindAnonymous}, Authorization: "Bearer " + in.AccessToken}
		atAudit := func(int) error {
			_, err := f.core.Client.Do(ctx, contract.ListAudit.Spec, person)
			if errors.Is(err, &contract.Error{Code: contract.PermissionDenied}) {
				return nil // the token was accepted: the person has no role
			}
			return err
		}
		if err := errors.Join(atAuth(0), atAudit(0)); err != nil {
			return err
		}
		begin := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() { byAuth = append(byAuth, untilRefused(begin, 1, atAuth)) })
		wg.Go(func() { byOther = append(byOther, untilRefused(begin, 2, atAudit)) })
		_, err = f.core.Client.Do(ctx, contract.Logout.Spec, person)
		wg.Wait()
		if err != nil {
			return fmt.Errorf("logout: %w", err)
		}
	}
	i.LogoutAuth, i.LogoutOther = latency(byAuth), latency(byOther)
	return nil
}

func untilRefused(begin time.Time, caller int, call func(int) error) time.Duration {
	for time.Since(begin) < 10*time.Second && call(caller) == nil {
		time.Sleep(200 * time.Microsecond) // leave the cores to what is measured
	}
	return time.Since(begin)
}

// endedKeys measures from a revocation being sent until the key's connection
// to the bus is closed, and until the bridge refuses the key.
func (f *fixture) endedKeys(ctx context.Context, i *Identity) error {
	var bus, http []time.Duration
	for range endedKeys {
		key, err := kit.Call(ctx, f.core.Client, contract.CreateKey, &contract.CreateKeyRequest{Module: module, Environment: "dev", RateClass: "bulk"})
		if err != nil {
			return err
		}
		closed := make(chan time.Time, 1)
		nc, err := nats.Connect(f.core.NATSURL, nats.Token(key.APIKey), nats.NoReconnect(),
			nats.CustomInboxPrefix(natsconn.InboxPrefix(key.ID)), nats.ClosedHandler(func(*nats.Conn) { closed <- time.Now() }))
		if err != nil {
			return err
		}
		ask := func(int) error {
			return f.http.ask(ctx, f.core.HTTPURL+contract.CheckPermission.Path, key.APIKey, f.questions[0])
		}
		if err := ask(0); err != nil {
			return err
		}
		begin := time.Now()
		var refused time.Duration
		var wg sync.WaitGroup
		wg.Go(func() { refused = untilRefused(begin, 0, ask) })
		_, err = kit.Call(ctx, f.core.Client, contract.RevokeKey, &contract.KeyRequest{ID: key.ID})
		wg.Wait()
		if err != nil {
			return err
		}
		select {
		case at := <-closed:
			bus, http = append(bus, at.Sub(begin)), append(http, refused)
		case <-time.After(10 * time.Second):
			nc.Close()
			return errors.New("the connection of a revoked key stays open")
		}
	}
	i.KeyBus, i.KeyHTTP = latency(bus), latency(http)
	return nil
}

func (i *Identity) print() {
	fmt.Printf(`
| identity | figure |
|---|---|
| auth.verify of tokens not seen before, 32 callers | %.0f/s, %.2f of jwt.Parse on all cores |
| logins, %d people at once | %.0f/s, %.2f of argon2id on all cores; %d refused; resident memory grows by %.0f MB |
| logout sent until auth refuses the token | p50 %.1f ms, p99 %.1f ms |
| logout sent until another service refuses it | p50 %.1f ms, p99 %.1f ms |
| key revocation sent until its bus connection is closed | p50 %.1f ms, p99 %.1f ms |
| key revocation sent until the bridge refuses it | p50 %.1f ms, p99 %.1f ms |
`, i.UncachedPerSecond, i.UncachedRatio, burst, i.LoginPerSecond, i.LoginRatio, i.LoginRefused, i.BurstMegabytes,
		i.LogoutAuth.P50, i.LogoutAuth.P99, i.LogoutOther.P50, i.LogoutOther.P99,
		i.KeyBus.P50, i.KeyBus.P99, i.KeyHTTP.P50, i.KeyHTTP.P99)
}
