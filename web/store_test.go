package web_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zonewire"
	"zonewire/store"
	"zonewire/web"
)

// site is the pages over a real store, and a clock.
type site struct {
	*testing.T
	db    *store.DB
	pages http.Handler
	clock time.Time
}

func newSite(t *testing.T) *site {
	t.Helper()
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "zonewire.db"), store.Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	s := &site{T: t, db: db, clock: now}
	act := zonewire.Act{At: now, By: "test"}
	for _, slug := range []string{"yunhe", "qingtan"} {
		if _, _, err := db.AddZone(t.Context(), act, zonewire.Zone{Slug: slug, Name: slug, Province: "江苏省"}); err != nil {
			t.Fatal(err)
		}
	}
	for slug, schedule := range map[string]string{"morning": "0 8 * * *", "weekly": "0 9 * * 1"} {
		l := zonewire.List{Slug: slug, Title: slug, Schedule: schedule, Timezone: zonewire.DefaultTimezone, All: true, Locale: "zh-CN", MaxItems: 60, NextSlot: now.Add(time.Hour)}
		if _, err := db.AddList(t.Context(), act, l, time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	set, err := shipped()
	if err != nil {
		t.Fatal(err)
	}
	s.pages = web.New(db, web.Config{
		BaseURL: base, Secret: secret, Templates: set, Feeds: feeds, Now: func() time.Time { return s.clock }, Log: slog.New(slog.DiscardHandler),
		From: "news@example.cn", MailHost: "example.cn",
	})
	return s
}

// post presses a button, and follows the answer as a browser does.
func (s *site) post(path string, pairs ...string) *httptest.ResponseRecorder {
	s.Helper()
	w := do(s.pages, visit{path: path, form: fields(pairs...)}.request())
	if w.Code == http.StatusSeeOther {
		w = get(s.pages, w.Header().Get("Location"))
	}
	return w
}

// says checks the headline or the notice of an answer.
func (s *site) says(w *httptest.ResponseRecorder, want string) {
	s.Helper()
	doc := parse(s.T, w)
	said := texts(doc, ".notice")
	if len(said) == 0 {
		said = texts(doc, "h1")
	}
	if len(said) != 1 || !strings.HasPrefix(said[0], want) {
		s.Fatalf("the page says %q, want %q (status %d)", said, want, w.Code)
	}
}

// link is the latest of a purpose that was mailed.
func (s *site) link(purpose zonewire.Purpose, path string) string {
	s.Helper()
	for id := int64(50); id > 0; id-- {
		if _, _, err := s.db.Ticket(s.Context(), purpose, id, s.clock); err == nil {
			return path + token(purpose, id)
		}
	}
	s.Fatalf("no letter for %s", purpose)
	return ""
}

func (s *site) subscriber(key string) zonewire.Subscriber {
	s.Helper()
	p, err := s.db.Subscriber(s.Context(), key)
	if err != nil {
		s.Fatal(err)
	}
	return p
}

// A reader's whole way, from the first form to being forgotten, with the store that serves it.
func TestTheWholeWayOfAReader(t *testing.T) {
	s := newSite(t)
	s.says(s.post("/lists/morning/subscribe", "email", "Lin@Example.com", "zone", "yunhe", "locale", "zh-CN"), "请查收邮件")
	confirm := s.link(zonewire.PurposeConfirm, "/confirm/")
	s.says(get(s.pages, confirm), "确认订阅？")
	equal(t, "state after looking", s.subscriber("lin@example.com").Subscriptions[0].State, zonewire.SubPending)
	s.says(s.post(confirm), "订阅已确认")
	s.says(s.post(confirm), "订阅已确认")
	sub := s.subscriber("lin@example.com").Subscriptions[0]
	equal(t, "zones", sub.Zones, []string{"yunhe"})
	if !strings.Contains(sub.Consent, "/lists/morning") {
		t.Errorf("consent %q", sub.Consent)
	}

	leave := "/unsubscribe/" + token(zonewire.PurposeUnsubscribe, sub.ID)
	left := s.post(leave, "List-Unsubscribe", "One-Click")
	s.says(left, "已退订")
	s.says(s.post(parse(t, left).Find("main form").AttrOr("action", "")), "订阅已恢复")

	s.says(s.post("/preferences", "email", "lin@example.com"), "请查收邮件")
	prefs := s.link(zonewire.PurposePreferences, "/preferences/")
	place := fmt.Sprintf("%s/places/%d", prefs, sub.ID)
	s.says(s.post(place, "do", "zones", "zone", "qingtan"), "开发区已更改")
	s.says(s.post(place, "do", "pause", "until", "2026-12-24"), "已暂停发送")
	s.says(s.post(place, "do", "resume"), "已恢复")
	s.says(s.post(place, "do", "switch", "to", "weekly"), "频率已更改")
	equal(t, "list to move to", s.subscriber("lin@example.com").Subscriptions[0].SwitchTo, "weekly")
	s.says(s.post(place, "do", "switch", "to", ""), "频率保持不变")
	s.says(s.post(prefs, "do", "language", "locale", "en"), "语言已更改")
	equal(t, "status of the download", get(s.pages, prefs+"/data.json").Code, 200)

	s.says(s.post(prefs, "do", "address", "email", "new@example.com"), "请查收邮件")
	twins := map[string]bool{}
	for id := int64(1); id < 50; id++ {
		if _, _, err := s.db.Ticket(t.Context(), zonewire.PurposeAddress, id, s.clock); err == nil {
			twins["/address/"+token(zonewire.PurposeAddress, id)] = true
		}
	}
	equal(t, "letters about the move", len(twins), 2)
	want := "已确认"
	for path := range twins {
		s.says(s.post(path), want)
		want = "邮箱已更换"
	}
	equal(t, "address", s.subscriber("new@example.com").ID, sub.Subscriber)
	equal(t, "status of the link that the old address was sent", get(s.pages, prefs).Code, 410)

	s.clock = s.clock.Add(2 * time.Hour) // a letter an hour
	s.says(s.post("/preferences", "email", "new@example.com"), "请查收邮件")
	prefs = s.link(zonewire.PurposePreferences, "/preferences/")
	s.says(s.post(fmt.Sprintf("%s/places/%d", prefs, sub.ID), "do", "leave"), "已退订这份简报")
	s.says(s.post(prefs, "do", "leave-all"), "已退订全部简报")
	s.says(s.post(prefs+"/erase", "sure", "yes"), "已删除")
	equal(t, "status after it", get(s.pages, prefs).Code, 410)
	equal(t, "status of the old link to leave", do(s.pages, httptest.NewRequest("POST", leave, nil)).Code, 410)
}

func TestAStrangerLearnsNothingAndGetsNothing(t *testing.T) {
	s := newSite(t)
	unknown := s.post("/preferences", "email", "nobody@example.com").Body.String()
	s.says(s.post("/lists/morning/subscribe", "email", "lin@example.com"), "请查收邮件")
	equal(t, "answer", s.post("/preferences", "email", "lin@example.com").Body.String(), unknown)
	if _, err := s.db.Subscriber(t.Context(), "nobody@example.com"); err == nil {
		t.Error("asking for a link made a subscriber")
	}
}

func TestLinksRunOut(t *testing.T) {
	s := newSite(t)
	s.says(s.post("/lists/morning/subscribe", "email", "lin@example.com"), "请查收邮件")
	confirm := s.link(zonewire.PurposeConfirm, "/confirm/")
	s.clock = s.clock.Add(zonewire.ConfirmFor)
	w := s.post(confirm)
	equal(t, "status", w.Code, 410)
	equal(t, "the way on", attrs(parse(t, w), "a.go", "href"), []string{"/lists/morning#subscribe"})
	equal(t, "state", s.subscriber("lin@example.com").Subscriptions[0].State, zonewire.SubPending)
}
