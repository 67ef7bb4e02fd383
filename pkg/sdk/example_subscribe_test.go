package sdk_test

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/sdk"
)

func ExampleClient_Subscribe() {
	var client *sdk.Client // from sdk.New

	mux := events.NewMux()
	events.On(mux, events.UnitChanged, func(_ context.Context, e events.Event, unit contract.OrgUnit) error {
		fmt.Println("tenant", events.Extension(e, events.TenantID), "has unit", unit.Code)
		return nil // an error brings it again
	})
	err := client.Subscribe(context.Background(), sdk.Subscription{
		Types:    []string{"tenant.unit.*"},
		Parallel: 8, // tenants at once
		Missed:   func() { fmt.Println("read all units anew") },
	}, mux.Handle)
	slog.Info("the subscription ended", "reason", err)
}
