// Package demo loads a small company into a core: a tenant with its org tree,
// people with different roles, a module with its permissions and its key.
package demo

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/process"
)

// State is what a demo made. Its secrets are random for each state file.
type State struct {
	Admin Login `json:"admin"`
	// Platform is a platform administrator, who is in no tenant.
	Platform Login    `json:"platform"`
	Tenant   Tenant   `json:"tenant"`
	Units    []Unit   `json:"units,omitempty"`
	Users    []User   `json:"users"`
	Modules  []Module `json:"modules"`
}

// Login is a person's e-mail address and password.
type Login struct {
	Email    string `json:"email"`
	Password string `json:"password"`
}

// Tenant is the demo's tenant.
type Tenant struct {
	ID   string `json:"id"`
	Code string `json:"code"`
}

// User is a person of the demo, the administrator included.
type User struct {
	ID       string   `json:"id"`
	Email    string   `json:"email"`
	Password string   `json:"password"`
	Roles    []string `json:"roles"`
	// Group has the roles, if it is named, and the person is a member.
	Group string `json:"group,omitempty"`
	// Unit, by name, is the only one that the roles hold for, if it is named.
	Unit string `json:"unit,omitempty"`
}

// Module is a module that the tenant has enabled.
type Module struct {
	Name   string `json:"name"`
	APIKey string `json:"api_key"`
}

// plan is what is to be made; passwords are filled in at once, ids as they
// become known.
func plan() *State {
	s := &State{Tenant: Tenant{Code: "ACME001"}, Modules: []Module{{Name: module}}, Units: units()}
	for _, u := range []User{
		{Email: "admin", Roles: []string{"tenant-administrator"}},
		{Email: "anna", Roles: []string{"accountant"}, Group: "accounting"},
		{Email: "victor", Roles: []string{"viewer"}},
		{Email: "nora", Roles: []string{}},
		{Email: "bruno", Roles: []string{"viewer"}, Unit: "Izmir"},
	} {
		u.Email, u.Password = u.Email+"@acme001.example", rand.Text()
		s.Users = append(s.Users, u)
	}
	s.Admin = Login{s.Users[0].Email, s.Users[0].Password}
	return s
}

// Load makes the demo, or finishes it: the file keeps its secrets, is written
// before the core is touched, and makes a load that was cut off resumable.
// Loading a finished demo again changes nothing.
func Load(ctx context.Context, client *kit.Client, file string) (*State, error) {
	s, err := read(file)
	if errors.Is(err, fs.ErrNotExist) {
		s, err = plan(), nil
	}
	if err == nil {
		if s.Platform.Email == "" { // also in the file of an earlier version
			s.Platform = Login{"platform@buildify.example", rand.Text()}
		}
		err = s.write(file)
	}
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	for _, step := range []func(context.Context, *kit.Client) error{
		s.makeTenant, s.makePlatformAdmin, s.makeUsers, s.makePolicy, s.makeKeys,
	} {
		if err := step(ctx, client); err != nil {
			return nil, fmt.Errorf("demo: %w", err)
		}
	}
	if err := s.write(file); err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	return s, nil
}

func read(file string) (*State, error) {
	body, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	s := &State{}
	return s, json.Unmarshal(body, s)
}

func (s *State) write(file string) error {
	body, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return process.WriteFile(file, body)
}

var errExists = &contract.Error{Code: contract.AlreadyExists}

func (s *State) makeTenant(ctx context.Context, client *kit.Client) error {
	tenant, err := kit.Call(ctx, client, contract.CreateTenant,
		&contract.CreateTenantRequest{Code: s.Tenant.Code, Name: "ACME Corporation"})
	if err == nil {
		s.Tenant.ID = tenant.ID
	}
	if !errors.Is(err, errExists) {
		return err
	}
	request := &contract.SnapshotRequest{}
	for s.Tenant.ID == "" {
		page, err := kit.Call(ctx, client, contract.ListTenants, request)
		if err != nil {
			return err
		}
		for _, item := range page.Items {
			if item.Tenant.Code == s.Tenant.Code {
				s.Tenant.ID = item.Tenant.ID
			}
		}
		if request.Cursor = page.NextCursor; request.Cursor == "" {
			break
		}
	}
	return nil
}

func (s *State) makePlatformAdmin(ctx context.Context, client *kit.Client) error {
	_, err := kit.Call(ctx, client, contract.CreateUser, &contract.CreateUserRequest{
		Platform: true, Email: s.Platform.Email, Password: s.Platform.Password,
	})
	if errors.Is(err, errExists) {
		return nil
	}
	return err
}

func (s *State) makeUsers(ctx context.Context, client *kit.Client) error {
	for i := range s.Users {
		u := &s.Users[i]
		made, err := kit.Call(ctx, client, contract.CreateUser, &contract.CreateUserRequest{
			TenantID: contract.ID(s.Tenant.ID), Email: u.Email, Password: u.Password,
		})
		switch {
		case err == nil:
			u.ID = made.ID
		case errors.Is(err, errExists) && u.ID == "":
			in, err := kit.Call(ctx, client, contract.Login, &contract.LoginRequest{Email: u.Email, Password: u.Password})
			if err != nil {
				return fmt.Errorf("%s exists with a password that is not in the demo's file: load the demo from the data directory that made it (%w)", u.Email, err)
			}
			u.ID = in.User.ID
		case !errors.Is(err, errExists):
			return err
		}
	}
	return nil
}

// makeKeys is the last step: the keys tell that all is made.
func (s *State) makeKeys(ctx context.Context, client *kit.Client) error {
	for i := range s.Modules {
		m := &s.Modules[i]
		if m.APIKey != "" {
			continue
		}
		key, err := kit.Call(ctx, client, contract.CreateKey, &contract.CreateKeyRequest{Module: m.Name, Environment: "dev"})
		if err != nil {
			return err
		}
		m.APIKey = key.APIKey
	}
	return nil
}

// finished reports whether the last step was done.
func (s *State) finished() bool { return s.Modules[len(s.Modules)-1].APIKey != "" }
