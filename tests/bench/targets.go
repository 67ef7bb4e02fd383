package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/buildify/core/pkg/contract"
)

// Names of the limits.
const (
	natsEcho         = "nats echo"
	natsTokenEcho    = "nats echo, token"
	natsBatchEcho    = "nats echo, batch"
	busCheck         = "bus rbac.check"
	busModule        = "bus tenant.module"
	checkBatch       = "bus rbac.check_batch of 100"
	checkBatchOne    = "bus rbac.check_batch of 100, one user"
	httpEcho         = "net/http echo"
	httpRequest      = "net/http + one nats request"
	httpTokenRequest = "net/http + one nats request, token"
)

// targets in the order in which they take turns.
func (f *fixture) targets() []target {
	verify, err := json.Marshal(contract.VerifyRequest{Token: f.token})
	if err != nil {
		panic(err) // a string always marshals
	}
	enabled, err := json.Marshal(contract.TenantModuleRequest{TenantID: contract.ID(f.tenant), ModuleName: module})
	if err != nil {
		panic(err) // nor do these
	}
	check := func(n int) question { return f.questions[n%len(f.questions)] }
	return append([]target{
		{natsEcho, "", func(ctx context.Context, caller, n int) error {
			return ask(ctx, f.echo[caller], "echo", check(n))
		}},
		{natsTokenEcho, "", func(ctx context.Context, caller, _ int) error {
			out, err := request(ctx, f.echo[caller], "echo.token", verify)
			return errors.Join(err, f.checkUser(out))
		}},
		{"bus auth.verify", natsTokenEcho, func(ctx context.Context, caller, _ int) error {
			out, err := request(ctx, f.module[caller], contract.VerifyToken.ModuleSubject(f.keyID), verify)
			return errors.Join(err, f.checkUser(out))
		}},
		{busCheck, natsEcho, func(ctx context.Context, caller, n int) error {
			return ask(ctx, f.module[caller], contract.CheckPermission.ModuleSubject(f.keyID), check(n))
		}},
		{busModule, natsEcho, func(ctx context.Context, caller, _ int) error {
			out, err := request(ctx, f.module[caller], contract.GetTenantModule.ModuleSubject(f.keyID), enabled)
			return errors.Join(err, checkEnabled(out))
		}},
		{httpEcho, "", func(ctx context.Context, _, n int) error {
			return f.http.ask(ctx, f.http.bare+"/echo", "", check(n))
		}},
		{httpRequest, httpEcho, func(ctx context.Context, _, n int) error {
			return f.http.ask(ctx, f.http.bare+"/request", "", check(n))
		}},
		{httpTokenRequest, httpEcho, func(ctx context.Context, _, _ int) error {
			out, err := f.http.post(ctx, f.http.bare+"/request.token", "", verify)
			return errors.Join(err, f.checkUser(out))
		}},
		{"http auth.verify", httpTokenRequest, func(ctx context.Context, _, _ int) error {
			out, err := f.http.post(ctx, f.core.HTTPURL+contract.VerifyToken.Path, f.key, verify)
			return errors.Join(err, f.checkUser(out))
		}},
		{"http rbac.check", httpRequest, func(ctx context.Context, _, n int) error {
			return f.http.ask(ctx, f.core.HTTPURL+contract.CheckPermission.Path, f.key, check(n))
		}},
	}, f.batchTargets()...)
}

// echo reads a check and allows it: the work of JSON and nothing else.
func echo(data []byte) []byte {
	var in contract.CheckRequest
	if err := json.Unmarshal(data, &in); err != nil {
		return nil
	}
	out, _ := json.Marshal(contract.CheckResponse{Allowed: in.UserID != "", Revision: 1}) // plain fields
	return out
}

// echoToken is echo for a token: a request and an answer of the same size as
// those of auth.verify.
func (f *fixture) echoToken(data []byte) []byte {
	var in contract.VerifyRequest
	if err := json.Unmarshal(data, &in); err != nil {
		return nil
	}
	out, _ := json.Marshal(contract.VerifyResponse{User: contract.UserInfo{ // plain fields
		ID: f.tenant, Email: f.email, Username: "admin", TenantID: f.tenant, TenantCode: "BENCH",
	}})
	return out
}

func ask(ctx context.Context, nc *nats.Conn, subject string, q question) error {
	out, err := request(ctx, nc, subject, q.body)
	if err != nil {
		return err
	}
	return q.checkAnswer(out, subject == "echo")
}

func (q question) checkAnswer(out []byte, echoed bool) error {
	var answer contract.CheckResponse
	if err := json.Unmarshal(out, &answer); err != nil {
		return err
	}
	if want := q.allowed || echoed; answer.Allowed != want {
		return fmt.Errorf("wrong answer to %s: %s", q.body, out)
	}
	return nil
}

func checkEnabled(out []byte) error {
	var answer contract.TenantModuleResponse
	if err := json.Unmarshal(out, &answer); err != nil {
		return err
	}
	if !answer.Enabled {
		return fmt.Errorf("wrong answer: %s", out)
	}
	return nil
}

func (f *fixture) checkUser(out []byte) error {
	var answer contract.VerifyResponse
	if err := json.Unmarshal(out, &answer); err != nil {
		return err
	}
	if answer.User.Email != f.email {
		return fmt.Errorf("wrong user: %s", out)
	}
	return nil
}

func request(ctx context.Context, nc *nats.Conn, subject string, body []byte) ([]byte, error) {
	reply, err := nc.RequestWithContext(ctx, subject, body)
	if err != nil {
		return nil, err
	}
	if code := reply.Header.Get(contract.HeaderErrorCode); code != "" {
		return nil, fmt.Errorf("%s: %s", code, reply.Data)
	}
	return reply.Data, nil
}

// httpTargets are bare handlers and the client that calls all handlers.
type httpTargets struct {
	bare   string
	client *http.Client
}

func (f *fixture) startHTTP(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /echo", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the client sees an empty answer and fails
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(echo(body))
	})
	mux.HandleFunc("POST /request", f.passOn("echo"))
	mux.HandleFunc("POST /request.token", f.passOn("echo.token"))
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	bare := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = bare.Serve(listener) }() // ends with Close
	f.stack.Push("bare http", func(context.Context) error { return bare.Close() })
	f.http = httpTargets{
		bare: "http://" + listener.Addr().String(),
		client: &http.Client{Transport: &http.Transport{
			MaxIdleConns: 256, MaxIdleConnsPerHost: 256, DisableCompression: true,
		}},
	}
	return nil
}

// passOn is the least a bridge does.
func (f *fixture) passOn(subject string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the client sees an empty answer and fails
		}
		out, err := request(r.Context(), f.echo[0], subject, body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(out)
	}
}

func (h httpTargets) post(ctx context.Context, url, key string, body []byte) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	if key != "" {
		r.Header.Set(contract.HeaderAPIKey, key)
	}
	response, err := h.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	out, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, out)
	}
	return out, err
}

func (h httpTargets) ask(ctx context.Context, url, key string, q question) error {
	out, err := h.post(ctx, url, key, q.body)
	if err != nil {
		return err
	}
	return q.checkAnswer(out, key == "")
}
