package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"zonewire"
	"zonewire/ingest"
	"zonewire/store"
)

// session is the open database with the secret that belongs to it.
type session struct {
	*store.DB
	secret zonewire.Secret
	moved  string // why this start has paused sending; empty if it has not
}

const (
	secretBytes     = 32
	fingerprintMeta = "secret_fingerprint"
)

// openMode says what a verb may do to a database that is not there, or that has an older schema.
type openMode int

const (
	// mustExist is for every verb that needs something to be there already.
	mustExist openMode = iota
	// mayCreate is for the first add or import: it makes the database and its secret if there is none, and leaves an
	// older schema alone, since an older daemon may be running on it.
	mayCreate
	// mayMigrate is for serve, demo and db migrate: it also brings an older schema up to date.
	mayMigrate
)

// openSession opens the database. A new one gets its secret first: a crash between the two leaves a secret without a
// database, which the next try takes, and never a database without its secret. For a database that exists no secret is
// made: the links in all mails already sent would die.
func openSession(ctx context.Context, s settings, mode openMode) (*session, error) {
	exists, err := databaseExists(ctx, s.cfg.DB)
	if err != nil {
		return nil, err
	}
	if !exists {
		if mode == mustExist {
			return nil, fmt.Errorf("database %s: %w: make it with `zonewire db migrate`, or name another with --db", maskPassword(s.cfg.DB), zonewire.ErrNotFound)
		}
		if err := ensureSecret(s); err != nil {
			return nil, err
		}
	}
	db, err := store.Open(ctx, s.cfg.DB, store.Options{
		Create:    !exists || mode == mayMigrate,
		Matcher:   ingest.NewMatcher,
		Uncertain: zonewire.UncertainPolicy(s.cfg.Mail.Uncertain),
	})
	if err != nil {
		return nil, err
	}
	secret, err := readSecret(s)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("secret %s: %w: copy it from where the database came from; without it no link in a mail already sent works", s.cfg.SecretFile, zonewire.ErrNotFound)
	}
	if err == nil {
		err = checkSecret(ctx, db, secret, s)
	}
	var moved string
	if err == nil {
		moved, err = checkHome(ctx, db, s)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &session{DB: db, secret: secret, moved: moved}, nil
}

// checkHome pauses sending when the database is a copy: see [store.DB.CheckHome].
func checkHome(ctx context.Context, db *store.DB, s settings) (string, error) {
	home, err := homeOf(ctx, db, s.cfg.DB)
	if err != nil {
		return "", err
	}
	return db.CheckHome(ctx, zonewire.Act{At: time.Now(), By: "daemon"}, home)
}

// homeOf tells where a database is: the server and its database, or the machine and the file.
func homeOf(ctx context.Context, db *store.DB, dsn string) (store.Home, error) {
	path, ok := databaseFile(dsn)
	if !ok {
		return db.ServerHome(ctx)
	}
	info, err := os.Stat(path)
	if err != nil {
		return store.Home{}, fmt.Errorf("database: %w", err)
	}
	var home store.Home
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		home.File = strconv.FormatUint(sys.Ino, 10)
	}
	machine, err := os.ReadFile("/etc/machine-id")
	if err == nil { // containers have none
		home.Machine = strings.TrimSpace(string(machine))
	}
	return home, nil
}

// databaseExists reports whether there is a database to open, and refuses a place where none can be. A file without
// content is none yet.
func databaseExists(ctx context.Context, dsn string) (bool, error) {
	path, ok := databaseFile(dsn)
	if !ok {
		return store.Exists(ctx, dsn)
	}
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		return false, zonewire.Invalidf("database %s is a folder: name a file in it, such as --db %s", path, filepath.Join(path, "zonewire.db"))
	}
	if err == nil {
		return info.Size() > 0, becomeOwner(info)
	}
	dir := filepath.Dir(path)
	if info, dirErr := os.Stat(dir); errors.Is(dirErr, fs.ErrNotExist) {
		return false, fmt.Errorf("database %s: folder %s: %w: make the folder, or name another place with --db", path, dir, zonewire.ErrNotFound)
	} else if dirErr == nil && !info.IsDir() {
		return false, zonewire.Invalidf("database %s: %s is a file, not a folder: name another place with --db", path, dir)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return false, fmt.Errorf("database: %w", err)
}

// checkSecret ties a new database to its secret, and refuses a secret of another database.
func checkSecret(ctx context.Context, db *store.DB, secret zonewire.Secret, s settings) error {
	stands, err := db.Meta(ctx, fingerprintMeta)
	if err != nil {
		return err
	}
	if stands == "" {
		if stands, err = db.InitMeta(ctx, fingerprintMeta, secret.Fingerprint()); err != nil {
			return err
		}
	}
	if stands != secret.Fingerprint() {
		return zonewire.Invalidf("secret %s belongs to another database than %s: copy the one that was made with it (fingerprint %s)",
			secretPlace(s), maskPassword(s.cfg.DB), stands)
	}
	return nil
}

func secretPlace(s settings) string {
	if _, ok := lookup(s.environ, envName("secret")); ok {
		return "in " + envName("secret")
	}
	return s.cfg.SecretFile
}

// readSecret gives the secret, or fs.ErrNotExist.
func readSecret(s settings) (zonewire.Secret, error) {
	text, err := s.secretText("secret")
	if err != nil {
		return nil, err
	}
	secret, err := hex.DecodeString(strings.TrimSpace(text))
	if err != nil || len(secret) != secretBytes {
		return nil, zonewire.Invalidf("secret %s is damaged: it must be %d hexadecimal digits", secretPlace(s), 2*secretBytes)
	}
	return secret, nil
}

// ensureSecret makes the secret of a new database, unless one is there: then this database shares it.
func ensureSecret(s settings) error {
	if _, err := readSecret(s); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	secret := make([]byte, secretBytes)
	rand.Read(secret) // never fails: it would end the program
	err := writeNew(s.cfg.SecretFile, []byte(hex.EncodeToString(secret)+"\n"))
	if err != nil && !errors.Is(err, fs.ErrExist) { // another process was faster: its secret is as good
		return fmt.Errorf("make secret: %w: the folder must be there and writable", err)
	}
	return nil
}

// writeNew makes a file that only its owner reads, and fails with fs.ErrExist if there is one. A reader never sees half
// of it: it gets its name once it is on the disk.
func writeNew(path string, content []byte) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".zonewire-secret-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(tmp.Name())) }()
	_, err = tmp.Write(content)
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := os.Link(tmp.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
