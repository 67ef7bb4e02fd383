// Package coretest is a stand-in for the core, over its public HTTP protocol.
package coretest

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
)

// Key is a well-formed API key of module financial.
const Key = "bfy_dev_financial-00000000_0000000000000000000000000000000000000000000e0507ef1"

// Core knows tokens and permissions and keeps the audit events it was sent.
type Core struct {
	URL string

	mu      sync.Mutex
	users   map[string]user     // by token
	allowed map[string][]string // by user id
	events  []Event
	refuse  int // status with which audit.log answers instead
}

// Event is an audit event as the core received it.
type Event struct {
	UserID       string         `json:"user_id"`
	Action       string         `json:"action"`
	ResourceType string         `json:"resource_type"`
	ResourceID   string         `json:"resource_id"`
	Details      map[string]any `json:"details"`
}

type user struct {
	ID         string `json:"id"`
	Email      string `json:"email"`
	Username   string `json:"username"`
	TenantID   string `json:"tenant_id"`
	TenantCode string `json:"tenant_code"`
}

// Start returns a core that runs until the test ends.
func Start(t *testing.T) *Core {
	c := &Core{users: map[string]user{}, allowed: map[string][]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v1/core/auth/verify", c.verify)
	mux.HandleFunc("POST /api/v1/core/rbac/check", c.check)
	mux.HandleFunc("POST /api/v1/core/audit/log", c.log)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-API-Key") != Key {
			t.Errorf("%s without the API key", r.URL.Path)
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	c.URL = server.URL
	return c
}

// AddUser makes token valid for a user of a tenant who holds the permissions.
// The user's id is "user-" and the token.
func (c *Core) AddUser(token, tenant string, permissions ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	u := user{ID: "user-" + token, Username: token, TenantID: tenant, TenantCode: tenant}
	c.users[token], c.allowed[u.ID] = u, permissions
}

// RefuseEvents makes audit.log answer with an HTTP status; 0 ends it.
func (c *Core) RefuseEvents(status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refuse = status
}

// Events are the audit events so far.
func (c *Core) Events() []Event {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.events)
}

func (c *Core) verify(w http.ResponseWriter, r *http.Request) {
	var in struct{ Token string }
	read(r, &in)
	c.mu.Lock()
	defer c.mu.Unlock()
	u, ok := c.users[in.Token]
	if !ok {
		problem(w, http.StatusUnauthorized, "unauthenticated")
		return
	}
	write(w, map[string]any{"user": u})
}

func (c *Core) check(w http.ResponseWriter, r *http.Request) {
	var in struct {
		UserID     string `json:"user_id"`
		Permission string
	}
	read(r, &in)
	c.mu.Lock()
	defer c.mu.Unlock()
	write(w, map[string]any{"allowed": slices.Contains(c.allowed[in.UserID], in.Permission)})
}

func (c *Core) log(w http.ResponseWriter, r *http.Request) {
	var event Event
	read(r, &event)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refuse != 0 {
		problem(w, c.refuse, map[int]string{503: "unavailable", 404: "not_found", 401: "unauthenticated"}[c.refuse])
		return
	}
	c.events = append(c.events, event)
	write(w, map[string]any{"status": "logged", "id": "e"})
}

func read(r *http.Request, into any) {
	body, _ := io.ReadAll(r.Body)
	_ = json.Unmarshal(body, into)
}

func write(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}

func problem(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"status": status, "code": code, "detail": "test"})
}
