package main

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"zonewire/internal/smtptest"
)

// realBinary builds the program as a user would and gives its path; [cleaning] removes it.
var realBinary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "zonewire-bin-")
	if err != nil {
		return "", err
	}
	binaryDir = dir
	path := filepath.Join(dir, "zonewire")
	out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w: %s", err, out)
	}
	return path, nil
})

var binaryDir string

// cleaning is the package's tests, and the removal of the binary after them.
type cleaning struct{ *testing.M }

func (c cleaning) Run() int {
	code := c.M.Run()
	if binaryDir == "" {
		return code
	}
	if err := os.RemoveAll(binaryDir); err != nil {
		fmt.Fprintln(os.Stderr, "remove the binary:", err)
		return 1
	}
	return code
}

// site is an installation in a folder of its own, driven by the real binary.
type site struct {
	t   *testing.T
	bin string
	dir string
	env []string
}

func newSite(t *testing.T, env ...string) *site {
	t.Helper()
	if testing.Short() {
		t.Skip("a test of the real binary: not with -short")
	}
	bin, err := realBinary()
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, bin: bin, dir: t.TempDir()}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, envPrefix) {
			s.env = append(s.env, v)
		}
	}
	s.env = append(s.env, env...)
	return s
}

// smtpEnv points an installation to a test server.
func smtpEnv(srv *smtptest.Server) []string {
	return []string{
		"ZONEWIRE_MAIL_TRANSPORT=smtp", "ZONEWIRE_MAIL_HOST=" + srv.Host, fmt.Sprintf("ZONEWIRE_MAIL_PORT=%d", srv.Port),
		"ZONEWIRE_MAIL_TLS=none", "ZONEWIRE_MAIL_FROM=News <news@example.com>",
	}
}

func (s *site) command(args ...string) *exec.Cmd {
	cmd := exec.Command(s.bin, args...)
	cmd.Dir, cmd.Env = s.dir, s.env
	return cmd
}

// run runs a command to its end and wants success.
func (s *site) run(args ...string) string {
	s.t.Helper()
	cmd := s.command(args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		s.t.Fatalf("zonewire %s: %v\n%s%s", strings.Join(args, " "), err, out, stderr.String())
	}
	return string(out)
}

func (s *site) write(name, content string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(content), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// fill makes a zone, a list of n readers, and a planned digest of one article.
func (s *site) fill(n int) {
	s.t.Helper()
	readers := "email\n"
	for i := range n {
		readers += fmt.Sprintf("reader%d@example.net\n", i)
	}
	s.write("readers.csv", readers)
	s.write("news.ndjson", `{"zone":"hubin","id":"1","title":"湖滨开发区新项目开工","content_text":"项目今日开工。","published":"`+time.Now().Format("2006-01-02")+`"}`+"\n")
	s.run("zone", "add", "hubin", "--name", "湖滨经济开发区")
	s.run("list", "add", "morning", "--title", "园区早报", "--schedule", "0 8 * * *", "--all")
	s.run("article", "import", "news.ndjson")
	s.run("subscriber", "import", "readers.csv", "--list", "morning", "--confirmed", "--consent", "test")
	s.run("digest", "cut", "morning")
}

// counts gives what became of the first digest's recipients, and that they sum.
func (s *site) counts() map[string]int {
	s.t.Helper()
	var d digestView
	if err := json.Unmarshal([]byte(s.run("digest", "show", "1", "-o", "json")), &d); err != nil {
		s.t.Fatal(err)
	}
	sum := 0
	for _, n := range d.Counts {
		sum += n
	}
	if sum != d.Recipients {
		s.t.Errorf("counts %v sum to %d, want the %d recipients", d.Counts, sum, d.Recipients)
	}
	return d.Counts
}

// crash is how hard a crash test is. `make test-crash` runs the long one.
type crash struct{ readers, kills, freezes, connections int }

var longCrash = flag.Bool("crash", false, "run the crash test of 5,000 readers, 50 kills and 3 freezes (some 3 minutes)")

func TestKillNineLosesNobody(t *testing.T) {
	crash{readers: 1000, kills: 10, connections: 10}.run(t)
}

func TestAFrozenSenderIsFollowedByAnotherAndMissesNobody(t *testing.T) {
	crash{readers: 300, freezes: 1, connections: 10}.run(t)
}

func TestCrashLong(t *testing.T) {
	if !*longCrash {
		t.Skip("run it with -crash")
	}
	crash{readers: 5000, kills: 50, freezes: 3, connections: 10}.run(t)
}

// freeze stops a process while it does not hold the database's lock: the kernel would keep that for it, and nobody
// could write before it goes on.
func (s *site) freeze(cmd *exec.Cmd) {
	s.t.Helper()
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(s.dir, "zonewire.db")+"?_busy_timeout=100&_txlock=immediate")
	if err != nil {
		s.t.Fatal(err)
	}
	defer db.Close()
	for range 200 {
		if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			s.t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond) // its threads stop one after the other
		tx, err := db.Begin()
		if err == nil {
			if err := tx.Rollback(); err != nil {
				s.t.Fatal(err)
			}
			return
		}
		if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
			s.t.Fatal(err)
		}
		time.Sleep(2 * time.Millisecond)
	}
	s.t.Fatal("the process always holds the lock")
}

// run sends one digest by drains that are killed, or frozen for longer than a worker may be silent, at random moments;
// each is followed by another. In the end everybody has the mail, nobody more often than there were accidents, a repeat
// is the same message, and the counts sum after each.
func (c crash) run(t *testing.T) {
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(uint64(seed), 0))
	// Slow enough that every accident happens in the middle.
	accidents := c.kills + c.freezes
	pause := time.Duration(c.connections) * time.Duration(accidents) * 120 * time.Millisecond / time.Duration(c.readers)
	srv := smtptest.New(t, smtptest.Options{Script: func(e smtptest.Event) smtptest.Action {
		if e.Stage == smtptest.Dot || e.Stage == smtptest.Rcpt {
			time.Sleep(pause / 2)
		}
		return smtptest.Action{}
	}})
	s := newSite(t, append(smtpEnv(srv), fmt.Sprintf("ZONEWIRE_MAIL_CONNECTIONS=%d", c.connections))...)
	s.fill(c.readers)

	var frozen []*exec.Cmd
	for n := range accidents {
		cmd := s.command("outbox", "drain")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		freeze := n%max(1, accidents/max(1, c.freezes)) == 0 && len(frozen) < c.freezes
		moment := time.Duration(random.Int64N(int64(180 * time.Millisecond)))
		if freeze {
			for before := len(srv.Mails()); len(srv.Mails()) == before; { // it must hold something
				time.Sleep(time.Millisecond)
			}
			moment /= 4
		}
		time.Sleep(moment)
		if freeze {
			s.freeze(cmd)
			frozen = append(frozen, cmd)
			time.Sleep(21 * time.Second) // a worker silent for 20 s is given up
		} else if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if !freeze {
			_ = cmd.Wait() // killed: nothing else can be said of it
		}
		s.counts()
	}
	if got := s.counts(); c.kills > 0 && got["accepted"] == c.readers {
		t.Fatal("the accidents came too late: everything was sent before the last")
	}
	// The next drain takes over from all of them; then those that were frozen go on, and must notice.
	s.run("outbox", "drain")
	for _, cmd := range frozen {
		if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("a drain that was frozen ended with %v", err)
		}
	}
	s.run("outbox", "drain")
	if got := s.counts(); got["accepted"] != c.readers {
		t.Errorf("after %d accidents: %v, want all %d accepted", accidents, got, c.readers)
	}

	got := map[string]int{}
	for _, m := range srv.Mails() {
		got[m.To]++
	}
	for i := range c.readers {
		if to := fmt.Sprintf("reader%d@example.net", i); got[to] == 0 {
			t.Errorf("%s got nothing", to)
		}
	}
	repeats := len(srv.Mails()) - c.readers
	if repeats < 0 || repeats > accidents*c.connections {
		t.Errorf("%d mails were sent twice, want at most one a connection and accident, %d", repeats, accidents*c.connections)
	}
	if ids := srv.MessageIDs(); len(ids) != c.readers {
		t.Errorf("%d different Message-IDs, want %d: a repeat must be the same message", len(ids), c.readers)
	}
	t.Logf("%d mails sent twice in %d kills and %d freezes", repeats, c.kills, c.freezes)
}
