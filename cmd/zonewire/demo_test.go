package main

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// lockedBuffer takes the output of a running process.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestTheDemoShowsTheWholeJob(t *testing.T) {
	s := newSite(t)
	for _, name := range []string{"the first time", "on a folder that is there"} {
		t.Run(name, func(t *testing.T) {
			out := s.startDemo(t)
			for _, url := range regexp.MustCompile(`http://\S+`).FindAllString(out, -1) {
				if _, res := get(t, url); res.StatusCode != http.StatusOK {
					t.Errorf("%s: %s", url, res.Status)
				}
			}
			mail := regexp.MustCompile(`\S+\.eml`).FindString(out)
			raw, err := os.ReadFile(filepath.Join(s.dir, mail))
			if err != nil {
				t.Fatal(err)
			}
			text, page := parts(t, raw)
			if n := strings.Count(text, "/articles/"); n != 64 {
				t.Errorf("the mail links %d articles, want 64", n)
			}
			if !strings.Contains(page, "开发区早报") {
				t.Error("the mail does not name its list")
			}
			if mails, err := filepath.Glob(filepath.Join(s.dir, "zonewire-demo", "mail", "new", "*")); err != nil || len(mails) != 1 {
				t.Errorf("%d mails in the Maildir (%v), want one", len(mails), err)
			}
		})
	}
}

// startDemo runs the demo until the test ends and gives what it prints.
func (s *site) startDemo(t *testing.T) string {
	t.Helper()
	out := &lockedBuffer{}
	cmd := s.command("demo", "--listen", freeAddr(t))
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("the demo ended with %v:\n%s", err, out)
		}
	})
	s.eventually("the demo to say what to open", func() bool { return strings.Contains(out.String(), "Ctrl-C") })
	base := regexp.MustCompile(`http://[^/\s]+`).FindString(out.String())
	s.eventually("the demo to serve", func() bool {
		res, err := http.Get(base + "/readyz")
		if err != nil {
			return false
		}
		defer res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	return out.String()
}
