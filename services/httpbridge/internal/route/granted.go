package route

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
)

// openGranted opens the events that a module may hear.
func (rt *Router) openGranted(spec *contract.Spec) opener {
	binder, decode := newBinder(spec), kit.Decoder[contract.GrantedEventsRequest]()
	return func(_ context.Context, w http.ResponseWriter, r *http.Request, call *exchange, end func(error)) (source, error) {
		body, err := binder.bind(w, r)
		if err != nil {
			return nil, err
		}
		request, err := decode(body)
		if err != nil {
			return nil, err
		}
		after, err := lastEvent(r, request.After)
		if err != nil {
			return nil, err
		}
		if r.Method == http.MethodHead {
			return nil, nil //nolint:nilnil // as open says
		}
		only := ""
		if request.TenantID != "" {
			only = kit.UUID(request.TenantID)
		}
		types := strings.FieldsFunc(request.Types, func(r rune) bool { return r == ',' })
		return rt.Granted.Open(call.key, after, func(tenant, name string) bool {
			return (only == "" || tenant == only) && (len(types) == 0 || events.Matches(types, name))
		}, end)
	}
}

// lastEvent is where a reader goes on that connects again, or where it wants to
// begin.
func lastEvent(r *http.Request, after *int64) (*uint64, error) {
	last := r.Header.Get("Last-Event-ID")
	if last == "" {
		if after == nil {
			return nil, nil //nolint:nilnil // none is from now on
		}
		place := uint64(*after)
		return &place, nil
	}
	place, err := strconv.ParseUint(last, 10, 63)
	if err != nil {
		return nil, contract.Invalid("Last-Event-ID", "is not an id of this stream")
	}
	return &place, nil
}
