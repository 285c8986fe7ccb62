package main

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/mail"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	nethtml "golang.org/x/net/html"

	"zonewire/internal/smtptest"
)

// press is an installation with two zones, three lists of all their news and one of its own, whose mail arrives here.
type press struct {
	*site
	srv  *smtptest.Server
	base string
	n    int // articles brought in
}

func newPress(t *testing.T, env ...string) *press {
	t.Helper()
	srv, addr := smtptest.New(t, smtptest.Options{}), freeAddr(t)
	p := &press{
		site: newSite(t, append(append(smtpEnv(srv), "ZONEWIRE_HTTP_LISTEN="+addr, "ZONEWIRE_HTTP_BASE_URL=http://"+addr,
			"ZONEWIRE_MAIL_FROM=开发区要闻 <news@example.com>", "ZONEWIRE_MAIL_POSTAL_ADDRESS=江苏省云河市大治路 1 号"), env...)...),
		srv: srv, base: "http://" + addr,
	}
	p.run("zone", "add", "yunhe", "--name", "云河经济开发区", "--name-en", "Yunhe EDZ", "--province", "江苏省", "--city", "云河市")
	p.run("zone", "add", "qingtan", "--name", "青滩高新区", "--name-en", "Qingtan HTZ", "--province", "浙江省", "--city", "青滩市")
	p.run("list", "add", "morning", "--title", "开发区早报", "--schedule", "0 8 * * 1-5", "--workdays", "cn", "--all")
	p.run("list", "add", "weekly", "--title", "开发区周报", "--schedule", "0 9 * * 1", "--all")
	p.run("list", "add", "yunhe-daily", "--title", "云河日报", "--schedule", "0 17 * * *", "--zone", "yunhe")
	p.daemon(addr)
	return p
}

// bring imports an article into a zone.
func (p *press) bring(zone, title, text string) {
	p.t.Helper()
	p.n++
	var b bytes.Buffer
	line(p.t, &b, zone, map[string]string{
		"id": fmt.Sprint(p.n), "title": title, "content_text": text, "source": "云河发布", "url": fmt.Sprintf("https://%s.example/news/%d.html", zone, p.n),
		"published": time.Now().Format(time.RFC3339),
	})
	p.write("news.ndjson", b.String())
	p.run("article", "import", "news.ndjson")
}

// received is a mail as its reader has it.
type received struct {
	to, text, page string
	header         mail.Header
}

// mails gives what has arrived for an address, the oldest first.
func (p *press) mails(to string) []received {
	p.t.Helper()
	var all []received
	for _, m := range p.srv.Mails() {
		if m.To != to {
			continue
		}
		msg, err := mail.ReadMessage(bytes.NewReader(m.Raw))
		if err != nil {
			p.t.Fatal(err)
		}
		r := received{to: to, header: msg.Header}
		r.text, r.page = parts(p.t, m.Raw)
		all = append(all, r)
	}
	return all
}

// next waits for the mail that comes to an address after the first n.
func (p *press) next(to string, n int) received {
	p.t.Helper()
	var all []received
	p.eventually(fmt.Sprintf("mail %d to %s", n+1, to), func() bool {
		all = p.mails(to)
		return len(all) > n
	})
	return all[n]
}

var siteLink = regexp.MustCompile(`https?://[^\s"'<>]+`)

// links are all addresses of our site that a mail holds, anywhere.
func (p *press) links(m received) []string {
	found := map[string]bool{}
	for _, text := range append([]string{m.text, m.page}, slices.Concat(slices.Collect(maps.Values(m.header))...)...) {
		for _, link := range siteLink.FindAllString(text, -1) {
			if link = nethtml.UnescapeString(strings.TrimRight(link, ".,;。；)")); strings.HasPrefix(link, p.base) {
				found[link] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// link is the one address of a mail that holds a part.
func (p *press) link(m received, part string) string {
	p.t.Helper()
	for _, l := range p.links(m) {
		if strings.Contains(l, part) {
			return l
		}
	}
	p.t.Fatalf("no link with %s in the mail to %s:\n%s", part, m.to, m.text)
	return ""
}

// state is a hash of every row that says something of people and their mail.
func (p *press) state() string {
	p.t.Helper()
	sum := sha256.New()
	for _, query := range []string{
		"SELECT * FROM subscriber ORDER BY id", "SELECT * FROM subscription ORDER BY id", "SELECT * FROM ticket ORDER BY id",
		"SELECT * FROM delivery ORDER BY id", "SELECT * FROM notice ORDER BY id", "SELECT * FROM suppression ORDER BY 1",
		"SELECT * FROM list ORDER BY id", "SELECT * FROM digest ORDER BY id", "SELECT * FROM audit ORDER BY id",
	} {
		p.rows(query, func(row string) { fmt.Fprintln(sum, row) })
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// rows reads the database beside the daemon.
func (p *press) rows(query string, each func(row string)) {
	p.t.Helper()
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(p.dir, "zonewire.db")+"?mode=ro")
	if err != nil {
		p.t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query(query)
	if err != nil {
		p.t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		p.t.Fatal(err)
	}
	for rows.Next() {
		values := make([]any, len(columns))
		for i := range values {
			values[i] = new(sql.RawBytes)
		}
		if err := rows.Scan(values...); err != nil {
			p.t.Fatal(err)
		}
		var row []string
		for _, v := range values {
			row = append(row, string(*v.(*sql.RawBytes)))
		}
		each(strings.Join(row, "|"))
	}
	if err := rows.Err(); err != nil {
		p.t.Fatal(err)
	}
}

// ask sends a request as a stranger with no cookie does, and follows no redirect.
func (p *press) ask(method, link string, form url.Values, headers ...string) (body string, res *http.Response) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, link, strings.NewReader(form.Encode()))
	if err != nil {
		p.t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for pair := range slices.Chunk(headers, 2) {
		req.Header.Set(pair[0], pair[1])
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if res, err = client.Do(req); err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	if len(res.Cookies()) > 0 {
		p.t.Errorf("%s %s sets a cookie", method, res.Request.URL.Path)
	}
	return string(b), res
}

// everyMail makes one of every kind of mail that a reader can get come to victim@example.com, and gives them all.
func (p *press) everyMail() []received {
	p.t.Helper()
	const victim = "victim@example.com"
	p.ask(http.MethodPost, p.base+"/lists/morning/subscribe", url.Values{"email": {victim}})
	first := p.next(victim, 0) // confirm
	p.ask(http.MethodPost, p.link(first, "/confirm/"), nil)
	p.run("subscriber", "add", victim, "--list", "yunhe-daily", "--confirmed", "--consent", "test")
	p.ask(http.MethodPost, p.base+"/lists/morning/subscribe", url.Values{"email": {victim}})
	p.next(victim, 1) // known
	p.bring("yunhe", "云河污水处理厂扩建工程招标公告", "投标文件递交的截止时间为"+time.Now().AddDate(0, 0, 9).Format("2006年1月2日")+"9时30分。")
	p.bring("qingtan", "青滩新材料产业园开工", "青滩新材料产业园今天开工。")
	p.run("digest", "cut", "morning")
	p.run("digest", "cut", "yunhe-daily")
	p.next(victim, 3)
	known := slices.IndexFunc(p.mails(victim), func(m received) bool { return strings.Contains(m.text, "/preferences/") })
	if known < 0 {
		p.t.Fatal("who has a place and asks for it gets no link to their preferences")
	}
	account := p.link(p.mails(victim)[known], "/preferences/")
	p.ask(http.MethodPost, account, url.Values{"do": {"address"}, "email": {"other@example.com"}})
	p.next(victim, 4) // old address
	return append(p.mails(victim), p.next("other@example.com", 0))
}

// A scanner follows each link of each mail before its reader does, and a browser fetches ahead: nothing changes.
func TestScannersChangeNothing(t *testing.T) {
	t.Parallel()
	p := newPress(t)
	mails := p.everyMail()
	before, n := p.state(), 0
	for _, m := range mails {
		for _, link := range p.links(m) {
			for _, headers := range [][]string{
				{},
				{"Purpose", "prefetch", "Sec-Purpose", "prefetch;prerender", "X-Moz", "prefetch"},
				{"User-Agent", "Mozilla/5.0 (compatible; BarracudaCentral)", "Accept", "*/*", "Range", "bytes=0-1023"},
			} {
				for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodGet} {
					if _, res := p.ask(method, link, nil, headers...); res.StatusCode >= 400 {
						t.Errorf("%s %s: %s", method, link, res.Status)
					}
					n++
				}
			}
		}
	}
	if n < 100 {
		t.Errorf("only %d requests were made", n)
	}
	if p.state() != before {
		t.Error("following links has changed something")
	}
}

// surface is what a visitor can do on a page: where its links lead, and what its forms send.
type surface struct {
	links []string
	forms []sendable
}

type sendable struct {
	to     string
	fields url.Values
}

// readPage finds links and forms. Fields are filled in as whoever wants to do harm would.
func readPage(t *testing.T, at, body string, fill func(name, value string) string) surface {
	t.Helper()
	doc, err := nethtml.Parse(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	base, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	resolve := func(ref string) string {
		u, err := base.Parse(ref)
		if err != nil {
			return at
		}
		u.Fragment = ""
		return u.String()
	}
	var p surface
	attr := func(n *nethtml.Node, name string) string {
		for _, a := range n.Attr {
			if a.Key == name {
				return a.Val
			}
		}
		return ""
	}
	var walk func(n *nethtml.Node, form *sendable)
	walk = func(n *nethtml.Node, form *sendable) {
		if n.Type == nethtml.ElementNode {
			switch n.Data {
			case "a", "link":
				p.links = append(p.links, resolve(attr(n, "href")))
			case "form":
				if strings.EqualFold(attr(n, "method"), "post") {
					form = &sendable{resolve(attr(n, "action")), url.Values{}}
					defer func() { p.forms = append(p.forms, *form) }()
				}
			case "input", "button", "textarea", "select":
				if name := attr(n, "name"); form != nil && name != "" {
					form.fields.Add(name, fill(name, attr(n, "value")))
				}
			}
		}
		for c := range n.ChildNodes() {
			walk(c, form)
		}
	}
	walk(doc, nil)
	return p
}

// Whoever gets a digest by forwarding can, with all that its links lead to, stop that one list and take that back. They
// learn neither the address that it went to nor the other lists of its reader.
func TestAForwardedDigestHasPowerOverItsListOnly(t *testing.T) {
	t.Parallel()
	// Each request comes from a network of its own, so that no limit stops the walk.
	p := newPress(t, "ZONEWIRE_HTTP_TRUSTED_PROXIES=127.0.0.1")
	n := 0
	ask := func(method, link string, form url.Values) (string, *http.Response) {
		n++
		return p.ask(method, link, form, "X-Forwarded-For", fmt.Sprintf("10.%d.%d.1", n/250, n%250))
	}
	var digest received
	for _, m := range p.everyMail() {
		if strings.HasPrefix(m.header.Get("List-Id"), "开发区早报") || strings.Contains(m.header.Get("List-Id"), "morning") {
			digest = m
		}
	}
	if digest.to == "" {
		t.Fatal("no digest arrived")
	}
	others := func() (rows []string) {
		p.rows(`SELECT u.email, u.locale, l.slug, s.state, s.zones, s.paused_until_ms, s.switch_to FROM subscriber u JOIN subscription s ON s.subscriber_id = u.id
			JOIN list l ON l.id = s.list_id WHERE u.email = 'victim@example.com' AND l.slug <> 'morning'`, func(row string) { rows = append(rows, row) })
		return rows
	}
	before, arrived := others(), len(p.mails("victim@example.com"))
	if len(before) != 1 {
		t.Fatalf("the reader's other places: %q", before)
	}
	fill := func(name, value string) string {
		if name == "email" {
			return "thief@example.net"
		}
		return value
	}
	seen, queue, sent := map[string]bool{}, p.links(digest), map[string]bool{}
	for len(queue) > 0 && len(seen) < 300 {
		at := queue[0]
		queue = queue[1:]
		if seen[at] || !strings.HasPrefix(at, p.base) {
			continue
		}
		seen[at] = true
		body, res := ask(http.MethodGet, at, nil)
		visit := func(body string) {
			if strings.Contains(body, "victim@") {
				t.Errorf("%s tells the reader's address", at)
			}
			if !strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") {
				return
			}
			found := readPage(t, at, body, fill)
			queue = append(queue, found.links...)
			for _, f := range found.forms {
				if key := f.to + f.fields.Encode(); !sent[key] && len(sent) < 60 {
					sent[key] = true
					answer, _ := ask(http.MethodPost, f.to, f.fields)
					if strings.Contains(answer, "victim@") {
						t.Errorf("POST %s tells the reader's address", f.to)
					}
					for _, more := range readPage(t, f.to, answer, fill).forms {
						if strings.Contains(more.to, "/undo/") {
							sent["undo"] = true
							ask(http.MethodPost, more.to, more.fields)
						}
					}
				}
			}
		}
		visit(body)
	}
	if !sent["undo"] || len(seen) < 10 {
		t.Errorf("of %d pages and %d forms none led to leaving: the walk went nowhere", len(seen), len(sent))
	}
	if after := others(); !slices.Equal(after, before) {
		t.Errorf("the reader's other places were %q, and are %q", before, after)
	}
	if now := len(p.mails("victim@example.com")); now != arrived {
		t.Errorf("%d more mails to the reader", now-arrived)
	}
	p.next("thief@example.net", 0) // else no form was sent with an address, and the walk tried nothing
}
