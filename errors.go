package zonewire

import (
	"errors"
	"fmt"
	"time"
)

// The failures that callers tell apart. Wrap them; test with errors.Is.
var (
	// ErrNotFound means that the thing named does not exist.
	ErrNotFound = errors.New("not found")
	// ErrExists means that the name is taken.
	ErrExists = errors.New("already exists")
	// ErrInvalid means that a value cannot be used; the message says which and why.
	ErrInvalid = errors.New("invalid")
	// ErrGone means that the thing existed and was ended for good: a closed zone, a withdrawn article, an erased person.
	ErrGone = errors.New("gone")
	// ErrLost means that a delivery is no longer this worker's: it was cancelled, or another worker took it over.
	// The holder must not send.
	ErrLost = errors.New("claim lost")
	// ErrForbidden means that whoever asked may not do it.
	ErrForbidden = errors.New("not allowed")
	// ErrFull means that the disk has no room; what was being written was rolled back.
	ErrFull = errors.New("disk full")
	// ErrReadOnly means that the database, or its folder, cannot be written.
	ErrReadOnly = errors.New("read-only")
	// ErrBusy means that another process held the database for longer than the busy timeout.
	ErrBusy = errors.New("database busy")
	// ErrUnavailable means that the database server cannot be reached, or takes no writes now. What was being written may
	// have been done if its commit was under way.
	ErrUnavailable = errors.New("database unavailable")
)

// WaitError is an [ErrBusy] that is over at a known moment.
type WaitError struct {
	What  string // who wants to be left alone
	Until time.Time
}

func (e *WaitError) Error() string {
	return fmt.Sprintf("%s is not to be asked before %s", e.What, e.Until.UTC().Format(time.RFC3339))
}

func (e *WaitError) Unwrap() error { return ErrBusy }

// Invalidf is an [ErrInvalid] with a message of its own: the message is all that is printed.
func Invalidf(format string, args ...any) error {
	return &invalidError{fmt.Sprintf(format, args...)}
}

type invalidError struct{ msg string }

func (e *invalidError) Error() string { return e.msg }
func (e *invalidError) Unwrap() error { return ErrInvalid }
