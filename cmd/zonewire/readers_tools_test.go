package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/mail"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mmcdole/gofeed"
)

// story is an article as a reader shows it.
type story struct {
	ID, Title, Link string
	Published       time.Time
	body            string // its text is compared by itself, for each reader makes its own of it
}

// feedReader is a program of another make, or a library as a program uses it, that follows one feed.
type feedReader struct {
	name    string
	format  string // rss, atom or json
	agent   string // how its User-Agent begins, to tell what it asked
	warmUp  int    // how often it fetches before it sends validators
	deltas  bool   // it asks for them
	keeps   bool   // it keeps what has left the feed
	mails   bool   // it has told what it has told: no correction reaches it
	fetch   func(t *testing.T)
	stories func(t *testing.T) []story // what it shows now
}

// visit is what a reader asked, and what came of it.
type visit struct {
	path, agent, wanted, known string // the last two are A-IM and If-None-Match
	status                     int
	manipulation               string // IM
}

// visits is a proxy before the daemon that notes each visit.
type visits struct {
	base string
	mu   sync.Mutex
	seen []visit
}

func newVisits(t *testing.T, addr string) *visits {
	v := &visits{}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: addr})
			r.Out.Host = r.In.Host
		},
		ModifyResponse: func(res *http.Response) error {
			r := res.Request
			v.mu.Lock()
			defer v.mu.Unlock()
			v.seen = append(v.seen, visit{r.URL.Path, r.UserAgent(), r.Header.Get("A-IM"), r.Header.Get("If-None-Match"), res.StatusCode, res.Header.Get("IM")})
			return nil
		},
		Transport: &http.Transport{DisableCompression: true}, // codings pass as they are
	}
	srv := httptest.NewServer(proxy)
	t.Cleanup(srv.Close)
	v.base = srv.URL
	return v
}

// of takes the visits that a reader has made since it was last asked.
func (v *visits) of(r feedReader) (own []visit) {
	v.mu.Lock()
	defer v.mu.Unlock()
	var others []visit
	for _, x := range v.seen {
		if strings.HasPrefix(x.agent, r.agent) && strings.HasSuffix(x.path, "."+r.format) {
			own = append(own, x)
		} else {
			others = append(others, x)
		}
	}
	v.seen = others
	return own
}

func statuses(all []visit) []int {
	var codes []int
	for _, x := range all {
		codes = append(codes, x.status)
	}
	return codes
}

const debianPython = "/usr/bin/python3" // which alone has Debian's modules

// tool runs a reader in a home of its own, with nothing of ours around it.
func tool(t *testing.T, home string, stdin []byte, command ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir, cmd.Stdin = home, bytes.NewReader(stdin)
	cmd.Env = []string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8", "PYTHONDONTWRITEBYTECODE=1", "XDG_CONFIG_HOME=" + home, "XDG_DATA_HOME=" + home}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", strings.Join(command, " "), err, out, stderr.String())
	}
	return out
}

func homeFile(t *testing.T, home, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(home, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// newsboat follows an address with newsboat, whose guids are unique over all feeds: one cache a feed.
func newsboat(t *testing.T, format, address string) feedReader {
	home := t.TempDir()
	homeFile(t, home, "urls", address+"\n")
	homeFile(t, home, "config", "error-log \"errors\"\ndownload-retries 1\ndownload-timeout 10\n")
	return feedReader{
		name: "newsboat", format: format, agent: "newsboat", warmUp: 2, deltas: true, keeps: true,
		fetch: func(t *testing.T) {
			tool(t, home, nil, "newsboat", "-u", "urls", "-c", "cache.db", "-C", "config", "-x", "reload")
		},
		stories: func(t *testing.T) (all []story) {
			db, err := sql.Open("sqlite3", "file:"+filepath.Join(home, "cache.db")+"?mode=ro")
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			rows, err := db.Query("SELECT guid, title, url, pubDate, content FROM rss_item WHERE deleted = 0")
			if err != nil {
				t.Fatal(err)
			}
			defer rows.Close()
			for rows.Next() {
				var s story
				var published int64
				if err := rows.Scan(&s.ID, &s.Title, &s.Link, &published, &s.body); err != nil {
					t.Fatal(err)
				}
				s.Published = time.Unix(published, 0)
				all = append(all, s)
			}
			if err := rows.Err(); err != nil {
				t.Fatal(err)
			}
			return all
		},
	}
}

// memory is what an application on top of a library keeps of a feed: what a whole answer held, and what deltas added.
type memory struct {
	etag, modified string
	stories        []story
}

func (m *memory) take(status int, got []story) {
	switch status {
	case http.StatusOK:
		m.stories = got
	case http.StatusIMUsed:
		for _, s := range m.stories {
			known := false
			for _, g := range got {
				known = known || g.ID == s.ID
			}
			if !known {
				got = append(got, s)
			}
		}
		m.stories = got
	}
}

// feedparser follows an address as an application does that uses Python's feedparser.
func feedparser(t *testing.T, format, address string) feedReader {
	const script = `
import calendar, feedparser, json, sys
ask = json.load(sys.stdin)
d = feedparser.parse(ask["url"], agent="an application", etag=ask["etag"] or None, modified=ask["modified"] or None)
print(json.dumps({"status": d.get("status"), "etag": d.get("etag", ""), "modified": d.get("modified", ""), "bozo": str(d.get("bozo_exception", "")) if d.bozo else "",
    "entries": [{"id": e.id, "title": e.title, "link": e.link, "published": calendar.timegm(e.published_parsed), "body": e.content[0].value} for e in d.entries]}))`
	home, m := t.TempDir(), memory{}
	return feedReader{
		name: "feedparser", format: format, agent: "an application", warmUp: 1, deltas: true,
		fetch: func(t *testing.T) {
			ask, err := json.Marshal(map[string]string{"url": address, "etag": m.etag, "modified": m.modified})
			if err != nil {
				t.Fatal(err)
			}
			var got struct {
				Status               int
				ETag, Modified, Bozo string
				Entries              []struct {
					ID, Title, Link, Body string
					Published             int64
				}
			}
			if err := json.Unmarshal(tool(t, home, ask, debianPython, "-c", script), &got); err != nil {
				t.Fatal(err)
			}
			if got.Bozo != "" && len(got.Entries) > 0 { // without any, it is the text of an error
				t.Errorf("feedparser, %s: %s", format, got.Bozo)
			}
			var all []story
			for _, e := range got.Entries {
				all = append(all, story{e.ID, e.Title, e.Link, time.Unix(e.Published, 0), e.Body})
			}
			if got.Status == http.StatusMovedPermanently && got.Bozo == "" {
				got.Status = http.StatusOK // it followed, and keeps that to itself
			}
			if m.take(got.Status, all); got.ETag != "" {
				m.etag, m.modified = got.ETag, got.Modified
			}
		},
		stories: func(*testing.T) []story { return m.stories },
	}
}

// rss2email follows an address with rss2email, which makes a mail of each item. It gives itself out for the feedparser in
// it, which asks for deltas, but does not take one.
func rss2email(t *testing.T, format, address string) feedReader {
	home := t.TempDir()
	for _, dir := range []string{"cur", "new", "tmp"} {
		if err := os.MkdirAll(filepath.Join(home, "inbox", dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	homeFile(t, home, "config", "[DEFAULT]\nfrom = news@example.com\nto = wang@example.com\nemail-protocol = maildir\nmaildir-path = "+home+
		"\nmaildir-mailbox = inbox\nhtml-mail = True\ndate-header = True\ndate-header-order = issued, created, modified\n")
	r2e := func(t *testing.T, args ...string) {
		tool(t, home, nil, append([]string{"r2e", "-c", "config", "-d", "data.json"}, args...)...)
	}
	r2e(t, "add", "zone", address)
	return feedReader{
		name: "rss2email", format: format, agent: "feedparser", warmUp: 1, keeps: true, mails: true,
		fetch: func(t *testing.T) { r2e(t, "run") },
		stories: func(t *testing.T) (all []story) {
			files, err := filepath.Glob(filepath.Join(home, "inbox", "new", "*"))
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range files {
				all = append(all, readStory(t, file))
			}
			return all
		},
	}
}

func readStory(t *testing.T, file string) story {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	msg, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	title, err := new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject"))
	if err != nil {
		t.Fatal(err)
	}
	date, err := msg.Header.Date()
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(decoded(msg))
	if err != nil {
		t.Fatal(err)
	}
	return story{msg.Header.Get("X-RSS-ID"), title, msg.Header.Get("X-RSS-URL"), date, string(body)}
}

// goReader follows an address as a Go program does that uses gofeed.
func goReader(t *testing.T, format, address string) feedReader {
	m := memory{}
	return feedReader{
		name: "gofeed", format: format, agent: "gofeed", warmUp: 1,
		fetch: func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("User-Agent", "gofeed")
			if m.etag != "" {
				req.Header.Set("If-None-Match", m.etag)
			}
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if res.StatusCode != http.StatusOK {
				return
			}
			doc, err := gofeed.NewParser().Parse(res.Body)
			if err != nil {
				t.Errorf("gofeed, %s: %v", format, err)
				return
			}
			var all []story
			for _, it := range doc.Items {
				all = append(all, story{it.GUID, it.Title, it.Link, *it.PublishedParsed, it.Content})
			}
			m.etag = res.Header.Get("ETag")
			m.take(res.StatusCode, all)
		},
		stories: func(*testing.T) []story { return m.stories },
	}
}

// realReaders are all readers over all formats that each takes, none of which has fetched anything.
func realReaders(t *testing.T, feeds string) (all []feedReader) {
	t.Helper()
	for _, format := range []string{"rss", "atom"} {
		address := feeds + "/feed." + format
		all = append(all, newsboat(t, format, address), feedparser(t, format, address), rss2email(t, format, address), goReader(t, format, address))
	}
	return append(all, goReader(t, "json", feeds+"/feed.json"))
}
