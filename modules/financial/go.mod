module github.com/buildify/core/modules/financial

go 1.26.0

require github.com/buildify/core/pkg/sdk v0.1.0

require (
	github.com/buildify/core/pkg/contract v0.1.0 // indirect
	github.com/buildify/core/pkg/decision v0.1.0 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/klauspost/compress v1.20.3 // indirect
	github.com/nats-io/nats.go v1.55.0 // indirect
	github.com/nats-io/nkeys v0.4.17 // indirect
	github.com/nats-io/nuid v1.0.1 // indirect
	go.opentelemetry.io/otel v1.47.0 // indirect
	go.opentelemetry.io/otel/trace v1.47.0 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
)

replace github.com/buildify/core/pkg/sdk => ../../pkg/sdk

replace github.com/buildify/core/pkg/contract => ../../pkg/contract

replace github.com/buildify/core/pkg/decision => ../../pkg/decision
