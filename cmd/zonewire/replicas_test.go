package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"zonewire/internal/pgtest"
	"zonewire/internal/smtptest"
)

// replicas starts so many daemons on the site's database and waits until all are ready.
func (s *site) replicas(n int) []*replica {
	s.t.Helper()
	all := make([]*replica, n)
	for i := range all {
		all[i] = s.replica(fmt.Sprintf("replica%d", i+1))
	}
	for _, r := range all {
		s.within(time.Minute, r.name+" to be ready", r.ready)
	}
	return all
}

// fetched is an answer as a reader compares it with another.
type fetched struct {
	status              int
	body, tag, modified string
}

func (r *replica) fetch(path string, header ...string) fetched {
	r.s.t.Helper()
	a := r.get(path, header...)
	return fetched{a.status, a.body, a.header.Get("ETag"), a.header.Get("Last-Modified")}
}

// push puts an article into the zone hubin by the API.
func (r *replica) push(token string, id int, title string) {
	body := fmt.Sprintf(`{"title": %q, "content_text": "全文如下。", "category": "招商引资"}`, title)
	path := fmt.Sprintf("http://%s/api/v1/zones/hubin/articles/%d", r.addr, id)
	req, err := http.NewRequestWithContext(r.s.t.Context(), http.MethodPut, path, strings.NewReader(body))
	if err != nil {
		r.s.t.Error(err)
		return
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.s.t.Errorf("%s: %v", r.name, err)
		return
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusCreated {
		r.s.t.Errorf("%s: pushed %d: %s", r.name, id, res.Status)
	}
}

// newsroom is a site on a server with a zone, and the token of a CMS.
func newsroom(t *testing.T, env ...string) (s *site, token string) {
	t.Helper()
	s = newPostgresSite(t, pgtest.Database(t), env...)
	s.run("zone", "add", "hubin", "--name", "湖滨经济开发区", "--province", "江苏省")
	return s, strings.TrimSpace(s.run("key", "add", "cms"))
}

// A reader may ask any replica at any time: what is told is the same to the byte, and so are its validators. Changes come in
// through all of them at once and by a command; one is killed and started.
func TestReplicasServeTheSameBytes(t *testing.T) {
	t.Parallel() // it mostly waits
	s, token := newsroom(t)
	all := s.replicas(3)
	month := time.Now().UTC().Add(8 * time.Hour).Format("2006-01") // of arrival, as clocks in China have it
	paths := []string{
		"/feed.rss", "/feed.atom", "/feed.json", "/zones/hubin/feed.rss", "/zones/hubin/feed.atom", "/zones/hubin/feed.json",
		"/feed.atom?category=招商引资&limit=7", "/zones/hubin/feed.json?q=项目", "/zones/hubin/archive/" + month + ".atom", "/zones.opml",
	}
	differ := func() (what []string) {
		for _, path := range paths {
			first := all[0].fetch(path)
			if first.status != http.StatusOK || first.tag == "" {
				what = append(what, fmt.Sprintf("%s: %d, ETag %q", path, first.status, first.tag))
			}
			for _, r := range all[1:] {
				if got := r.fetch(path); got != first {
					what = append(what, fmt.Sprintf("%s: %s %s on one, %s %s on another", path, first.tag, first.modified, got.tag, got.modified))
				}
			}
		}
		return what
	}
	same := func(when string) {
		t.Helper()
		var what []string
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			if what = differ(); len(what) == 0 {
				return
			}
		}
		t.Fatalf("%s:\n%s", when, strings.Join(what, "\n"))
	}

	const each = 15
	var pouring sync.WaitGroup
	for i, r := range all {
		pouring.Go(func() {
			for n := range each {
				r.push(token, 100*(i+1)+n, fmt.Sprintf("第%d个项目开工", 100*(i+1)+n))
			}
		})
	}
	s.writeSample(1)
	s.publish()
	s.run("zone", "add", "linhai", "--name", "临海产业园", "--province", "江苏省")
	pouring.Wait()
	s.within(20*time.Second, "all articles everywhere", func() bool {
		for _, r := range all {
			var doc struct{ Items []json.RawMessage }
			if err := json.Unmarshal([]byte(r.fetch("/feed.json").body), &doc); err != nil || len(doc.Items) != 3*each+1 {
				return false
			}
		}
		return true
	})
	same("after changes through all of them")

	kept := map[string]fetched{}
	for i, path := range paths {
		kept[path] = all[i%3].fetch(path)
		other := all[(i+1)%3]
		for name, value := range map[string]string{"If-None-Match": kept[path].tag, "If-Modified-Since": kept[path].modified} {
			if value == "" { // a part of a feed has no date
				continue
			}
			if got := other.fetch(path, name, value); got.status != http.StatusNotModified {
				t.Errorf("%s: %s of one replica is answered %d by another", path, name, got.status)
			}
		}
	}
	all[1].kill()
	all[1] = s.replica("replica2-again")
	s.within(time.Minute, "the replica to be ready again", all[1].ready)
	same("after a restart")
	for path, was := range kept {
		if got := all[1].fetch(path); got != was {
			t.Errorf("%s: %s %s before its restart, %s %s after", path, was.tag, was.modified, got.tag, got.modified)
		}
	}
	all[2].push(token, 900, "重启以后的项目")
	s.within(20*time.Second, "a new article everywhere", func() bool {
		return strings.Contains(all[0].fetch("/feed.rss").body, "重启以后的项目") && strings.Contains(all[1].fetch("/feed.rss").body, "重启以后的项目")
	})
	same("after another change")
}

// How long it takes is said in the log, and is some quarters of a second on a machine that has nothing else to do.
func TestAChangeThroughOneReplicaShowsOnTheOthers(t *testing.T) {
	t.Parallel() // it mostly waits
	s, token := newsroom(t)
	all := s.replicas(2)
	for _, path := range []string{"/zones/hubin/feed.atom", "/feed.json"} { // somebody reads them
		all[1].fetch(path)
	}
	shows := func(how, title string) {
		t.Helper()
		began := time.Now()
		for _, path := range []string{"/zones/hubin", "/zones/hubin/feed.atom", "/feed.json"} {
			s.within(5*time.Second, title+" in "+path, func() bool { return strings.Contains(all[1].fetch(path).body, title) })
		}
		t.Logf("%s: %v", how, time.Since(began).Round(time.Millisecond))
	}
	for i := range 3 {
		title := fmt.Sprintf("第%d次签约", i)
		all[0].push(token, i, title)
		shows("pushed to the other replica", title)
	}
	s.writeSample(1)
	s.publish()
	shows("imported by a command", "湖滨开发区新项目开工")
	s.run("zone", "edit", "hubin", "--name", "湖滨国家级经济技术开发区")
	shows("a zone's new name", "湖滨国家级经济技术开发区")
}

// All tick, all send. A slot is planned once, each reader has one mail, and each replica does its part. Whoever cuts a digest on
// all at once has one.
func TestReplicasPlanOnceAndShareTheMail(t *testing.T) {
	t.Parallel() // it mostly waits
	const readers = 240
	srv := smtptest.New(t, smtptest.Options{Script: func(e smtptest.Event) smtptest.Action {
		if e.Stage == smtptest.Dot {
			time.Sleep(20 * time.Millisecond) // so that nobody has it all
		}
		return smtptest.Action{}
	}})
	dsn := pgtest.Database(t)
	s := newPostgresSite(t, dsn, append(smtpEnv(srv), "ZONEWIRE_MAIL_CONNECTIONS=2")...)
	s.fillAtOnce(readers)
	s.run("list", "add", "morning", "--title", "园区早报", "--schedule", "0 8 * * *", "--all")
	s.run("subscriber", "import", "readers.csv", "--list", "morning", "--confirmed", "--consent", "test")
	s.replicas(3)
	s.publish()
	var cutters sync.WaitGroup
	for range 3 {
		cutters.Go(func() {
			// What is not the first may find nothing new, or that there is one for this moment.
			_ = s.command("digest", "cut", "morning").Run()
		})
	}
	cutters.Wait()
	s.within(time.Minute, "everybody's mail", func() bool { return len(srv.Mails()) >= 2*readers })
	s.within(time.Minute, "all to be recorded", func() bool {
		return pgtest.Query(t, dsn, "SELECT count(*) FROM delivery WHERE state = 3") == fmt.Sprint(2*readers)
	})
	full := map[string]int{}
	for _, d := range s.digests() {
		if d.Recipients > 0 {
			full[d.List]++
		}
	}
	if full["alerts"] != 1 || full["morning"] != 1 {
		t.Errorf("digests with recipients: %v, want one of each list", full)
	}
	got := map[string]int{}
	for _, m := range srv.Mails() {
		got[m.To]++
	}
	for to, n := range got {
		if n != 2 {
			t.Errorf("%s got %d mails, want one of each list", to, n)
		}
	}
	if ids := srv.MessageIDs(); len(ids) != 2*readers {
		t.Errorf("%d different Message-IDs of %d mails", len(ids), 2*readers)
	}
	parts := strings.Fields(pgtest.Query(t, dsn, "SELECT count(*) FROM delivery GROUP BY worker_id ORDER BY worker_id"))
	t.Logf("the replicas sent %v", parts)
	if len(parts) != 3 {
		t.Errorf("%d replicas sent mail, want 3", len(parts))
	}
}

// A reader leaves by the link in a mail that one replica has sent; the request reaches another. Sending is paused by a
// command, for all.
func TestWhoLeavesOnOneReplicaIsMailedByNone(t *testing.T) {
	t.Parallel() // it mostly waits
	const readers = 12
	srv := smtptest.New(t, smtptest.Options{})
	dsn := pgtest.Database(t)
	s := newPostgresSite(t, dsn, smtpEnv(srv)...)
	s.fill(readers)
	all := s.replicas(2)
	s.within(time.Minute, "the first mails", func() bool { return len(srv.Mails()) == readers })

	s.run("outbox", "pause")
	s.write("news.ndjson", `{"zone":"hubin","id":"2","title":"第二个项目开工","content_text":"项目今日开工。"}`+"\n")
	s.publish()
	s.run("digest", "cut", "morning")
	gone := map[string]bool{}
	for i, m := range srv.Mails()[:4] {
		link := leaveLink(t, m.Raw)
		res, err := http.PostForm("http://"+all[i%2].addr+link.RequestURI(), url.Values{"List-Unsubscribe": {"One-Click"}})
		if err != nil {
			t.Fatal(err)
		}
		if err := res.Body.Close(); err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("leave: %s, %v", res.Status, err)
		}
		gone[m.To] = true
	}
	time.Sleep(3 * time.Second) // both would have sent by now
	if n := len(srv.Mails()); n != readers {
		t.Fatalf("%d mails went while sending was paused", n-readers)
	}
	s.run("outbox", "resume", "--yes")
	s.within(time.Minute, "the second mails", func() bool { return len(srv.Mails()) >= 2*readers-len(gone) })
	s.within(time.Minute, "all to be recorded", func() bool {
		return pgtest.Query(t, dsn, "SELECT count(*) FROM delivery WHERE state IN (0, 1, 2)") == "0"
	})
	for _, m := range srv.Mails()[readers:] {
		if gone[m.To] {
			t.Errorf("%s had left, and was mailed", m.To)
		}
	}
	if n := len(srv.Mails()); n != 2*readers-len(gone) {
		t.Errorf("%d mails, want %d", n, 2*readers-len(gone))
	}
}

// leaveLink is the link by which a mail's reader leaves.
func leaveLink(t *testing.T, raw []byte) *url.URL {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`<(https?://[^>]+)>`).FindStringSubmatch(m.Header.Get("List-Unsubscribe"))
	if found == nil {
		t.Fatalf("List-Unsubscribe: %s", m.Header.Get("List-Unsubscribe"))
	}
	link, err := url.Parse(found[1])
	if err != nil {
		t.Fatal(err)
	}
	return link
}

// Portals see one poller, however many replicas there are.
func TestReplicasPollAPortalOnceATurn(t *testing.T) {
	t.Parallel() // it mostly waits
	const portals = 4
	s, _ := newsroom(t, "ZONEWIRE_INGEST_ALLOW_PRIVATE=true")
	var asked [portals]atomic.Int64
	for i := range portals {
		portal := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/rss.xml" {
				http.NotFound(w, r)
				return
			}
			asked[i].Add(1)
			time.Sleep(300 * time.Millisecond) // long enough for the others to look
			fmt.Fprintf(w, `<?xml version="1.0"?><rss version="2.0"><channel><title>要闻</title><link>http://portal.example/</link><description/>
				<item><guid>%d</guid><title>第%d家门户的新闻</title><description>全文。</description></item></channel></rss>`, i, i)
		}))
		t.Cleanup(portal.Close)
		s.run("source", "add", portal.URL+"/rss.xml", "--zone", "hubin", "--kind", "feed", "--no-try")
	}
	all := s.replicas(3)
	s.within(time.Minute, "the news of every portal", func() bool {
		body := all[2].fetch("/feed.rss").body
		for i := range portals {
			if !strings.Contains(body, fmt.Sprintf("第%d家门户的新闻", i)) {
				return false
			}
		}
		return true
	})
	time.Sleep(3 * time.Second) // some ticks of each
	for i := range asked {
		if n := asked[i].Load(); n != 1 {
			t.Errorf("portal %d was asked %d times in one turn", i, n)
		}
	}
}

// A reader subscribes at one replica's hub; news comes in through all. Each version is posted once, by whichever is first.
func TestReplicasTellASubscriberOnce(t *testing.T) {
	t.Parallel() // it mostly waits
	s, token := newsroom(t, "ZONEWIRE_WEBSUB_ALLOW_PRIVATE=true")
	all := s.replicas(3)
	reader := &subscriber{secret: "geheim", agrees: true}
	callback := httptest.NewServer(reader)
	t.Cleanup(callback.Close)
	all[0].fetch("/zones/hubin/feed.atom")
	res, err := http.PostForm("http://"+all[0].addr+"/hub", url.Values{
		"hub.mode": {"subscribe"}, "hub.topic": {"https://news.example.com/zones/hubin/feed.atom"},
		"hub.callback": {callback.URL + "/cb"}, "hub.secret": {reader.secret},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil || res.StatusCode != http.StatusAccepted {
		t.Fatalf("subscribe: %s, %v", res.Status, err)
	}
	subscribed := func() bool {
		return pgtest.Query(t, s.dsn(), "SELECT count(*) FROM hub_subscription") == "1"
	}
	s.within(time.Minute, "the subscription", subscribed)
	const rounds = 6
	for i := range rounds {
		title := fmt.Sprintf("第%d轮消息", i)
		all[i%3].push(token, i, title)
		s.within(time.Minute, title, func() bool { _, told := reader.told(title); return told })
	}
	time.Sleep(2 * time.Second) // a replica that is late would tell it again
	reader.mu.Lock()
	defer reader.mu.Unlock()
	if n := len(reader.asked); n != 1 {
		t.Errorf("the callback was asked %d times whether it agrees", n)
	}
	seen := map[string]bool{}
	for _, body := range reader.received {
		if seen[body] {
			t.Errorf("told twice:\n%s", body)
		}
		seen[body] = true
	}
	if len(reader.received) != rounds || reader.forged > 0 {
		t.Errorf("told %d times, %d of them with a wrong signature, want %d", len(reader.received), reader.forged, rounds)
	}
}

// dsn is the address of the site's database.
func (s *site) dsn() string {
	for _, v := range s.env {
		if dsn, ok := strings.CutPrefix(v, "ZONEWIRE_DB="); ok {
			return dsn
		}
	}
	return ""
}
