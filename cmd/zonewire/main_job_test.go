package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"zonewire/api"
	"zonewire/internal/smtptest"
)

// freeAddr is an address that nobody listens on now.
func freeAddr(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// daemon starts zonewire serve and waits until it is ready. stop ends it as an operator would, and wants a clean exit.
func (s *site) daemon(addr string) (stop func()) {
	s.t.Helper()
	cmd := s.command("serve")
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	stopped := false
	stop = func() {
		s.t.Helper()
		if stopped {
			return
		}
		stopped = true
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			s.t.Errorf("stop the daemon: %v", err)
		}
		if err := cmd.Wait(); err != nil {
			s.t.Errorf("the daemon ended with %v:\n%s", err, log.String())
		}
		if strings.Contains(log.String(), "@") {
			s.t.Errorf("an address in the log:\n%s", log.String())
		}
	}
	s.t.Cleanup(stop)
	s.eventually("the daemon to be ready", func() bool {
		res, err := http.Get("http://" + addr + "/readyz")
		if err != nil {
			return false
		}
		defer res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	return stop
}

func (s *site) eventually(what string, ok func() bool) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	for !ok() {
		select {
		case <-ctx.Done():
			s.t.Fatalf("waited in vain for %s", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func get(t *testing.T, url string) (body string, res *http.Response) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b), res
}

// The main job: a portal page goes in, the zone's three feeds and a mailed digest come out.
func TestFromPortalPageToFeedsAndDigest(t *testing.T) {
	pages := map[string]string{
		"testdata/pages/chenghu-halfwidth.txt":   "江苏澄湖经济开发区",
		"testdata/pages/qingjia-fullwidth.txt":   "",
		"testdata/pages/weining.html":            "",
		"../../../shared/sample/portal-page.txt": "",
	}
	for page := range pages {
		t.Run(filepath.Base(page), func(t *testing.T) {
			if _, err := os.Stat(page); err != nil {
				t.Skipf("no page %s here", filepath.Base(page))
			}
			theMainJob(t, page)
		})
	}
}

func theMainJob(t *testing.T, page string) {
	srv, addr := smtptest.New(t, smtptest.Options{}), freeAddr(t)
	s := newSite(t, append(smtpEnv(srv), "ZONEWIRE_HTTP_LISTEN="+addr, "ZONEWIRE_HTTP_BASE_URL=http://"+addr)...)
	path, err := filepath.Abs(page)
	if err != nil {
		t.Fatal(err)
	}
	s.run("db", "migrate")
	s.daemon(addr)

	var dry struct{ Articles []api.Article }
	if err := json.Unmarshal([]byte(s.run("article", "import", "--dry-run", "-o", "json", path)), &dry); err != nil || len(dry.Articles) != 1 {
		t.Fatalf("dry run: %v, %d articles", err, len(dry.Articles))
	}
	a := dry.Articles[0]
	s.run("zone", "add", "the-zone", "--name", a.ZoneRaw)
	s.run("list", "add", "daily", "--title", "园区早报", "--schedule", "0 8 * * *", "--zone", "the-zone", "--max-age", "0")
	s.run("subscriber", "add", "wang@example.com", "--list", "daily", "--confirmed", "--consent", "test")
	s.run("article", "import", path)

	for _, format := range []string{"rss", "atom", "json"} {
		url := "http://" + addr + "/zones/the-zone/feed." + format
		var body string
		s.eventually("the article in feed."+format, func() bool {
			body, _ = get(t, url)
			return strings.Contains(html(body), a.Title)
		})
		if format == "json" {
			var doc struct {
				Items []struct {
					Title       string
					ContentHTML string `json:"content_html"`
				}
			}
			if err := json.Unmarshal([]byte(body), &doc); err != nil || len(doc.Items) != 1 || doc.Items[0].Title != a.Title {
				t.Errorf("feed.json: %v, %+v", err, doc)
			}
			if n := strings.Count(doc.Items[0].ContentHTML, "<p"); n != strings.Count(a.ContentHTML, "<p") || n == 0 {
				t.Errorf("feed.json has %d paragraphs, the article %d", n, strings.Count(a.ContentHTML, "<p"))
			}
		} else if err := xml.Unmarshal([]byte(body), new(struct{})); err != nil {
			t.Errorf("feed.%s: %v", format, err)
		}
		_, res := get(t, url)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("If-None-Match", res.Header.Get("ETag"))
		res, err = http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if res.Body.Close(); res.StatusCode != http.StatusNotModified {
			t.Errorf("feed.%s with its ETag: %s, want 304", format, res.Status)
		}
	}

	s.run("digest", "cut", "daily")
	s.eventually("the digest at the mail server", func() bool { return len(srv.Mails()) == 1 })
	m := srv.Mails()[0]
	text, page2 := parts(t, m.Raw)
	if m.To != "wang@example.com" || !strings.Contains(text, a.Title) || !strings.Contains(html(page2), a.Title) {
		t.Errorf("the mail to %s does not hold the article:\n%s", m.To, text)
	}

	// The reader leaves by the link in the mail: looking does nothing, the button does.
	link := regexp.MustCompile(`http://\S+/unsubscribe/[a-z0-9-]+`).FindString(text)
	if _, res := get(t, link); res.StatusCode != http.StatusOK {
		t.Errorf("GET %s: %s", link, res.Status)
	}
	if out := s.run("subscriber", "show", "wang@example.com"); !strings.Contains(out, "active") {
		t.Errorf("a GET of the link changed the subscription:\n%s", out)
	}
	res, err := http.Post(link, "application/x-www-form-urlencoded", strings.NewReader("List-Unsubscribe=One-Click"))
	if err != nil {
		t.Fatal(err)
	}
	if res.Body.Close(); res.StatusCode != http.StatusOK {
		t.Errorf("POST %s: %s", link, res.Status)
	}
	if out := s.run("subscriber", "show", "wang@example.com"); !strings.Contains(out, "unsubscribed") {
		t.Errorf("one click did not end the subscription:\n%s", out)
	}
}

// html undoes the references that feeds and mails write.
func html(s string) string {
	return strings.NewReplacer("&amp;", "&", "&#34;", `"`, "&#x26;", "&", "&lt;", "<", "&gt;", ">").Replace(s)
}

// parts gives the two bodies of a digest mail, decoded.
func parts(t *testing.T, raw []byte) (text, page string) {
	t.Helper()
	msg, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	_, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	r := multipart.NewReader(msg.Body, params["boundary"])
	var bodies []string
	for {
		p, err := r.NextPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, p))
		if err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, string(b))
	}
	if len(bodies) != 2 {
		t.Fatalf("%d parts, want text and HTML", len(bodies))
	}
	return bodies[0], bodies[1]
}

// A daemon told to stop in the middle of a send finishes the mails under way, and the next one goes on.
func TestStoppingCutsNoMail(t *testing.T) {
	const readers = 400
	srv, addr := smtptest.New(t, smtptest.Options{}), freeAddr(t)
	s := newSite(t, append(smtpEnv(srv), "ZONEWIRE_HTTP_LISTEN="+addr, "ZONEWIRE_HTTP_BASE_URL=http://"+addr)...)
	s.fill(readers)
	stop := s.daemon(addr)
	s.eventually("the first mails", func() bool { return len(srv.Mails()) > 20 })
	stop()
	sent := len(srv.Mails())
	if c := s.counts(); c["accepted"] != sent || c["leased"] != 0 || c["uncertain"] != 0 {
		t.Errorf("after a clean stop: %v, the server took %d", c, sent)
	}
	s.daemon(addr)
	s.eventually("the rest", func() bool { return s.counts()["accepted"] == readers })
	if n := len(srv.Mails()); n != readers {
		t.Errorf("the server took %d mails, want %d: none twice", n, readers)
	}
}

// An SMTP server that is down holds nothing up and loses nothing.
func TestAServerThatIsDown(t *testing.T) {
	addr := freeAddr(t)
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t, "ZONEWIRE_MAIL_TRANSPORT=smtp", "ZONEWIRE_MAIL_HOST="+host, "ZONEWIRE_MAIL_PORT="+port, "ZONEWIRE_MAIL_TLS=none", "ZONEWIRE_MAIL_FROM=news@example.com")
	s.fill(3)
	out, err := s.command("outbox", "drain").CombinedOutput()
	if _, failed := err.(*exec.ExitError); !failed || !strings.Contains(string(out), fmt.Sprintf("%s:%s", host, port)) {
		t.Errorf("drain: %v, %s: want a failure that names the server", err, out)
	}
	if c := s.counts(); c["pending"] != 3 {
		t.Errorf("counts %v, want all three pending", c)
	}
}
