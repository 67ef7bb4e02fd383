module github.com/buildify/core/modules/financial

go 1.26.0

require github.com/buildify/core/pkg/sdk v0.1.0

require (
	github.com/buildify/core/pkg/contract v0.1.0 // indirect
	github.com/buildify/core/pkg/decision v0.1.0 // indirect
	github.com/buildify/core/pkg/events v0.1.0 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/cloudevents/sdk-go/v2 v2.16.2 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/json-iterator/go v1.1.12 // indirect
	github.com/klauspost/compress v1.20.3 // indirect
	github.com/modern-go/concurrent v0.0.0-20180306012644-bacd9c7ef1dd // indirect
	github.com/modern-go/reflect2 v1.0.2 // indirect
	github.com/nats-io/nats.go v1.55.0 // indirect
	github.com/nats-io/nkeys v0.4.17 // indirect
	github.com/nats-io/nuid v1.0.1 // indirect
	github.com/standard-webhooks/standard-webhooks/libraries v0.0.1 // indirect
	go.opentelemetry.io/otel v1.47.0 // indirect
	go.opentelemetry.io/otel/trace v1.47.0 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
)

replace github.com/buildify/core/pkg/sdk => ../../pkg/sdk

replace github.com/buildify/core/pkg/contract => ../../pkg/contract

replace github.com/buildify/core/pkg/decision => ../../pkg/decision

replace github.com/buildify/core/pkg/events => ../../pkg/events
