module github.com/buildify/core/tests

go 1.26.0

require (
	github.com/buildify/core v0.1.0
	github.com/buildify/core/cmd/buildify v0.1.0
	github.com/buildify/core/modules/financial v0.1.0
	github.com/buildify/core/pkg/contract v0.1.0
	github.com/buildify/core/pkg/events v0.1.0
	github.com/buildify/core/pkg/kit v0.1.0
	github.com/buildify/core/pkg/sdk v0.1.0
	github.com/buildify/core/services/audit v0.1.0
	github.com/buildify/core/services/auth v0.1.0
	github.com/buildify/core/services/httpbridge v0.1.0
	github.com/buildify/core/services/rbac v0.1.0
	github.com/buildify/core/services/tenant v0.1.0
)

require (
	github.com/antithesishq/antithesis-sdk-go v0.8.0-default-no-op // indirect
	github.com/chromedp/cdproto v0.159.0 // indirect
	github.com/chromedp/chromedp v0.23.0 // indirect
	github.com/go-json-experiment/json v0.0.0-20260213210345-44df1a37e875 // indirect
	github.com/golang-jwt/jwt/v5 v5.3.1 // indirect
	github.com/google/go-tpm v0.9.8 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/jackc/pgpassfile v1.0.0 // indirect
	github.com/jackc/pgservicefile v0.0.0-20240606120523-5a60cdf6a761 // indirect
	github.com/jackc/pgx/v5 v5.12.0 // indirect
	github.com/klauspost/compress v1.20.3 // indirect
	github.com/minio/highwayhash v1.0.4 // indirect
	github.com/nats-io/jwt/v2 v2.8.3 // indirect
	github.com/nats-io/nats-server/v2 v2.15.2 // indirect
	github.com/nats-io/nkeys v0.4.17 // indirect
	github.com/nats-io/nuid v1.0.1 // indirect
	github.com/stretchr/testify v1.12.1 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/text v0.43.0 // indirect
	golang.org/x/time v0.16.0 // indirect
)

replace github.com/buildify/core => ..

replace github.com/buildify/core/pkg/contract => ../pkg/contract

replace github.com/buildify/core/pkg/events => ../pkg/events

replace github.com/buildify/core/pkg/kit => ../pkg/kit

replace github.com/buildify/core/pkg/sdk => ../pkg/sdk

replace github.com/buildify/core/services/auth => ../services/auth

replace github.com/buildify/core/services/rbac => ../services/rbac

replace github.com/buildify/core/services/tenant => ../services/tenant

replace github.com/buildify/core/services/audit => ../services/audit

replace github.com/buildify/core/services/httpbridge => ../services/httpbridge

replace github.com/buildify/core/cmd/buildify => ../cmd/buildify

replace github.com/buildify/core/modules/financial => ../modules/financial
