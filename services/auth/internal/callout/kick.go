package callout

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"
)

const (
	statszSubject = "$SYS.REQ.SERVER.PING.STATSZ"
	connzSubject  = "$SYS.REQ.SERVER.PING.CONNZ"
	kickSubject   = "$SYS.REQ.SERVER.%s.KICK"
	kickTimeout   = 2 * time.Second
	connzLimit    = 1024
)

var keyID = regexp.MustCompile(`^[a-z0-9-]{1,128}$`)

// Kick closes the open connections of an API key on every server of the
// cluster, whichever replica let them in, and returns how many there were. The
// Authenticator must refuse the key already: then they cannot come back. A
// connection whose request was decided just before that and that is still
// being made is closed by a second sweep, once no such request can be open.
//
// An error means that some connections may still be there; calling again is
// safe.
func (r *Responder) Kick(ctx context.Context, key string) (int, error) {
	if !keyID.MatchString(key) { // an empty filter would find everybody
		return 0, fmt.Errorf("kick: %q is no key id", key)
	}
	r.sweepLater(key)
	return r.sweep(ctx, key)
}

func (r *Responder) sweepLater(key string) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.stopped {
		return
	}
	r.sweeps.Go(func() {
		select {
		case <-time.After(r.cfg.Timeout + 500*time.Millisecond):
		case <-r.ctx.Done():
			return
		}
		if _, err := r.sweep(r.ctx, key); err != nil && r.ctx.Err() == nil {
			r.cfg.Log.Error("connections of a revoked key may be open until they expire", "key_id", key, "error", err)
		}
	})
}

func (r *Responder) sweep(ctx context.Context, key string) (kicked int, err error) {
	ctx, cancel := context.WithTimeout(ctx, kickTimeout)
	defer cancel()
	for more := true; more; {
		var found []connection
		if found, more, err = r.connections(ctx, key); err != nil {
			err = fmt.Errorf("kick %s: %w", key, err)
		}
		for _, c := range found {
			if closeErr := r.close(ctx, c); closeErr != nil {
				return kicked, errors.Join(err, fmt.Errorf("kick %s: %w", key, closeErr))
			}
			kicked++
			r.kicked.Add(1)
		}
		if err != nil {
			break
		}
	}
	if kicked > 0 {
		r.cfg.Log.Info("bus connections of a revoked key closed", "key_id", key, "count", kicked)
	}
	return kicked, err
}

type connection struct {
	server string
	id     uint64
}

// connections asks every server for the key's connections. more says that a
// server has yet others. With an error, those found are returned all the same.
func (r *Responder) connections(ctx context.Context, key string) (found []connection, more bool, err error) {
	servers, err := r.countServers(ctx)
	if err != nil {
		return nil, false, err
	}
	question, err := json.Marshal(map[string]any{"auth": true, "user": key, "limit": connzLimit})
	if err != nil {
		return nil, false, err
	}
	inbox := r.sys.NewRespInbox()
	sub, err := r.sys.SubscribeSync(inbox)
	if err != nil {
		return nil, false, err
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := r.sys.PublishRequest(connzSubject, inbox, question); err != nil {
		return nil, false, err
	}
	for answered := range servers {
		msg, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return found, false, fmt.Errorf("%d of %d servers answered: %w", answered, servers, err)
		}
		var answer struct {
			Server struct{ ID string }
			Data   struct {
				Connections []struct {
					CID  uint64
					User string `json:"authorized_user"`
				}
			}
			Error *struct{ Description string }
		}
		if err := json.Unmarshal(msg.Data, &answer); err != nil {
			return found, false, fmt.Errorf("connections: %w", err)
		}
		if answer.Error != nil {
			return found, false, fmt.Errorf("server %s: %s", answer.Server.ID, answer.Error.Description)
		}
		for _, c := range answer.Data.Connections {
			if c.User == key {
				found = append(found, connection{answer.Server.ID, c.CID})
			}
		}
		more = more || len(answer.Data.Connections) == connzLimit
	}
	return found, more, nil
}

func (r *Responder) countServers(ctx context.Context) (int, error) {
	msg, err := r.sys.RequestWithContext(ctx, statszSubject, nil)
	if err != nil {
		return 0, fmt.Errorf("count servers: %w", err)
	}
	var answer struct {
		Statsz struct {
			Servers int `json:"active_servers"`
		}
	}
	if err := json.Unmarshal(msg.Data, &answer); err != nil {
		return 0, fmt.Errorf("count servers: %w", err)
	}
	return max(answer.Statsz.Servers, 1), nil
}

// close returns when the connection is closed or was gone before.
func (r *Responder) close(ctx context.Context, c connection) error {
	body, err := json.Marshal(map[string]uint64{"cid": c.id})
	if err != nil {
		return err
	}
	_, err = r.sys.RequestWithContext(ctx, fmt.Sprintf(kickSubject, c.server), body)
	return err
}
