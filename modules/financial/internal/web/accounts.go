package web

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/buildify/core/modules/financial/internal/ledger"
	"github.com/buildify/core/pkg/sdk"
)

func (h *handlers) listAccounts(_ http.ResponseWriter, r *http.Request, user sdk.User) (int, any, error) {
	return list(r, user.TenantID, h.books.Accounts)
}

type newAccount struct {
	Code     string `json:"code"`
	Name     string `json:"name"`
	Type     string `json:"type"`
	Currency string `json:"currency"`
}

func (a newAccount) check() error {
	var kind error
	if !slices.Contains(ledger.AccountTypes, a.Type) {
		kind = sdk.Invalid("type", "must be one of %s", strings.Join(ledger.AccountTypes, ", "))
	}
	return first(
		match("code", a.Code, code, "1200"),
		text("name", a.Name, 200),
		kind,
		match("currency", a.Currency, currency, "EUR"),
	)
}

func (h *handlers) createAccount(w http.ResponseWriter, r *http.Request, user sdk.User) (int, any, error) {
	var in newAccount
	if err := decode(w, r, &in); err != nil {
		return 0, nil, err
	}
	if err := in.check(); err != nil {
		return 0, nil, err
	}
	account := &ledger.Account{TenantID: user.TenantID, Code: in.Code, Name: in.Name, Type: in.Type, Currency: in.Currency}
	pending, err := h.books.AddAccount(account)
	if errors.Is(err, ledger.ErrTaken) {
		return 0, nil, &sdk.Error{Code: sdk.ErrAlreadyExists.Code, Field: "code", Message: "is another account's"}
	}
	if err != nil {
		return 0, nil, err
	}
	err = h.commit(r.Context(), pending, sdk.AuditEvent{
		UserID: user.ID, TenantID: user.TenantID, ResourceType: "account", ResourceID: account.ID, Details: in,
	})
	return http.StatusCreated, account, err
}
