package pgtest_test

import (
	"os"
	"syscall"
	"testing"

	"zonewire/internal/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

func TestEachTestHasADatabaseOfItsOwn(t *testing.T) {
	a, b := pgtest.Database(t), pgtest.Database(t)
	pgtest.Query(t, a, "CREATE TABLE t (n BIGINT)")
	if got := pgtest.Query(t, b, "SELECT to_regclass('t') IS NULL"); got != "t" {
		t.Error("the other database has the table")
	}
}

func TestAServerIsStoppedAndStartedAgain(t *testing.T) {
	s := pgtest.Start(t)
	dsn := s.Database(t)
	pgtest.Query(t, dsn, "CREATE TABLE t (n BIGINT)")
	s.Stop(t, syscall.SIGINT)
	s.Again(t)
	if got := pgtest.Query(t, dsn, "SELECT COUNT(*) FROM t"); got != "0" {
		t.Errorf("after the restart: %s", got)
	}
}
