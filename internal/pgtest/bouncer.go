package pgtest

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// Bouncer starts PgBouncer in transaction mode before a database, with few connections so that they change hands, and
// gives the DSN that leads through it. It ends with the test.
func Bouncer(t testing.TB, dsn string) string {
	t.Helper()
	need(t)
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		program = "/usr/sbin/pgbouncer" // seldom in a user's PATH
	}
	if _, err := os.Stat(program); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("PgBouncer is not installed: run scripts/test-deps")
		}
		t.Skip("PgBouncer is not installed: run scripts/test-deps")
	}
	dir, err := Folder()
	if err != nil {
		t.Fatal(err)
	}
	port, err := FreePort()
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "pgbouncer.ini")
	text := fmt.Sprintf(`[databases]
* = host=%s port=%s user=%s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 6
max_client_conn = 200
`, u.Hostname(), u.Port(), u.User.Username(), port)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd, err := Command(program, "-q", config)
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		_ = cmd.Wait() // ended by our signal
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	u.Host = "127.0.0.1:" + strconv.Itoa(port)
	for range 100 {
		if exec.Command("psql", "-qAtc", "SELECT 1", u.String()).Run() == nil {
			return u.String()
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("PgBouncer does not answer")
	return ""
}
