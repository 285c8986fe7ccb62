package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"zonewire"
)

// app is what every verb stands on. A verb's file gets it from newRoot and uses:
//
//	a.cfg               the configuration, loaded and validated before the verb runs
//	a.secretText(key)   a secret of the configuration, such as "mail.password"
//	a.open(ctx, mode)   the database with its secret; mode says whether it may be made: mustExist, mayCreate, mayMigrate
//	a.with(ctx, mode, fn) the same, closed after fn
//	a.out               prints results: list, record, say
//	a.confirm           asks before something is destroyed
//	a.act()             who changes something, and when: for the audit
//	a.bar(n, what)      a progress bar on a terminal, nothing on a pipe
//	usagef(cmd, …)      an error that exits 2 and points to the verb's help
//	errReported         an error already printed: exits 1 in silence
//
// New nouns are registered in newRoot, by name.
type app struct {
	stdin   io.Reader
	stderr  io.Writer
	out     printer
	environ []string

	settings
	flags struct{ config, db, output string }
}

// act signs a change made by this command.
func (a *app) act() zonewire.Act { return zonewire.Act{At: time.Now(), By: "cli"} }

// errReported is returned by a verb that has told its failure already, such as the rejects of an import.
var errReported = errors.New("reported")

var errInterrupted = errors.New("interrupted")

// usageError is a mistake in how the command was typed.
type usageError struct {
	err error
	try string // the command whose help says how it should be typed
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// commander is the part of a cobra command that a usage error needs.
type commander interface{ CommandPath() string }

// usagef is a usage mistake of the command: it exits 2 and points to its help.
func usagef(cmd commander, format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...), cmd.CommandPath()}
}

// confirm asks whether to go on with something that cannot be taken back; what says it, such as
// "erase 12 subscribers". On a pipe nobody can answer, so it refuses unless --yes was given.
func (a *app) confirm(cmd commander, yes bool, format string, args ...any) error {
	if yes {
		return nil
	}
	what := fmt.Sprintf(format, args...)
	if f, ok := a.stdin.(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
		return usagef(cmd, "this would %s: add --yes to do it", what)
	}
	fmt.Fprintf(a.stderr, "This will %s. Go on? [y/N] ", what)
	answer, err := bufio.NewReader(a.stdin).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the answer: %w", err)
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return errors.New("not confirmed, nothing was changed")
}

// open opens the database of the configuration; see [openMode]. The caller closes the session.
func (a *app) open(ctx context.Context, mode openMode) (*session, error) {
	db, err := openSession(ctx, a.settings, mode)
	if err == nil && db.moved != "" {
		fmt.Fprintf(a.stderr, "zonewire: sending is paused: %s; its original may send the same mail. `zonewire outbox resume` lets it go on here, with --from-now without what waits\n", db.moved)
	}
	return db, err
}

// with runs fn on the open database and closes it, whatever happens.
func (a *app) with(ctx context.Context, mode openMode, fn func(db *session) error) error {
	db, err := a.open(ctx, mode)
	if err != nil {
		return err
	}
	return errors.Join(fn(db), db.Close())
}

// oneLine makes a message safe for a terminal and a log: one line, no control characters.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0:
			return -1
		}
		return r
	}, strings.TrimSpace(s))
}

// where begins an error message: "zonewire: zone add".
func where(cmd commander) string { return strings.Replace(cmd.CommandPath(), " ", ": ", 1) }
