package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
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

func TestKillNineLosesNobody(t *testing.T) {
	const readers, kills, connections = 1000, 10, 10
	srv := smtptest.New(t, smtptest.Options{})
	s := newSite(t, append(smtpEnv(srv), fmt.Sprintf("ZONEWIRE_MAIL_CONNECTIONS=%d", connections))...)
	s.fill(readers)

	for kill := range kills {
		cmd := s.command("outbox", "drain")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// In the middle of sending, never twice at the same place.
		wanted := (kill + 1) * readers / (kills + 1)
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		for running := true; running && len(srv.Mails()) < wanted; {
			select {
			case err := <-ended:
				t.Fatalf("drain ended by itself before kill %d: %v", kill+1, err)
			case <-time.After(time.Millisecond):
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-ended
		if c := s.counts(); c["accepted"] == readers {
			t.Fatalf("kill %d came too late: everything was sent", kill+1)
		}
	}
	s.run("outbox", "drain")
	if c := s.counts(); c["accepted"] != readers {
		t.Errorf("after %d kills: %v, want all %d accepted", kills, c, readers)
	}

	got := map[string]int{}
	for _, m := range srv.Mails() {
		got[m.To]++
	}
	for i := range readers {
		if to := fmt.Sprintf("reader%d@example.net", i); got[to] == 0 {
			t.Errorf("%s got nothing", to)
		}
	}
	repeats := len(srv.Mails()) - readers
	if repeats < 0 || repeats > kills*connections {
		t.Errorf("%d mails were sent twice, want at most one a connection and kill, %d", repeats, kills*connections)
	}
	if ids := srv.MessageIDs(); len(ids) != readers {
		t.Errorf("%d different Message-IDs, want %d: a repeat must be the same message", len(ids), readers)
	}
	t.Logf("%d mails sent twice in %d kills", repeats, kills)
}
