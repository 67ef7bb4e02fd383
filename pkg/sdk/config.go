package sdk

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"strings"

	"github.com/buildify/core/pkg/contract"
)

// The environment variables that [ConfigFromEnv] reads.
const (
	EnvAPIURL  = "CORE_API_URL"
	EnvNATSURL = "CORE_NATS_URL"
	EnvAPIKey  = "CORE_API_KEY" //nolint:gosec // the name of a variable
)

// Config says where the core is and who the module is. Printing or logging it
// does not show the key.
type Config struct {
	// APIURL is the root of the core's HTTP API, such as
	// "https://core.example.com". Used when NATSURL is empty.
	APIURL string
	// NATSURL is the core's bus, such as "tls://core.example.com:4222"; several
	// servers are separated by commas.
	NATSURL string
	// APIKey is the module's key, "bfy_<environment>_<id>_<secret>". It names
	// the module as well.
	APIKey string
}

// ConfigFromEnv reads CORE_API_URL, CORE_NATS_URL and CORE_API_KEY and tells
// what is missing or malformed. With both URLs set the bus is used.
func ConfigFromEnv() (Config, error) {
	cfg := Config{
		APIURL:  strings.TrimSpace(os.Getenv(EnvAPIURL)),
		NATSURL: strings.TrimSpace(os.Getenv(EnvNATSURL)),
		APIKey:  strings.TrimSpace(os.Getenv(EnvAPIKey)),
	}
	_, err := cfg.check()
	return cfg, err
}

// check returns the parsed key. Its errors never hold the secret.
func (c Config) check() (contract.APIKey, error) {
	if c.NATSURL == "" && c.APIURL == "" {
		return contract.APIKey{}, fmt.Errorf(
			"buildify: nothing says where the core is: set %s (HTTP) or %s (bus)", EnvAPIURL, EnvNATSURL)
	}
	if c.APIKey == "" {
		return contract.APIKey{}, fmt.Errorf(
			"buildify: no API key: set %s to the key that the core issued to this module", EnvAPIKey)
	}
	key, err := contract.ParseAPIKey(c.APIKey)
	if errors.Is(err, contract.ErrMalformedKey) {
		return key, fmt.Errorf("buildify: %s: %w: cut or mistyped; it looks like bfy_<environment>_<id>_<secret>", EnvAPIKey, err)
	}
	return key, err
}

// String is the configuration without the secret.
func (c Config) String() string {
	key := "none"
	if c.APIKey != "" {
		key = "malformed"
		if parsed, err := contract.ParseAPIKey(c.APIKey); err == nil {
			key = parsed.String()
		}
	}
	return fmt.Sprintf("core at %s, key %s", c.target(), key)
}

// GoString keeps the secret from %#v.
func (c Config) GoString() string { return "sdk.Config{" + c.String() + "}" }

// LogValue keeps the secret from logs.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

func (c Config) target() string {
	target := c.APIURL
	if c.NATSURL != "" {
		target = c.NATSURL
	}
	return userinfo.ReplaceAllString(target, "//…@")
}

// userinfo is what a URL should not hold and must not show.
var userinfo = regexp.MustCompile(`//[^/,]*@`)
