package callout

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/buildify/core/pkg/contract"
)

const (
	xkeyHeader = "Nats-Server-Xkey"
	audience   = "nats-authorization-request"
	// refusal is all that the server's log learns; the client is told
	// "Authorization Violation" by the server itself.
	refusal = "refused"
)

// Reasons of refusals that are decided here.
const (
	noKey       = "no well-formed API key"
	notAccepted = "key not accepted"
	notChecked  = "key could not be checked"
	noConnect   = "not the protocol of the bus"
)

// request is a decoded question of a server.
type request struct {
	*jwt.AuthorizationRequestClaims
	serverXKey string // empty when it came in the clear
}

func (r *Responder) answer(ctx context.Context, msg *nats.Msg) {
	req, err := r.decode(msg)
	if err != nil {
		r.faulty.Add(1)
		r.cfg.Log.Error("auth callout: request not understood", "error", err)
		return
	}
	userJWT, err := r.decide(ctx, req)
	verdict, encodeErr := r.verdict(req, userJWT, err)
	if encodeErr == nil {
		encodeErr = msg.Respond(verdict)
	}
	switch {
	case encodeErr != nil:
		r.faulty.Add(1)
		r.cfg.Log.Error("auth callout: not answered", "error", encodeErr)
	case err == nil:
		r.accepted.Add(1)
	case errors.Is(err, ErrRefused):
		r.refused.Add(1)
	default:
		r.faulty.Add(1)
	}
}

func (r *Responder) decode(msg *nats.Msg) (request, error) {
	data, serverXKey := msg.Data, ""
	if r.cfg.XKey != nil {
		serverXKey = msg.Header.Get(xkeyHeader)
		var err error
		if data, err = r.cfg.XKey.Open(data, serverXKey); err != nil {
			return request{}, fmt.Errorf("decrypt: %w", err)
		}
	}
	claims, err := jwt.DecodeAuthorizationRequestClaims(string(data)) // verifies the server's signature
	if err != nil {
		return request{}, err
	}
	if claims.Subject != r.issuer || claims.Audience != audience || claims.Issuer != claims.Server.ID ||
		claims.Server.XKey != serverXKey || !nkeys.IsValidPublicUserKey(claims.UserNkey) {
		return request{}, errors.New("request is not for this callout")
	}
	return request{claims, serverXKey}, nil
}

// decide returns the user JWT, or why there is none. It logs the decision.
func (r *Responder) decide(ctx context.Context, req request) (string, error) {
	remote := address(req.ClientInformation.Host)
	secret := req.ConnectOptions.Token
	if secret == "" {
		secret = req.ConnectOptions.Password
	}
	key, err := contract.ParseAPIKey(secret)
	if err != nil {
		r.cfg.Log.Info("bus connection refused", "reason", noKey, "remote", remote)
		r.cfg.Refused(Refusal{Address: remote, Reason: noKey})
		return "", ErrRefused
	}
	log := r.cfg.Log.With("key_id", key.ID, "remote", remote)
	grant, err := r.authenticator.AuthenticateKey(ctx, secret, remote)
	if err == nil {
		err = ctx.Err() // a verdict after the server's patience ended is none
	}
	if errors.Is(err, ErrRefused) {
		log.Info("bus connection refused", "reason", notAccepted)
		r.cfg.Refused(Refusal{Address: remote, KeyID: key.ID, Reason: notAccepted})
		return "", ErrRefused
	}
	if err != nil {
		log.Error("bus connection refused", "reason", notChecked, "error", err)
		r.cfg.Refused(Refusal{Address: remote, KeyID: key.ID, Reason: notChecked})
		return "", err
	}
	user, err := r.user(req.UserNkey, key, grant, time.Now())
	if errors.Is(err, ErrRefused) {
		log.Info("bus connection refused", "reason", "key expired")
		r.cfg.Refused(Refusal{Address: remote, KeyID: key.ID, Reason: notAccepted})
		return "", err
	}
	if err != nil {
		log.Error("bus connection refused", "reason", "unusable grant", "error", err)
		r.cfg.Refused(Refusal{Address: remote, KeyID: key.ID, Reason: notChecked})
		return "", err
	}
	log.Debug("bus connection accepted", "module", grant.Module)
	return user.Encode(r.cfg.Issuer)
}

func (r *Responder) verdict(req request, userJWT string, refused error) ([]byte, error) {
	response := jwt.NewAuthorizationResponseClaims(req.UserNkey)
	response.Audience = req.Server.ID
	if refused == nil {
		response.Jwt = userJWT
	} else {
		response.Error = refusal
	}
	token, err := response.Encode(r.cfg.Issuer)
	if err != nil || req.serverXKey == "" {
		return []byte(token), err
	}
	return r.cfg.XKey.Seal([]byte(token), req.serverXKey)
}

// address is the client's; invalid for one inside the server's process.
func address(host string) netip.Addr {
	parsed, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	return parsed.Unmap().WithZone("")
}
