package web

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/buildify/core/modules/financial/internal/ledger"
	"github.com/buildify/core/pkg/sdk"
)

const maxLines = 200

// invoice is how an invoice is told: with its double entry.
type invoice struct {
	ledger.Invoice
	Postings []ledger.Posting `json:"postings"`
}

func (h *handlers) listInvoices(_ http.ResponseWriter, r *http.Request, user sdk.User) (int, any, error) {
	return list(r, user.TenantID, func(tenant, cursor string, limit int) ([]invoice, string, error) {
		found, next, err := h.books.Invoices(tenant, cursor, limit)
		told := make([]invoice, len(found))
		for n, i := range found {
			told[n] = invoice{i, i.Postings()}
		}
		return told, next, err
	})
}

func (h *handlers) getInvoice(_ http.ResponseWriter, r *http.Request, user sdk.User) (int, any, error) {
	found, err := h.books.Invoice(user.TenantID, r.PathValue("id"))
	if errors.Is(err, ledger.ErrNotFound) {
		return 0, nil, sdk.Errorf(sdk.ErrNotFound, "no such invoice")
	}
	return http.StatusOK, invoice{found, found.Postings()}, err
}

type newInvoice struct {
	Number              string        `json:"number"`
	Customer            string        `json:"customer"`
	Currency            string        `json:"currency"`
	ReceivableAccountID string        `json:"receivable_account_id"`
	Lines               []ledger.Line `json:"lines"`
}

func (i newInvoice) check() error {
	err := first(
		match("number", i.Number, code, "2026-0001"),
		text("customer", i.Customer, 200),
		match("currency", i.Currency, currency, "EUR"),
		text("receivable_account_id", i.ReceivableAccountID, 100),
	)
	if err == nil && (len(i.Lines) == 0 || len(i.Lines) > maxLines) {
		err = sdk.Invalid("lines", "must be 1 to %d", maxLines)
	}
	for n, line := range i.Lines {
		field := fmt.Sprintf("lines[%d].", n)
		if line.Amount <= 0 && err == nil {
			err = sdk.Invalid(field+"amount", "must be a positive whole number of minor units")
		}
		err = first(err,
			text(field+"account_id", line.AccountID, 100),
			text(field+"description", line.Description, 500),
		)
	}
	return err
}

func (h *handlers) createInvoice(w http.ResponseWriter, r *http.Request, user sdk.User) (int, any, error) {
	var in newInvoice
	if err := decode(w, r, &in); err != nil {
		return 0, nil, err
	}
	if err := in.check(); err != nil {
		return 0, nil, err
	}
	created := &ledger.Invoice{
		TenantID: user.TenantID, Number: in.Number, Customer: in.Customer, Currency: in.Currency,
		ReceivableAccountID: in.ReceivableAccountID, Lines: in.Lines, CreatedBy: user.ID,
	}
	pending, err := h.books.AddInvoice(created)
	if errors.Is(err, ledger.ErrTaken) {
		return 0, nil, &sdk.Error{Code: sdk.ErrAlreadyExists.Code, Field: "number", Message: "is another invoice's"}
	}
	if err != nil {
		return 0, nil, err
	}
	err = h.commit(r.Context(), pending, sdk.AuditEvent{
		UserID: user.ID, TenantID: user.TenantID, ResourceType: "invoice", ResourceID: created.ID,
		Details: map[string]any{
			"number": created.Number, "currency": created.Currency, "total": created.Total, "lines": len(created.Lines),
		},
	})
	return http.StatusCreated, invoice{*created, created.Postings()}, err
}
