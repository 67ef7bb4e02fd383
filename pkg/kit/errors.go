package kit

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/nats-io/nats.go"

	"github.com/buildify/core/pkg/contract"
)

// wireError is the one place where an error becomes what a caller is told.
// What is not meant for callers is logged under the request id.
func (s *Server) wireError(e *endpoint, r *request, err error) *contract.Error {
	wire := toWire(err)
	if wire.Code == contract.InternalError || wire.Code == contract.Unavailable {
		s.cfg.Telemetry.Log.Error("request failed", "operation", e.spec.Name, "code", wire.Code,
			"request_id", r.call.requestID(), "error", err)
	}
	wire.RequestID = r.call.requestID()
	return &wire
}

func toWire(err error) contract.Error {
	var known *contract.Error
	switch {
	case errors.As(err, &known):
		return *known
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout):
		return *contract.Errorf(contract.DeadlineExceeded, "the operation took too long")
	case unavailable(err):
		return *contract.Errorf(contract.Unavailable, "a part of the platform is out of reach; try again")
	}
	return *contract.Errorf(contract.InternalError, "internal error; quote the request id")
}

// unavailable tells a dependency that is down from a mistake of ours.
func unavailable(err error) bool {
	var connect *pgconn.ConnectError
	var pg *pgconn.PgError
	var network net.Error
	switch {
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, nats.ErrConnectionClosed),
		errors.Is(err, nats.ErrDisconnected), errors.Is(err, nats.ErrReconnectBufExceeded):
		return true
	case errors.As(err, &connect), errors.As(err, &network), pgconn.SafeToRetry(err):
		return true
	case errors.As(err, &pg):
		// 08 connection, 53 insufficient resources (disk full, too many
		// connections), 57P operator intervention (shutdown, starting up).
		return strings.HasPrefix(pg.Code, "08") || strings.HasPrefix(pg.Code, "53") || strings.HasPrefix(pg.Code, "57P")
	}
	return strings.Contains(err.Error(), "unexpected EOF") // the server went away mid-answer
}

func errorReply(subject string, e *contract.Error) *nats.Msg {
	body, _ := json.Marshal(e) // strings only: cannot fail
	return &nats.Msg{Subject: subject, Data: body, Header: nats.Header{
		contract.HeaderErrorCode: {string(e.Code)},
		contract.HeaderError:     {headerSafe(e.Message)},
	}}
}

// headerSafe keeps a message from ending its header line.
func headerSafe(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}
