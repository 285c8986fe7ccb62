package pgtest_test

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"

	"zonewire/internal/pgtest"
)

// psql runs statements one after the other, each as a message of its own, and gives up after a moment.
func psql(t *testing.T, dsn string, statements ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	args := []string{"--no-psqlrc", "-qAt", "-v", "ON_ERROR_STOP=1"}
	for _, s := range statements {
		args = append(args, "-c", s)
	}
	out, err := exec.CommandContext(ctx, "psql", append(args, dsn)...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func TestALineIsCutAndHealedAndHangs(t *testing.T) {
	line := pgtest.Proxy(t, pgtest.Database(t))
	works := func() bool {
		out, err := psql(t, line.DSN(), "SELECT 7")
		return err == nil && out == "7"
	}
	if !works() {
		t.Fatal("nothing passes")
	}
	line.Cut()
	if works() {
		t.Error("it passes after the cut")
	}
	line.Heal()
	if !works() {
		t.Error("nothing passes once it is healed")
	}
	line.Hang()
	if works() {
		t.Error("it passes while the line hangs")
	}
	line.Resume()
	if !works() {
		t.Error("nothing passes once the line goes on")
	}
}

func TestALineIsCutAtCommit(t *testing.T) {
	dsn := pgtest.Database(t)
	line := pgtest.Proxy(t, dsn)
	pgtest.Query(t, dsn, "CREATE TABLE t (n BIGINT)")
	for _, c := range []struct {
		trap    pgtest.Trap
		rows    string // "?": either
		healthy bool   // for the next connection
	}{
		{pgtest.Trap{At: pgtest.Before}, "0", true},
		{pgtest.Trap{At: pgtest.During}, "?", true},
		{pgtest.Trap{At: pgtest.After}, "1", true},
		{pgtest.Trap{At: pgtest.After, Of: "insert into T", Stay: true}, "1", false},
	} {
		pgtest.Query(t, dsn, "TRUNCATE t")
		line.Heal()
		trap := line.Set(c.trap)
		if out, err := psql(t, line.DSN(), "BEGIN", "INSERT INTO t VALUES (1)", "COMMIT"); err == nil {
			t.Errorf("%s: the client heard %q and no cut", c.trap.At, out)
		}
		<-trap.Sprung
		if got := settled(t, dsn); c.rows != "?" && got != c.rows {
			t.Errorf("%s: %s rows, want %s", c.trap.At, got, c.rows)
		}
		if _, err := psql(t, line.DSN(), "BEGIN", "COMMIT"); (err == nil) != c.healthy {
			t.Errorf("%s: the next connection: %v", c.trap.At, err)
		}
	}
}

// settled counts the rows when no transaction is left that may still commit.
func settled(t *testing.T, dsn string) string {
	t.Helper()
	return pgtest.Query(t, dsn, "BEGIN; LOCK TABLE t; SELECT COUNT(*) FROM t; COMMIT")
}

func TestALineIsCutAtTheTransactionThatIsMeant(t *testing.T) {
	dsn := pgtest.Database(t)
	line := pgtest.Proxy(t, dsn)
	pgtest.Query(t, dsn, "CREATE TABLE t (n BIGINT)")
	trap := line.Set(pgtest.Trap{At: pgtest.Before, Of: "INSERT INTO t"})
	if _, err := psql(t, line.DSN(), "BEGIN", "SELECT 1", "COMMIT"); err != nil {
		t.Errorf("another transaction: %v", err)
	}
	if _, err := psql(t, line.DSN(), "BEGIN", "INSERT INTO t VALUES (1)", "COMMIT"); err == nil {
		t.Error("the transaction that is meant was not cut")
	}
	<-trap.Sprung
	// A statement by itself commits too.
	trap = line.Set(pgtest.Trap{At: pgtest.After, Text: "insert into t"})
	if _, err := psql(t, line.DSN(), "INSERT INTO t VALUES (2)"); err == nil {
		t.Error("the statement was not cut")
	}
	<-trap.Sprung
	if got := settled(t, dsn); got != "1" {
		t.Errorf("%s rows, want that of the statement whose answer was swallowed", got)
	}
}
