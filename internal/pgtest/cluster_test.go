package pgtest_test

import (
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"zonewire/internal/pgtest"
)

var cluster = flag.Bool("cluster", false, "run the tests that lose a cluster's primary (a minute each)")

func TestAClusterThatLosesItsPrimaryGetsAnother(t *testing.T) {
	if !*cluster {
		t.Skip("run it with -cluster, as make test-cluster does")
	}
	place, err := os.MkdirTemp("", "zw-") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(place)
	if err := os.Chmod(place, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", place)
	before := orphans(t)

	t.Run("lost", func(t *testing.T) {
		c := pgtest.StartCluster(t)
		dsn := c.Database(t)
		pgtest.Query(t, dsn, "CREATE TABLE t (n BIGINT); INSERT INTO t VALUES (7)")
		killed := c.KillPrimary(t)
		began := time.Now()
		if now := c.WaitForPrimary(t); now == killed {
			t.Errorf("%s is the primary again", now)
		}
		t.Logf("another primary after %.1f s", time.Since(began).Seconds())
		if got := pgtest.Query(t, dsn, "INSERT INTO t VALUES (8) RETURNING (SELECT SUM(n) FROM t)"); got != "7" {
			t.Errorf("the new primary has %s, want what was acknowledged", got)
		}
		c.WaitForReplicas(t, 1)
	})

	if left, err := os.ReadDir(place); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	for id := range orphans(t) {
		if !before[id] {
			t.Errorf("left behind: the shared memory %s", id)
		}
	}
}

// orphans are the pieces of System V shared memory that no process uses: what a killed server leaves.
func orphans(t *testing.T) map[string]bool {
	t.Helper()
	text, err := os.ReadFile("/proc/sysvipc/shm")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 6 && f[6] == "0" { // key, id, permissions, size, two processes, users
			found[f[1]] = true
		}
	}
	return found
}
