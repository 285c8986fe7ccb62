package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
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
	s.writeSample(n)
	s.run("zone", "add", "hubin", "--name", "湖滨经济开发区")
	s.run("list", "add", "morning", "--title", "园区早报", "--schedule", "0 8 * * *", "--all")
	s.run("article", "import", "news.ndjson")
	s.run("subscriber", "import", "readers.csv", "--list", "morning", "--confirmed", "--consent", "test")
	s.run("digest", "cut", "morning")
}

// readerAddress is where reader i gets mail: at one of many providers, as each has few connections and few mails ready.
func readerAddress(i int) string { return fmt.Sprintf("reader%d@example%d.net", i, i%50) }

// writeSample writes n readers and one article.
func (s *site) writeSample(n int) {
	s.t.Helper()
	readers := "email\n"
	for i := range n {
		readers += readerAddress(i) + "\n"
	}
	s.write("readers.csv", readers)
	s.write("news.ndjson", `{"zone":"hubin","id":"1","title":"湖滨开发区新项目开工","content_text":"项目今日开工。","published":"`+time.Now().Format("2006-01-02")+`"}`+"\n")
}

// counts gives what became of the recipients of the only digest, and that they sum.
func (s *site) counts() map[string]int {
	s.t.Helper()
	all := s.digests()
	if len(all) != 1 {
		s.t.Fatalf("%d digests, want one: %+v", len(all), all)
	}
	var d digestView
	if err := json.Unmarshal([]byte(s.run("digest", "show", strconv.FormatInt(all[0].ID, 10), "-o", "json")), &d); err != nil {
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

func (s *site) digests() []digestView {
	s.t.Helper()
	var all []digestView
	if err := json.Unmarshal([]byte(s.run("digest", "ls", "-o", "json")), &all); err != nil {
		s.t.Fatal(err)
	}
	return all
}

// newPostgresSite is an installation on a database of a server.
func newPostgresSite(t *testing.T, dsn string, env ...string) *site {
	t.Helper()
	return newSite(t, append([]string{"ZONEWIRE_DB=" + dsn, "ZONEWIRE_SECRET_FILE=zonewire.secret"}, env...)...)
}

// fillAtOnce makes a zone and a list of n readers; what [site.publish] brings is planned at the next full minute, by whoever is first.
func (s *site) fillAtOnce(n int) {
	s.t.Helper()
	s.writeSample(n)
	s.run("zone", "add", "hubin", "--name", "湖滨经济开发区")
	s.run("list", "add", "alerts", "--title", "开工快讯", "--schedule", "@instant", "--keyword", "开工", "--all")
	s.run("subscriber", "import", "readers.csv", "--list", "alerts", "--confirmed", "--consent", "test")
}

func (s *site) publish() {
	s.t.Helper()
	s.run("article", "import", "news.ndjson")
}

// within waits until ok, for what takes longer than [site.eventually] waits.
func (s *site) within(d time.Duration, what string, ok func() bool) {
	s.t.Helper()
	for end := time.Now().Add(d); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("waited in vain for %s", what)
		}
	}
}

// replica is one daemon of several.
type replica struct {
	s    *site
	name string
	addr string
	cmd  *exec.Cmd
	log  string // what it said, a file
	done chan struct{}
	err  error // how it ended, after done
}

// replica starts a daemon and does not wait until it is ready. It is stopped when the test ends, if it still runs.
func (s *site) replica(name string) *replica {
	s.t.Helper()
	r := &replica{s: s, name: name, addr: freeAddr(s.t), log: filepath.Join(s.dir, name+".log"), done: make(chan struct{})}
	r.cmd = s.command("serve")
	r.cmd.Env = append(r.cmd.Env, "ZONEWIRE_HTTP_LISTEN="+r.addr, "ZONEWIRE_HTTP_BASE_URL=https://news.example.com")
	log, err := os.Create(r.log)
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close() // the daemon has its own
	r.cmd.Stderr = log
	if err := r.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() {
		r.err = r.cmd.Wait()
		close(r.done)
	}()
	s.t.Cleanup(func() {
		if s.t.Failed() {
			s.t.Logf("%s: %s", r.name, r.said())
		}
		r.stop()
	})
	return r
}

func (r *replica) signal(sig syscall.Signal) {
	r.s.t.Helper()
	if err := r.cmd.Process.Signal(sig); err != nil {
		r.s.t.Errorf("%s: %v: %v\n%s", r.name, sig, err, r.said())
	}
}

// kill ends a daemon as a crash does.
func (r *replica) kill() {
	r.s.t.Helper()
	r.signal(syscall.SIGKILL)
	<-r.done
}

// stop ends a daemon that runs as an operator would, and wants a clean end.
func (r *replica) stop() {
	select {
	case <-r.done:
		if status, ok := r.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() {
			r.s.t.Errorf("%s ended by itself: %v\n%s", r.name, r.err, r.said())
		}
		return
	default:
	}
	r.signal(syscall.SIGTERM)
	select {
	case <-r.done:
		if r.err != nil {
			r.s.t.Errorf("%s ended with %v\n%s", r.name, r.err, r.said())
		}
	case <-time.After(time.Minute):
		r.s.t.Errorf("%s does not end\n%s", r.name, r.said())
		r.kill()
	}
}

// said is the end of a daemon's log.
func (r *replica) said() string {
	text, err := os.ReadFile(r.log)
	if err != nil {
		return err.Error()
	}
	return "…" + string(text[max(0, len(text)-4000):])
}

// answers reports whether a daemon answers 200 to a GET.
func (r *replica) answers(path string) bool {
	client := http.Client{Timeout: 10 * time.Second}
	res, err := client.Get("http://" + r.addr + path)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	return res.StatusCode == http.StatusOK
}

func (r *replica) ready() bool { return r.answers("/readyz") }
