package natsserver

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/nats-io/nkeys"

	"github.com/buildify/core/deploy"
	"github.com/buildify/core/pkg/kit/natsconn"
)

// Seeds that are no user's; the names of their files and, in capitals, of
// their variables in keys.conf. Both belong to service auth alone: the issuer
// can let anybody into any account.
const (
	Issuer = "callout_issuer"
	XKey   = "callout_xkey"
)

const (
	configFile = "nats.conf"
	keysFile   = "keys.conf"
	localFile  = "local.conf"
)

// Users are the users that nats.conf knows.
func Users() []string {
	return []string{
		natsconn.System, natsconn.Callout,
		natsconn.Auth, natsconn.RBAC, natsconn.Tenant, natsconn.Audit, natsconn.HTTPBridge, natsconn.Operator,
	}
}

// SeedFile is where Init keeps the seed of a user, of Issuer or of XKey.
func SeedFile(dir, name string) string { return filepath.Join(dir, name+".nk") }

// ReadSeed returns the key pair that Init keeps under name.
func ReadSeed(dir, name string) (nkeys.KeyPair, error) {
	seed, err := os.ReadFile(SeedFile(dir, name))
	if err != nil {
		return nil, fmt.Errorf("seed %s (made by `buildify nats init`): %w", name, err)
	}
	pair, err := nkeys.FromSeed(bytes.TrimSpace(seed))
	if err != nil {
		return nil, fmt.Errorf("seed %s: %w", name, err)
	}
	return pair, nil
}

// Init makes dir a directory that nats-server, this package's Start and the
// services can run from: a seed for every user, for the auth callout's issuer
// and its xkey, keys.conf with the public halves, nats.conf, and local.conf
// with what is the machine's own.
//
// Init is idempotent and may run in several processes at once: existing seeds
// and local.conf stay, nats.conf and keys.conf are brought up to date. Files
// appear whole, with mode 0600.
func Init(dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("nats init: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("nats init: %w", err)
	}
	keys, err := makeKeys(dir)
	if err != nil {
		return fmt.Errorf("nats init: %w", err)
	}
	local := fmt.Sprintf("# This machine's own settings; see nats.conf.\nNATS_LISTEN: \"127.0.0.1:4222\"\nNATS_STORE_DIR: %q\n",
		filepath.Join(dir, "jetstream"))
	for _, err := range []error{
		create(filepath.Join(dir, localFile), []byte(local)),
		replace(filepath.Join(dir, keysFile), keys),
		replace(filepath.Join(dir, configFile), deploy.NATSConfig),
	} {
		if err != nil {
			return fmt.Errorf("nats init: %w", err)
		}
	}
	return nil
}

// makeKeys creates the missing seeds and returns the text of keys.conf.
func makeKeys(dir string) ([]byte, error) {
	var conf bytes.Buffer
	conf.WriteString("# Public keys of this installation. Generated from the seeds beside it; do not edit.\n")
	add := func(variable, name string, generate func() (nkeys.KeyPair, error)) error {
		pair, err := ensureSeed(dir, name, generate)
		if err != nil {
			return err
		}
		public, err := pair.PublicKey()
		if err != nil {
			return fmt.Errorf("seed %s: %w", name, err)
		}
		fmt.Fprintf(&conf, "%s: %q\n", strings.ToUpper(variable), public)
		return nil
	}
	for _, user := range Users() {
		if err := add("key_"+user, user, nkeys.CreateUser); err != nil {
			return nil, err
		}
	}
	if err := add(Issuer, Issuer, nkeys.CreateAccount); err != nil {
		return nil, err
	}
	if err := add(XKey, XKey, nkeys.CreateCurveKeys); err != nil {
		return nil, err
	}
	return conf.Bytes(), nil
}

func ensureSeed(dir, name string, generate func() (nkeys.KeyPair, error)) (nkeys.KeyPair, error) {
	pair, err := ReadSeed(dir, name)
	if !errors.Is(err, fs.ErrNotExist) {
		return pair, err
	}
	if pair, err = generate(); err != nil {
		return nil, fmt.Errorf("seed %s: %w", name, err)
	}
	seed, err := pair.Seed()
	if err != nil {
		return nil, fmt.Errorf("seed %s: %w", name, err)
	}
	if err := create(SeedFile(dir, name), append(seed, '\n')); err != nil {
		return nil, err
	}
	return ReadSeed(dir, name) // another process may have been first
}

// create puts the file there in one step, unless it exists.
func create(path string, data []byte) error {
	temporary, err := writeTemporary(path, data)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temporary) }()
	if err := os.Link(temporary, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// replace puts the file there in one step, unless its content is right.
func replace(path string, data []byte) error {
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, data) {
		return nil
	}
	temporary, err := writeTemporary(path, data)
	if err != nil {
		return err
	}
	if err := os.Rename(temporary, path); err != nil {
		_ = os.Remove(temporary)
		return err
	}
	return nil
}

// writeTemporary writes a file of mode 0600 beside path and syncs it.
func writeTemporary(path string, data []byte) (name string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return "", err
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	if _, err := f.Write(data); err != nil {
		return "", err
	}
	return f.Name(), f.Sync()
}
