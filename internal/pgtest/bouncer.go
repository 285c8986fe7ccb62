package pgtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// bouncer is a PgBouncer in transaction mode before a server.
type bouncer struct {
	port int
	dir  string
	cmd  *exec.Cmd
}

// Bouncer makes an empty database on the shared server and gives the DSN that leads there through PgBouncer in transaction
// mode. It has few connections, so that they change hands.
func Bouncer(t testing.TB) string {
	t.Helper()
	s := sharedServer(t)
	if pgbouncer() == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("PgBouncer is not installed: run scripts/test-deps")
		}
		t.Skip("PgBouncer is not installed: run scripts/test-deps")
	}
	shared.Lock()
	defer shared.Unlock()
	if shared.bouncer == nil {
		b, err := s.bounce()
		if err != nil {
			t.Fatal(err)
		}
		shared.bouncer = b
	}
	name := fmt.Sprintf("test_%d", databases.Add(1))
	Query(t, s.DSN("postgres"), "CREATE DATABASE "+name)
	// Before its version 1.21 PgBouncer knows nothing of prepared statements.
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?default_query_exec_mode=exec", shared.bouncer.port, name)
}

func pgbouncer() string {
	for _, name := range []string{"pgbouncer", "/usr/sbin/pgbouncer"} { // seldom in a user's PATH
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

func (s *Server) bounce() (*bouncer, error) {
	dir, err := Folder()
	if err != nil {
		return nil, err
	}
	b := &bouncer{dir: dir}
	if b.port, err = FreePort(); err == nil {
		err = b.start(s)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("pgtest: %w", err), b.stop())
	}
	return b, nil
}

func (b *bouncer) start(s *Server) error {
	config := filepath.Join(b.dir, "pgbouncer.ini")
	text := fmt.Sprintf(`[databases]
* = host=127.0.0.1 port=%d user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 6
max_client_conn = 200
server_idle_timeout = 1
`, s.Port, b.port)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return err
	}
	cmd, err := Command(pgbouncer(), "-q", config)
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	b.cmd = cmd
	for range 100 {
		if exec.Command("pg_isready", "-q", "-h", "127.0.0.1", "-p", fmt.Sprint(b.port)).Run() == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return errors.New("PgBouncer does not answer")
}

func (b *bouncer) stop() error {
	var err error
	if b.cmd != nil {
		err = b.cmd.Process.Signal(syscall.SIGTERM)
		_ = b.cmd.Wait() // ended by our signal
	}
	return errors.Join(err, os.RemoveAll(b.dir))
}
