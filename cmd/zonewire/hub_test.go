package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// subscriber is a reader with a callback, as a hub meets it.
type subscriber struct {
	secret string

	mu       sync.Mutex
	agrees   bool // to what it is asked to confirm
	broken   bool // answers 500
	asked    []url.Values
	received []string // bodies whose signature is right
	forged   int
}

func (s *subscriber) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Method == http.MethodGet {
		s.asked = append(s.asked, r.URL.Query())
		if !s.agrees {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, r.URL.Query().Get("hub.challenge"))
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil || s.broken {
		http.Error(w, "not now", http.StatusInternalServerError)
		return
	}
	mac := hmac.New(sha256.New, []byte(s.secret))
	mac.Write(body) // a hash does not fail
	if r.Header.Get("X-Hub-Signature") != "sha256="+hex.EncodeToString(mac.Sum(nil)) {
		s.forged++
		return
	}
	s.received = append(s.received, string(body))
}

func (s *subscriber) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// told reports whether some delivery holds the text, and gives that delivery.
func (s *subscriber) told(text string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, body := range s.received {
		if strings.Contains(body, text) {
			return body, true
		}
	}
	return "", false
}

// A reader subscribes at the hub that a feed names, and from then on is told: of a new article, of a withdrawn one, of what
// came while the daemon was dead, and no more once it has left.
func TestASubscriberOfTheHubIsTold(t *testing.T) {
	addr := freeAddr(t)
	base := "http://" + addr
	s := newSite(t, "ZONEWIRE_HTTP_LISTEN="+addr, "ZONEWIRE_HTTP_BASE_URL="+base, "ZONEWIRE_WEBSUB_ALLOW_PRIVATE=true")
	news := func(id int, title string) {
		t.Helper()
		s.write("news.ndjson", fmt.Sprintf(`{"zone":"hubin","id":"%d","title":"%s","content_text":"全文如下。"}`+"\n", id, title))
		s.run("article", "import", "news.ndjson")
	}
	s.run("zone", "add", "hubin", "--name", "湖滨经济开发区")
	news(1, "开园第一天")
	cmd := s.command("serve")
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	kill := func() {
		if !ended {
			ended = true
			_ = cmd.Process.Kill() // it may have ended by itself, which Wait tells
			_ = cmd.Wait()         // killed: what it says is no news
		}
	}
	t.Cleanup(kill)
	reader := &subscriber{secret: "geheim"}
	callback := httptest.NewServer(reader)
	t.Cleanup(callback.Close)

	var topic string
	s.eventually("a feed that names its hub", func() bool {
		res, err := http.Get(base + "/zones/hubin/feed.atom")
		if err != nil {
			return false
		}
		defer res.Body.Close()
		link := res.Header.Get("Link")
		topic, _, _ = strings.Cut(strings.TrimPrefix(link, "<"), ">")
		return strings.Contains(link, "<"+base+`/hub>; rel="hub"`)
	})
	ask := func(mode, topic string) int {
		t.Helper()
		res, err := http.PostForm(base+"/hub", url.Values{
			"hub.mode": {mode}, "hub.topic": {topic}, "hub.callback": {callback.URL + "/cb?id=7"}, "hub.secret": {reader.secret}, "hub.lease_seconds": {"86400"},
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := res.Body.Close(); err != nil {
			t.Fatal(err)
		}
		return res.StatusCode
	}
	asked := func() int {
		reader.mu.Lock()
		defer reader.mu.Unlock()
		return len(reader.asked)
	}
	if got := ask("subscribe", base+"/zones/nowhere/feed.atom"); got < 400 || got >= 500 {
		t.Errorf("a topic that is not ours: %d", got)
	}
	// Somebody else names its callback: it does not agree, and is not told.
	if got := ask("subscribe", topic); got != http.StatusAccepted {
		t.Fatalf("subscribe: %d, want 202", got)
	}
	s.eventually("the hub to ask the callback", func() bool { return asked() > 0 })
	reader.set(func() { reader.agrees = true })
	before := asked()
	if got := ask("subscribe", topic); got != http.StatusAccepted {
		t.Fatalf("subscribe: %d, want 202", got)
	}
	s.eventually("the hub to take the callback's word", func() bool {
		body, _ := get(t, base+"/metrics")
		return containsLine(body, `zonewire_hub_requests_total{outcome="confirmed"} 1`)
	})

	news(2, "综合保税区封关运作")
	s.eventually("the new article", func() bool { _, ok := reader.told("综合保税区封关运作"); return ok })
	if body, _ := reader.told("综合保税区封关运作"); strings.Contains(body, "开园第一天") {
		t.Errorf("the delivery repeats what the reader has:\n%s", body)
	}
	s.run("article", "withdraw", "2", "--yes")
	s.eventually("the withdrawal", func() bool { _, ok := reader.told("deleted-entry"); return ok })

	// A delivery whose end is not recorded yet would count as a failure, and the next pause be twice as long.
	deliveries := func(outcome string) (n int) {
		body, _ := get(t, base+"/metrics")
		for line := range strings.Lines(body) {
			if count, ok := strings.CutPrefix(line, `zonewire_hub_deliveries_total{outcome="`+outcome+`"} `); ok {
				n, _ = strconv.Atoi(strings.TrimSpace(count)) // what is none counts nothing, and the wait fails
			}
		}
		return n
	}
	s.eventually("all that the reader has to be recorded", func() bool {
		reader.mu.Lock()
		has := len(reader.received)
		reader.mu.Unlock()
		return deliveries("delivered") >= has
	})
	kill()
	news(3, "停机期间的新闻")
	reader.set(func() { reader.broken = true })
	stop := s.daemon(addr)
	s.eventually("a try that fails", func() bool { return deliveries("failed") > 0 })
	reader.set(func() { reader.broken = false })
	s.eventually("what came while the daemon was dead", func() bool { _, ok := reader.told("停机期间的新闻"); return ok })

	before = asked()
	if got := ask("unsubscribe", topic); got != http.StatusAccepted {
		t.Fatalf("unsubscribe: %d, want 202", got)
	}
	s.eventually("the hub to ask whether it was meant", func() bool { return asked() > before })
	stop()
	reader.mu.Lock()
	defer reader.mu.Unlock()
	if reader.forged > 0 {
		t.Errorf("%d deliveries had no right signature", reader.forged)
	}
	for _, q := range reader.asked {
		if q.Get("id") != "7" || q.Get("hub.topic") != topic {
			t.Errorf("asked with %v", q)
		}
	}
	if strings.Contains(log.String(), "geheim") || strings.Contains(log.String(), "/cb") {
		t.Errorf("the log tells of a secret or a callback:\n%s", log.String())
	}
}
