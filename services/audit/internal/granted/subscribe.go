package granted

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
)

// Subscribe serves audit.subscribe.
func (a *App) Subscribe(ctx context.Context, request *contract.SubscribeRequest) (*contract.SubscribeResponse, error) {
	caller := kit.PrincipalFrom(ctx)
	name, created, err := events.EnsureGrantedConsumer(ctx, a.JetStream, caller.Module, caller.Tenants, request.From == "all")
	if err != nil {
		return nil, err
	}
	return &contract.SubscribeResponse{Stream: events.GrantedStream, Consumer: name, Created: created}, nil
}

// Unsubscribe serves audit.unsubscribe.
func (a *App) Unsubscribe(ctx context.Context, _ *contract.Empty) (*contract.Empty, error) {
	caller := kit.PrincipalFrom(ctx)
	err := a.JetStream.DeleteConsumer(ctx, events.GrantedStream, events.GrantedConsumer(caller.Module, caller.Tenants))
	if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil, err
	}
	return &contract.Empty{}, nil
}
