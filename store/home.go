package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"zonewire"
)

// A copy of a database has mail in it that its original may have sent, or is about to send. So a database knows its
// home, the machine and the file that it is, and beside the file lies the time of the last heartbeat: whoever opens a
// database away from home, or one that is older than what was last sent from here, finds sending paused.

// Home is where a database is. The path says nothing: a file that was renamed, or that a container sees elsewhere, is
// the same one, and a copy may have taken the name of its original.
type Home struct {
	Machine string // its id; empty where there is none, as in containers
	File    string // what tells the file from every other one of the machine: its inode; of a server, the database's number
}

func (h Home) String() string { return h.Machine + " " + h.File }

// leftFor reports whether a database whose home was h is elsewhere now. A machine without an id may be any.
func (h Home) leftFor(now Home) bool {
	return h.File != now.File || h.Machine != now.Machine && h.Machine != "" && now.Machine != ""
}

const (
	homeMeta   = "home"
	beatSuffix = "-beat"
)

var (
	qLatestBeat = sqlText(`SELECT COALESCE(MAX(beat_ms), 0) FROM worker`)
)

// qServerHome tells a server and its database from every other: a standby that takes over is the same one, a dump that was
// restored, here or elsewhere, is not.
const qServerHome = `
	SELECT CAST((SELECT system_identifier FROM pg_control_system()) AS TEXT), CAST(oid AS TEXT)
	FROM pg_database
	WHERE datname = current_database()`

// ServerHome is where the database of a server is.
func (db *DB) ServerHome(ctx context.Context) (h Home, err error) {
	return h, readError("home", db.r.QueryRowContext(ctx, qServerHome).Scan(&h.Machine, &h.File))
}

// CheckHome compares where the database is with where it was. If that is elsewhere, or if the database is older than the
// last heartbeat that was sent from its place, sending is paused in the same transaction that settles the new home, and
// moved says why.
func (db *DB) CheckHome(ctx context.Context, act zonewire.Act, home Home) (moved string, err error) {
	stands, err := db.InitMeta(ctx, homeMeta, home.String())
	if err != nil {
		return "", err
	}
	var was Home
	was.Machine, was.File, _ = strings.Cut(stands, " ")
	seen, err := db.beatSeen()
	if err != nil {
		return "", err
	}
	var beat int64
	if err := db.reader().row(ctx, qLatestBeat, nil, &beat); err != nil {
		return "", readError("heartbeat", err)
	}
	switch {
	case was.leftFor(home):
		moved = "the database was copied or moved here"
	case beat < seen:
		moved = "the database is a copy older than " + fromMs(seen).Format(time.RFC3339) + ", when mail was last sent from here"
	default:
		return "", nil
	}
	err = db.write(ctx, "settle database", func(q querier) error {
		if _, err := q.exec(ctx, qMetaPut, homeMeta, home.String()); err != nil {
			return err
		}
		return pauseSending(ctx, q, act, moved)
	})
	if err == nil && db.path != "" {
		err = os.Remove(db.path + beatSuffix)
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return moved, err
}

// remember notes beside the file that mail may have been sent up to now. It is written after the database is, and so
// never ahead of it.
func (db *DB) remember(at time.Time) error {
	if db.path == "" {
		return nil
	}
	err := os.WriteFile(db.path+beatSuffix, []byte(strconv.FormatInt(toMs(at), 10)+"\n"), 0o600)
	if err != nil {
		return fmt.Errorf("note the heartbeat: %w", err)
	}
	return nil
}

// beatSeen reads the note; 0 if there is none, or none that can be read.
func (db *DB) beatSeen() (int64, error) {
	if db.path == "" {
		return 0, nil
	}
	text, err := os.ReadFile(db.path + beatSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read the heartbeat: %w", err)
	}
	ms, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil { // cut off by a crash: the next beat writes it anew
		return 0, nil
	}
	return ms, nil
}
