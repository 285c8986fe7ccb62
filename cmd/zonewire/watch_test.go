package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/PuerkitoBio/goquery"
	"github.com/google/go-cmp/cmp"

	"zonewire"
	"zonewire/internal/address"
	"zonewire/outbox"
	"zonewire/store"
	"zonewire/templates"
)

var watchNow = time.Date(2026, 11, 24, 9, 0, 0, 0, zonewire.Shanghai)

func shippedTemplates(t *testing.T) *templates.Set {
	t.Helper()
	set, err := templates.Load("")
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func namesOf(all []matter) []string {
	names := []string{}
	for _, m := range all {
		names = append(names, m.Name)
	}
	return names
}

func TestUsualGap(t *testing.T) {
	const day = 24 * time.Hour
	for _, tt := range []struct {
		name string
		days []int64
		want time.Duration
	}{
		{"no news", nil, 0},
		{"four days of news are no custom", []int64{1, 2, 3, 4}, 0},
		{"every day", []int64{1, 2, 3, 4, 5}, day},
		{"every week", []int64{10, 17, 24, 31, 38}, 7 * day},
		{"a burst and a pause", []int64{0, 1, 2, 3, 10}, 60 * time.Hour},
	} {
		if got, usual := usualGap(tt.days); got != tt.want || usual != (tt.want > 0) {
			t.Errorf("%s: got %v, %v, want %v", tt.name, got, usual, tt.want)
		}
	}
}

func TestSilentZones(t *testing.T) {
	const day = 24 * time.Hour
	daily, weekly, new := []int64{1, 2, 3, 4, 5}, []int64{1, 8, 15, 22, 29}, []int64{1, 2}
	for _, tt := range []struct {
		name    string
		days    []int64
		silence time.Duration
		silent  bool
	}{
		{"a daily zone after a weekend", daily, 2 * day, false},
		{"just before three days", daily, 3*day - time.Second, false},
		{"three days", daily, 3 * day, true},
		{"a weekly zone after three days", weekly, 3 * day, false},
		{"after nearly three weeks", weekly, 21*day - time.Second, false},
		{"after three weeks", weekly, 21 * day, true},
		{"a zone that has no custom yet", new, 80 * day, false},
	} {
		all := []store.ZoneArrivals{{Zone: zonewire.Zone{Slug: "hubin", Name: "湖滨经济开发区"}, Arrivals: store.Arrivals{Days: tt.days, Last: watchNow.Add(-tt.silence)}}}
		got, err := silentZones(all, shippedTemplates(t), "en", watchNow)
		if err != nil {
			t.Fatal(err)
		}
		want := []string{}
		if tt.silent {
			want = []string{"zone-silent:hubin"}
		}
		if !slices.Equal(namesOf(got), want) {
			t.Errorf("%s: got %v, want %v", tt.name, namesOf(got), want)
		}
	}
}

func TestWhatIsAnAlarm(t *testing.T) {
	ago := func(d time.Duration) time.Time { return watchNow.Add(-d) }
	for _, tt := range []struct {
		name string
		s    sight
		want []string
	}{
		{"all is well", sight{}, []string{}},
		{"paused for an hour", sight{paused: "by the operator", pausedAt: ago(time.Hour)}, []string{}},
		{"paused for over an hour", sight{paused: "by the operator", pausedAt: ago(time.Hour + 1)}, []string{"sending-paused"}},
		{"paused by a program that did not note when", sight{paused: "by the operator"}, []string{"sending-paused"}},
		{"a list is overdue", sight{overdue: []zonewire.List{{Slug: "morning"}, {Slug: "noon"}}}, []string{"list-overdue:morning", "list-overdue:noon"}},
		{"a list is complained of", sight{complained: []store.Complained{{List: "morning"}}}, []string{"list-complaints:morning"}},
		{"a provider is only slow", sight{providers: []zonewire.Provider{{Name: "qq", Rate: 12, Reason: "too fast"}}}, []string{}},
		{"a provider refuses us", sight{providers: []zonewire.Provider{{Name: "qq", Opened: ago(time.Minute)}}}, []string{"provider-open:qq"}},
		{"its breaker stays open while a probe is out", sight{providers: []zonewire.Provider{{Name: "qq", Opened: ago(time.Hour), OpenUntil: ago(time.Minute), Probed: ago(1)}}}, []string{"provider-open:qq"}},
		{"a provider is frozen", sight{providers: []zonewire.Provider{{Name: "qq", Frozen: watchNow.Add(1)}}}, []string{"provider-frozen:qq"}},
		{"a freeze is over", sight{providers: []zonewire.Provider{{Name: "qq", Frozen: watchNow}}}, []string{}},
		{"a source fails since this morning", sight{sources: []zonewire.Source{{ID: 1, State: zonewire.SourceFailing, Memory: zonewire.PollMemory{FailingAt: ago(23 * time.Hour)}}}}, []string{}},
		{"a source fails for a day", sight{sources: []zonewire.Source{{ID: 1, State: zonewire.SourceFailing, Memory: zonewire.PollMemory{FailingAt: ago(24 * time.Hour)}}}}, []string{"source-down:1"}},
		{"sources that bring nothing", sight{sources: []zonewire.Source{
			{ID: 1, State: zonewire.SourceActive}, {ID: 2, State: zonewire.SourceBlocked}, {ID: 3, State: zonewire.SourcePaused},
			{ID: 4, State: zonewire.SourceStopped}, {ID: 5, State: zonewire.SourceSuspended},
		}}, []string{"source-down:2", "source-down:4", "source-down:5"}},
		{"the gravest comes first", sight{
			paused: "x", pausedAt: ago(2 * time.Hour),
			providers:   []zonewire.Provider{{Name: "a.example", Frozen: watchNow.Add(time.Hour)}, {Name: "qq", Opened: ago(1)}},
			undelivered: []store.Undelivered{{Digest: 3, State: zonewire.Uncertain, Count: 1}, {Digest: 4, State: zonewire.Expired, Count: 2}},
		}, []string{"sending-paused", "provider-open:qq", "provider-frozen:a.example", "deliveries-expired:4", "deliveries-uncertain:3"}},
	} {
		got, err := tt.s.matters(shippedTemplates(t), "zh-CN", watchNow)
		if err != nil || !slices.Equal(namesOf(got), tt.want) {
			t.Errorf("%s: got %v, %v, want %v", tt.name, namesOf(got), err, tt.want)
		}
	}
}

// everyAlarm is one of each kind, and two of one.
func everyAlarm(t *testing.T, locale string) []matter {
	t.Helper()
	ago := func(d time.Duration) time.Time { return watchNow.Add(-d) }
	s := sight{
		paused: "by the operator", pausedAt: ago(90 * time.Minute),
		overdue:    []zonewire.List{{Slug: "jiangsu-morning", Title: "江苏园区早报", NextSlot: ago(time.Hour)}},
		complained: []store.Complained{{List: "weekly", Title: "园区周报", Since: ago(26 * time.Hour)}},
		providers: []zonewire.Provider{
			{Name: "qq", Opened: ago(10 * time.Minute), Reason: "550 Mail content denied for wang@qq.com\nhttps://open.work.weixin.qq.com/help2/pc/20022"},
			{Name: "netease", Frozen: watchNow.Add(20 * time.Hour)},
		},
		undelivered: []store.Undelivered{
			{Digest: 41, Title: "江苏园区早报", Timezone: "Asia/Shanghai", Slot: ago(49 * time.Hour), State: zonewire.Expired, Count: 312, Since: ago(time.Hour)},
			{Digest: 42, Title: "江苏园区早报", Timezone: "Asia/Shanghai", Slot: ago(25 * time.Hour), State: zonewire.Uncertain, Count: 2, Since: ago(24 * time.Hour)},
		},
	}
	for i, state := range []zonewire.SourceState{zonewire.SourceFailing, zonewire.SourceBlocked, zonewire.SourceSuspended, zonewire.SourceStopped} {
		s.sources = append(s.sources, zonewire.Source{
			ID: int64(i + 1), URL: "https://www.hubin.example/news/", State: state, Since: ago(time.Hour), Reason: "the server answers 403 Forbidden",
			Memory: zonewire.PollMemory{FailingAt: ago(26 * time.Hour)},
		})
	}
	all, err := s.matters(shippedTemplates(t), locale, watchNow)
	if err != nil {
		t.Fatal(err)
	}
	quiet, err := silentSources([]zonewire.Source{{ID: 7, Title: "湖滨开发区要闻", State: zonewire.SourceActive}}, map[int64]store.Arrivals{
		7: {Days: []int64{1, 2, 3, 4, 5}, Last: ago(4 * 24 * time.Hour)},
	}, shippedTemplates(t), locale, watchNow)
	if err != nil {
		t.Fatal(err)
	}
	all = append(all, quiet...)
	silent, err := silentZones([]store.ZoneArrivals{
		{Zone: zonewire.Zone{Slug: "hubin", Name: "湖滨经济开发区", NameEn: "Hubin Economic Development Zone"}, Arrivals: store.Arrivals{Days: []int64{1, 2, 3, 4, 5}, Last: ago(4 * 24 * time.Hour)}},
		{Zone: zonewire.Zone{Slug: "xigang", Name: "西港高新技术产业开发区"}, Arrivals: store.Arrivals{Days: []int64{1, 2, 4, 5, 8}, Last: ago(6 * 24 * time.Hour)}},
	}, shippedTemplates(t), locale, watchNow)
	if err != nil {
		t.Fatal(err)
	}
	return append(all, silent...)
}

func TestEveryAlarmIsWorded(t *testing.T) {
	for _, locale := range zonewire.Locales() {
		kinds := map[zonewire.AlarmKind]bool{}
		for _, m := range everyAlarm(t, locale) {
			kinds[m.Kind()] = true
			for _, text := range []string{m.title, m.Text} {
				if text == "" || strings.Contains(text, "%!") || strings.Contains(text, "@") || strings.Contains(text, "\n") {
					t.Errorf("%s in %s says %q", m.Name, locale, text)
				}
			}
			words := strings.Fields(m.command)
			cmd, args, err := newRoot(&app{}).Find(words[1:])
			if err == nil {
				err = errors.Join(cmd.ParseFlags(args), cmd.ValidateArgs(cmd.Flags().Args()), cmd.ValidateRequiredFlags())
			}
			if err != nil || words[0] != "zonewire" {
				t.Errorf("%s: nobody can run %q: %v", m.Name, m.command, err)
			}
			if m.Since.IsZero() {
				t.Errorf("%s does not say since when", m.Name)
			}
		}
		for _, kind := range zonewire.AlarmKinds() {
			if !kinds[kind] {
				t.Errorf("no alarm of kind %s in this test", kind)
			}
		}
	}
}

// testWatch is the watch of an installation with an operator, on an empty database.
func testWatch(t *testing.T, log io.Writer, fn func(w *watch, e *engine), env ...string) {
	t.Helper()
	s, err := loadSettings("", filepath.Join(t.TempDir(), "z.db"), append([]string{
		"ZONEWIRE_OPERATOR_EMAIL=op@example.org", "ZONEWIRE_HTTP_BASE_URL=https://news.example.org/",
		"ZONEWIRE_MAIL_FROM=开发区要闻 <news@example.org>", "ZONEWIRE_MAIL_MAILDIR=" + filepath.Join(t.TempDir(), "mail"),
	}, env...))
	if err != nil {
		t.Fatal(err)
	}
	a := &app{settings: s, stderr: io.Discard}
	err = a.with(t.Context(), mayMigrate, func(db *session) error {
		e, err := newEngine(t.Context(), a, db, slog.New(slog.NewTextHandler(log, nil)))
		if err != nil {
			return err
		}
		w, err := e.newWatch()
		if err != nil {
			return err
		}
		fn(w, e)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func alarmsOf(all []matter) []zonewire.Alarm {
	var alarms []zonewire.Alarm
	for _, m := range all {
		alarms = append(alarms, m.Alarm)
	}
	return alarms
}

func TestTheMailOfAnAlarm(t *testing.T) {
	for _, tt := range []struct {
		locale, subject, several string
		want                     []string
	}{
		{"zh-CN", "运行提醒：发送已暂停", "运行提醒：发送已暂停（另有 13 项）", []string{
			"运行提醒", "news.example.org · 2026年11月24日 09:00（北京时间）", "发送已暂停", "自 2026年11月24日 07:30（北京时间）起", "原因：人工暂停。", "zonewire outbox resume",
		}},
		{"en", "Alert: sending is paused", "Alert: sending is paused and 13 more", []string{
			"Alert", "news.example.org · 24 November 2026, 09:00 (UTC+8)", "Sending is paused", "Since 24 November 2026, 07:30 (UTC+8)", "Reason: paused by hand.", "zonewire outbox resume",
		}},
	} {
		testWatch(t, io.Discard, func(w *watch, e *engine) {
			all := everyAlarm(t, tt.locale)
			m, err := w.compose(alarmsOf(all[:1]), all, watchNow)
			if err != nil {
				t.Fatal(err)
			}
			if m.Subject != tt.subject || len(m.HTML) != 1 || len(m.Text) != 1 || m.List != "" {
				t.Errorf("subject %q, %d and %d chunks, list %q; want %q and a notice", m.Subject, len(m.HTML), len(m.Text), m.List, tt.subject)
			}
			for _, want := range tt.want {
				if !strings.Contains(m.Text[0], want) {
					t.Errorf("the text lacks %q:\n%s", want, m.Text[0])
				}
				if !strings.Contains(pageText(t, m.HTML[0]), want) {
					t.Errorf("the page lacks %q:\n%s", want, pageText(t, m.HTML[0]))
				}
			}
			to, err := address.Parse(w.email)
			if err != nil {
				t.Fatal(err)
			}
			env, err := e.composer.Compose(m, zonewire.Job{Kind: zonewire.NoticeJob, ID: 1, Email: w.email}, to)
			if err != nil || env.From != "news@example.org" || env.To != "op@example.org" {
				t.Errorf("envelope %+v, %v", env, err)
			}

			m, err = w.compose(alarmsOf(all), all, watchNow)
			if err != nil || m.Subject != tt.several {
				t.Errorf("subject %q, %v, want %q", m.Subject, err, tt.several)
			}
			for _, a := range all {
				if !strings.Contains(m.Text[0], a.Text) || !strings.Contains(m.Text[0], "\n    "+a.command+"\n") || !strings.Contains(pageText(t, m.HTML[0]), a.command) {
					t.Errorf("%s is not told in full:\n%s", a.Name, m.Text[0])
				}
			}
		}, "ZONEWIRE_OPERATOR_LOCALE="+tt.locale)
	}
}

// When everything goes silent at once, the mail stays short: beyond some it gives headlines.
func TestAMailOfManyAlarmsStaysShort(t *testing.T) {
	testWatch(t, io.Discard, func(w *watch, _ *engine) {
		var arrivals []store.ZoneArrivals
		for i := range 25 {
			arrivals = append(arrivals, store.ZoneArrivals{
				Zone: zonewire.Zone{Slug: fmt.Sprintf("zone-%d", i), Name: fmt.Sprintf("第 %d 开发区", i)}, Arrivals: store.Arrivals{Days: []int64{1, 2, 3, 4, 5}, Last: watchNow.AddDate(0, 0, -9)},
			})
		}
		all, err := silentZones(arrivals, w.set, w.locale, watchNow)
		if err != nil {
			t.Fatal(err)
		}
		m, err := w.compose(alarmsOf(all), all, watchNow)
		if err != nil {
			t.Fatal(err)
		}
		if m.Subject != "运行提醒：第 0 开发区没有新消息（另有 24 项）" {
			t.Errorf("subject %q", m.Subject)
		}
		for _, body := range []string{m.Text[0], pageText(t, m.HTML[0])} {
			if n := strings.Count(body, "zonewire article ls"); n != mostTold {
				t.Errorf("%d told in full, want %d:\n%s", n, mostTold, body)
			}
			for _, want := range []string{"另有 5 项", "第 20 开发区没有新消息", "第 24 开发区没有新消息"} {
				if !strings.Contains(body, want) {
					t.Errorf("it lacks %q:\n%s", want, body)
				}
			}
		}
	})
}

// pageText is what a reader of the page sees of it.
func pageText(t *testing.T, page string) string {
	t.Helper()
	doc, err := goquery.NewDocumentFromReader(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	return doc.Find("body").Text()
}

// mailsIn reads the subjects of the mails in a Maildir, by address.
func mailsIn(t *testing.T, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "new", "*"))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		m, err := mail.ReadMessage(f)
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m.Header.Get("To")+" "+subject)
	}
	return all
}

// Nothing tells an operator that mail has stopped, but the watch. Its mail is held with all other mail, goes out once,
// and comes again when it happens again.
func TestSendingPausedForOverAnHourIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		testWatch(t, &log, func(w *watch, e *engine) {
			ctx, stop := context.WithCancel(t.Context())
			var running sync.WaitGroup
			for _, r := range []runner{w, e.agent(outbox.NewMaildir(e.cfg.Mail.Maildir))} {
				running.Go(func() {
					if err := r.Run(ctx); err != nil {
						t.Error(err)
					}
				})
			}
			do := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			act := func() zonewire.Act { return zonewire.Act{At: time.Now(), By: "cli"} }
			standing := func() []string {
				all, err := e.db.Alarms(ctx)
				do(err)
				names := []string{}
				for _, a := range all {
					names = append(names, a.Name)
				}
				return names
			}
			want := func(when string, alarms, mails []string) {
				t.Helper()
				if diff := cmp.Diff(alarms, standing()); diff != "" {
					t.Errorf("%s: alarms (-want +got):\n%s", when, diff)
				}
				if diff := cmp.Diff(mails, mailsIn(t, e.cfg.Mail.Maildir)); diff != "" {
					t.Errorf("%s: mails (-want +got):\n%s", when, diff)
				}
			}
			const told = "<op@example.org> 运行提醒：发送已暂停"
			time.Sleep(30 * time.Second)
			do(e.db.PauseSending(ctx, act(), "by the operator"))
			time.Sleep(time.Hour)
			want("after an hour", []string{}, nil)
			time.Sleep(2 * time.Minute)
			want("after over an hour", []string{"sending-paused"}, nil)
			time.Sleep(10 * time.Minute)
			want("while it is paused, no mail goes", []string{"sending-paused"}, nil)
			do(e.db.ResumeSending(ctx, act(), false))
			time.Sleep(2 * time.Minute)
			want("resumed", []string{}, []string{told})
			do(e.db.PauseSending(ctx, act(), "by the operator"))
			time.Sleep(time.Hour + 2*time.Minute)
			do(e.db.ResumeSending(ctx, act(), false))
			time.Sleep(10 * time.Minute)
			want("once more", []string{}, []string{told, told})
			stop()
			running.Wait()
		})
		text := log.String()
		if strings.Count(text, `level=WARN msg=alarm alarm=sending-paused`) != 2 || strings.Count(text, `level=INFO msg="alarm ended" alarm=sending-paused`) != 2 {
			t.Errorf("the log must tell twice that it began and ended:\n%s", text)
		}
		if strings.Contains(text, "@") {
			t.Errorf("an address in the log:\n%s", text)
		}
	})
}

// A source whose page has moved answers as ever, and fails nowhere.
func TestASourceThatAnswersWithNothingNewIsAnAlarm(t *testing.T) {
	testWatch(t, io.Discard, func(w *watch, e *engine) {
		ctx := t.Context()
		act := zonewire.Act{At: watchNow, By: "cli"}
		var ids []int64
		for _, url := range []string{"https://a.example/feed", "https://b.example/feed"} {
			s, err := e.db.AddSource(ctx, act, zonewire.Source{Kind: zonewire.FeedSource, URL: url})
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, s.ID)
		}
		for day := range 9 { // the second goes on
			for i, id := range ids {
				at := watchNow.AddDate(0, 0, day)
				if i == 0 && day > 5 {
					continue
				}
				as := []zonewire.Article{{SourceID: id, Title: "园区要闻", ExternalID: strconv.Itoa(day), Received: at}}
				if _, err := e.db.PutArticles(ctx, zonewire.Act{At: at, By: "daemon"}, as); err != nil {
					t.Fatal(err)
				}
			}
		}
		sources, err := e.db.Sources(ctx)
		if err != nil {
			t.Fatal(err)
		}
		got, err := w.lookForSilence(ctx, sources, watchNow.AddDate(0, 0, 8))
		if want := []string{fmt.Sprintf("source-silent:%d", ids[0])}; err != nil || !slices.Equal(namesOf(got), want) {
			t.Errorf("got %v, %v, want %v", namesOf(got), err, want)
		}
	})
}

// Zones are looked at every quarter of an hour; in between their alarms stand. A mail that cannot be composed, or an
// operator who is nobody, keeps no alarm from standing and from the metrics.
func TestAlarmsStandWhetherOrNotTheyCanBeMailed(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "mail"), 0o755), os.WriteFile(filepath.Join(dir, "mail", "alarm.html"), []byte("{{.Nothing}}"), 0o644)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, env, fails string
	}{
		{"nobody to tell", "ZONEWIRE_OPERATOR_EMAIL=", ""},
		{"a template that fails", "ZONEWIRE_TEMPLATES_DIR=" + dir, "alarm.html"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			testWatch(t, io.Discard, func(w *watch, e *engine) {
				ctx := t.Context()
				if _, _, err := e.db.AddZone(ctx, zonewire.Act{At: watchNow, By: "cli"}, zonewire.Zone{Slug: "hubin", Name: "湖滨经济开发区"}); err != nil {
					t.Fatal(err)
				}
				for i := range 6 { // the last arrives five days after the watch has begun to look
					at := watchNow.AddDate(0, 0, i)
					if _, err := e.db.PutArticles(ctx, zonewire.Act{At: at, By: "cli"}, []zonewire.Article{{
						ZoneRaw: "湖滨经济开发区", Title: "湖滨新项目开工", ExternalID: strconv.Itoa(i), ContentHash: strconv.Itoa(i), Received: at,
					}}); err != nil {
						t.Fatal(err)
					}
				}
				last := watchNow.AddDate(0, 0, 5)
				want := func(after time.Duration, n int) {
					t.Helper()
					err := w.beat(ctx, last.Add(after))
					if tt.fails == "" != (err == nil) && n > 0 {
						t.Errorf("after %v: %v, want an error of %q", after, err, tt.fails)
					}
					rec := httptest.NewRecorder()
					e.metrics().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
					if line := fmt.Sprintf(`zonewire_alarms{alarm="zone-silent"} %d`, n); !containsLine(rec.Body.String(), line) {
						t.Errorf("after %v the metrics lack %s", after, line)
					}
				}
				const three = 3 * 24 * time.Hour
				want(three-time.Minute, 0)
				want(three, 0) // not looked at again yet
				want(three+14*time.Minute, 1)
				want(three+15*time.Minute, 1)
				for _, kind := range zonewire.AlarmKinds() {
					rec := httptest.NewRecorder()
					e.metrics().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
					if kind != zonewire.AlarmZoneSilent && !containsLine(rec.Body.String(), fmt.Sprintf("zonewire_alarms{alarm=%q} 0", kind)) {
						t.Errorf("the metrics lack %s at 0", kind)
					}
				}
			}, tt.env)
		})
	}
}
