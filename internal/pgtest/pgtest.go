// Package pgtest gives tests real PostgreSQL servers, and PgBouncer before them: Debian's packages, started in a
// temporary folder on a free port of this machine, gone when the test is.
//
// Tests share one server a test binary and get a schema each ([Database]); a test that stops, freezes or loses its
// server starts one of its own ([Start]). PostgreSQL refuses to run as root, so root's servers run as the user postgres
// that the package makes.
package pgtest

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Server is one running PostgreSQL server.
type Server struct {
	Port     int
	dir      string
	settings []string
	cmd      *exec.Cmd
	done     chan struct{}
}

var shared struct {
	sync.Mutex
	server  *Server
	bouncer *bouncer // before it
}

// Main runs a package's tests and then stops the server that they shared. A package that uses [Database] calls it:
//
//	func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }
func Main(m interface{ Run() int }) int {
	code := m.Run()
	shared.Lock()
	defer shared.Unlock()
	var err error
	if shared.bouncer != nil {
		err = shared.bouncer.stop()
	}
	if shared.server != nil {
		err = errors.Join(err, shared.server.remove())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "pgtest:", err)
		return 1
	}
	return code
}

var databases atomic.Int64

// Database makes a schema on the server that the tests of this binary share, which is as good as an empty database and
// quicker made, and gives the DSN that leads there. TEST_DATABASE_URL, the postgres:// address of a server whose user may make
// schemas, takes the place of our own server; there the test's end drops it.
func Database(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("test_%d_%d", os.Getpid(), databases.Add(1))
	base := os.Getenv("TEST_DATABASE_URL")
	if base == "" {
		base = sharedServer(t).DSN("postgres")
	} else {
		t.Cleanup(func() { Query(t, base, "DROP SCHEMA "+name+" CASCADE") })
	}
	Query(t, base, "CREATE SCHEMA "+name)
	if strings.Contains(base, "?") {
		return base + "&options=-csearch_path%3D" + name
	}
	return base + "?options=-csearch_path%3D" + name
}

func sharedServer(t testing.TB) *Server {
	t.Helper()
	need(t)
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil {
		s, err := start(nil)
		if err != nil {
			t.Fatal(err)
		}
		shared.server = s
	}
	return shared.server
}

// Query runs one statement over the program psql, so that nothing of the code under test is trusted, and gives what it
// prints: a row a line, columns split by |.
func Query(t testing.TB, dsn, text string) string {
	t.Helper()
	out, err := exec.Command("psql", "--no-psqlrc", "-qAt", "-v", "ON_ERROR_STOP=1", "-c", text, dsn).CombinedOutput()
	if err != nil {
		t.Fatalf("psql: %s: %v\n%s", text, err, out)
	}
	return strings.TrimSpace(string(out))
}

// Start runs a server for one test, with settings such as "fsync=on". Without any it is quick and forgets on power loss.
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	need(t)
	s, err := start(settings)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.remove(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// need skips a test where there is no PostgreSQL; with CI=true it must be there.
func need(t testing.TB) {
	t.Helper()
	if bindir() != "" {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("PostgreSQL is not installed: run scripts/test-deps")
	}
	t.Skip("PostgreSQL is not installed: run scripts/test-deps")
}

// bindir finds the server's programs; Debian keeps them out of the PATH.
func bindir() string {
	if path, err := exec.LookPath("postgres"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(path)
		}
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // fails for a bad pattern only
	if len(found) == 0 {
		return ""
	}
	version := func(dir string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(dir))) // 0 for what is no version
		return n
	}
	return slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })
}

// serverUser is who runs a server: nil is who runs the test.
func serverUser() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// Command is a program of the server's user. It ends with the test binary, however that ends.
func Command(name string, args ...string) (*exec.Cmd, error) {
	as, err := serverUser()
	if err != nil {
		return nil, err
	}
	if path := filepath.Join(bindir(), name); !strings.Contains(name, "/") {
		if _, err := os.Stat(path); err == nil {
			name = path
		}
	}
	cmd := exec.Command(name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as, Pdeathsig: syscall.SIGQUIT}
	cmd.Dir = "/"
	return cmd, nil
}

// Folder makes a folder that the server's user owns.
func Folder() (string, error) {
	dir, err := os.MkdirTemp("", "zonewire-pg-")
	if err != nil {
		return "", err
	}
	as, err := serverUser()
	if err == nil && as != nil {
		err = os.Chown(dir, int(as.Uid), int(as.Gid))
	}
	return dir, err
}

// FreePort gives a TCP port of this machine that nobody listens on.
func FreePort() (int, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return ln.Addr().(*net.TCPAddr).Port, ln.Close()
}

func start(settings []string) (*Server, error) {
	dir, err := Folder()
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, settings: settings}
	if s.Port, err = FreePort(); err == nil {
		err = s.initdb()
	}
	if err == nil {
		err = s.up()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("pgtest: %w", err), s.remove())
	}
	return s, nil
}

func (s *Server) initdb() error {
	cmd, err := Command("initdb", "-D", filepath.Join(s.dir, "data"), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions")
	if err != nil {
		return err
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	return nil
}

// up starts the server and waits until it answers.
func (s *Server) up() error {
	args := []string{"-D", filepath.Join(s.dir, "data"), "-p", strconv.Itoa(s.Port), "-h", "127.0.0.1", "-k", s.dir}
	for _, v := range append([]string{"fsync=off", "max_connections=200", "max_prepared_transactions=10"}, s.settings...) {
		args = append(args, "-c", v)
	}
	cmd, err := Command("postgres", args...)
	if err != nil {
		return err
	}
	log := &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended shows in what its test sees
		close(done)
	}()
	s.cmd, s.done = cmd, done
	for range 300 {
		if exec.Command("pg_isready", "-q", "-h", "127.0.0.1", "-p", strconv.Itoa(s.Port)).Run() == nil {
			return nil
		}
		select {
		case <-done:
			return fmt.Errorf("postgres ended: %s", log)
		case <-time.After(100 * time.Millisecond):
		}
	}
	return errors.New("postgres does not answer")
}

// DSN is the address of a database on the server.
func (s *Server) DSN(database string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s", s.Port, database)
}

// Database makes an empty database on this server and gives its DSN.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("test_%d", databases.Add(1))
	Query(t, s.DSN("postgres"), "CREATE DATABASE "+name)
	return s.DSN(name)
}

// Stop ends the server: SIGINT breaks off its transactions, SIGQUIT is as a crash. It waits for its end.
func (s *Server) Stop(t testing.TB, how syscall.Signal) {
	t.Helper()
	if err := s.stop(how); err != nil {
		t.Fatal(err)
	}
}

func (s *Server) stop(how syscall.Signal) error {
	if s.cmd == nil {
		return nil
	}
	if err := s.cmd.Process.Signal(how); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop postgres: %w", err)
	}
	select {
	case <-s.done:
		s.cmd = nil
		return nil
	case <-time.After(time.Minute):
		return errors.New("postgres does not stop")
	}
}

// Again starts a stopped server on its port, with what it had.
func (s *Server) Again(t testing.TB) {
	t.Helper()
	if err := s.up(); err != nil {
		t.Fatal(err)
	}
}

func (s *Server) remove() error { return errors.Join(s.stop(syscall.SIGQUIT), os.RemoveAll(s.dir)) }
