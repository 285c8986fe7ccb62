package web_test

import (
	"fmt"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"zonewire"
)

func TestAccountShowsEveryPlaceAndHowItStands(t *testing.T) {
	st := readers()
	bounced, gone := pausedSub+1, pausedSub+2
	st.subs[bounced] = zonewire.Subscription{ID: bounced, Subscriber: 7, ListID: 3, List: "zhejiang", State: zonewire.SubBounced}
	st.subs[gone] = zonewire.Subscription{ID: gone, Subscriber: 7, ListID: 4, List: "former", State: zonewire.SubActive}
	left := gone + 1
	st.subs[left] = zonewire.Subscription{ID: left, Subscriber: 7, ListID: 6, List: "weekly", State: zonewire.SubUnsubscribed}
	h, _ := serve(t, st)
	doc := parse(t, get(h, account("?lang=en")))
	equal(t, "whose it is", texts(doc, "main > h1 + .meta"), []string{"reader7@example.com"})
	equal(t, "places, none left or on a removed list", texts(doc, ".place h3"), []string{"开发区早报", "云河与青滩", "Zhejiang Weekly"})
	equal(t, "how they stand", texts(doc, ".place .state"), []string{"Paused until 24 December 2026.", "Stopped, because mail to you came back. Please change your address."})
	equal(t, "zones", texts(doc, ".place dd:first-of-type"), []string{"All of the list", "weekdays at 08:00", "Yunhe Economic and Technological Development Zone", "weekdays at 08:00", "All of the list", "weekdays at 08:00"})
	equal(t, "links", attrs(doc, ".place .go", "href")[:1], []string{placePath(activeSub) + "?lang=en"})
}

func TestManyPickedZonesAreCounted(t *testing.T) {
	st := with(readers(), 40)
	sub := st.subs[activeSub]
	for i := range int64(30) {
		sub.ZoneIDs = append(sub.ZoneIDs, 100+i)
	}
	st.subs[activeSub] = sub
	h, _ := serve(t, st)
	names := texts(parse(t, get(h, account(""))), ".place:first-of-type dd")[0]
	if strings.Count(names, "开发区 ·") != 11 || !strings.HasSuffix(names, "第 11 经济技术开发区 … 30 个开发区") {
		t.Errorf("zones read %q, want a dozen and the count", names)
	}
}

func TestChangesOfAPlace(t *testing.T) {
	for _, tt := range []struct {
		name   string
		sub    int64
		form   url.Values
		want   string // what the store is asked
		notice string
	}{
		{"some zones", pausedSub, fields("do", "zones", "zone", "qingtan"), "edit 11: zones [2]", "开发区已更改，从下一期起生效。"},
		{"all zones", pausedSub, fields("do", "zones"), "edit 11: zones []", "开发区已更改，从下一期起生效。"},
		{"pause until a day, on the list's clock", activeSub, fields("do", "pause", "until", "2026-12-01"), "edit 1: pause until 2026-12-01T00:00:00+08:00", "已暂停发送。"},
		{"pause until resumed", activeSub, fields("do", "pause", "until", ""), "edit 1: pause until 0001-01-01T00:00:00Z", "已暂停发送。"},
		{"pause until tomorrow", activeSub, fields("do", "pause", "until", "2026-11-25"), "edit 1: pause until 2026-11-25T00:00:00+08:00", "已暂停发送。"},
		{"resume", pausedSub, fields("do", "resume"), "edit 11: resume", "已恢复，从下一期起发送。暂停期间的消息不会补发。 查看往期简报"},
		{"another rhythm", activeSub, fields("do", "switch", "to", "weekly"), `edit 1: switch to "weekly"`, "频率已更改，下一期发出之后生效。"},
		{"the rhythm stays", activeSub, fields("do", "switch", "to", ""), `edit 1: switch to ""`, "频率保持不变。"},
		{"leave", activeSub, fields("do", "leave"), "leave 1", "已退订这份简报。"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			st := readers()
			h, _ := serve(t, st)
			w := do(h, visit{path: placePath(tt.sub), form: tt.form}.request())
			equal(t, "status", w.Code, 303)
			equal(t, "change", st.writes, []string{tt.want + " by page"})
			equal(t, "what the page then says", texts(parse(t, get(h, w.Header().Get("Location"))), `.notice[role="status"]`), []string{tt.notice})
		})
	}
}

func TestChangesOfAPerson(t *testing.T) {
	for _, tt := range []struct {
		name   string
		form   url.Values
		want   string
		notice string
	}{
		{"a language", fields("do", "language", "locale", "en"), `language "en"`, "Language changed."},
		{"each list's own language", fields("do", "language", "locale", ""), `language ""`, "Language changed."},
		{"a made-up language is that of each list", fields("do", "language", "locale", "fr"), `language ""`, "Language changed."},
		{"leave all", fields("do", "leave-all"), "leave all 2", "You have left all lists."},
		{"another address", fields("do", "address", "email", "New@Example.com"), "move to new@example.com", "Check both mailboxes: the change takes effect when both addresses have agreed."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			st := readers()
			h, _ := serve(t, st)
			w := do(h, visit{path: account("?lang=en"), form: tt.form}.request())
			equal(t, "status", w.Code, 303)
			equal(t, "change", st.writes, []string{tt.want + " by page"})
			equal(t, "what the page then says", texts(parse(t, get(h, w.Header().Get("Location"))), ".notice"), []string{tt.notice})
		})
	}
}

func TestLeavingInTheAccountCanBeTakenBack(t *testing.T) {
	st := readers()
	h, _ := serve(t, st)
	w := do(h, visit{path: placePath(activeSub), form: fields("do", "leave")}.request())
	undo := attrs(parse(t, get(h, w.Header().Get("Location"))), `form[action^="/undo/"]`, "action")
	if len(undo) != 1 {
		t.Fatalf("ways back: %q, want one", undo)
	}
	do(h, httptest.NewRequest("POST", undo[0], nil))
	equal(t, "state", st.subs[activeSub].State, zonewire.SubActive)
	forged := account("?done=leave&undo=" + token(zonewire.PurposeUnsubscribe, activeSub))
	equal(t, "a token of another purpose", parse(t, get(h, forged)).Find(`form[action^="/undo/"]`).Length(), 0)
}

func TestResumingLinksWhatWasMissed(t *testing.T) {
	st := readers()
	st.lists[4].Private = true
	h, _ := serve(t, st)
	w := do(h, visit{path: placePath(pausedSub), form: fields("do", "resume")}.request())
	link := parse(t, get(h, w.Header().Get("Location"))).Find(".notice a").AttrOr("href", "")
	equal(t, "past issues", link, "/lists/two?key="+token(zonewire.PurposePrivate, 5))
	equal(t, "status of that page", get(h, link).Code, 200)
}

// Another rhythm is another list with the same news: open to all, not paused, not one that they are on.
func TestRhythms(t *testing.T) {
	all := zonewire.List{ID: 20, Slug: "x", Title: "x", Schedule: "0 18 * * 5", Timezone: "Asia/Shanghai", All: true, Locale: "en"}
	for _, tt := range []struct {
		name string
		edit func(*zonewire.List)
		want []string
	}{
		{"the same news at another time", func(*zonewire.List) {}, []string{"", "weekly", "x"}},
		{"the same time", func(l *zonewire.List) { l.Schedule = "0 8 * * 1-5" }, []string{"", "weekly"}},
		{"the same clock time elsewhere", func(l *zonewire.List) { l.Schedule, l.Timezone = "0 8 * * 1-5", "Europe/Berlin" }, []string{"", "weekly", "x"}},
		{"a private list", func(l *zonewire.List) { l.Private = true }, []string{"", "weekly"}},
		{"a paused list", func(l *zonewire.List) { l.Paused = true }, []string{"", "weekly"}},
		{"a list of one category", func(l *zonewire.List) { l.Category = "招商" }, []string{"", "weekly"}},
		{"a list of what names a word", func(l *zonewire.List) { l.Keyword = "新能源" }, []string{"", "weekly"}},
		{"a list of one province", func(l *zonewire.List) { l.All, l.Province = false, "江苏省" }, []string{"", "weekly"}},
		{"a list of named zones", func(l *zonewire.List) { l.All, l.ZoneIDs = false, []int64{1} }, []string{"", "weekly"}},
		{"a removed list", func(l *zonewire.List) { l.Removed = now }, []string{"", "weekly"}},
	} {
		st := readers()
		l := all
		tt.edit(&l)
		st.lists = append(st.lists, l)
		h, _ := serve(t, st)
		equal(t, tt.name, attrs(parse(t, get(h, placePath(activeSub))), `input[name="to"]`, "value"), tt.want)
	}
	st := readers()
	st.subs[12] = zonewire.Subscription{ID: 12, Subscriber: 7, ListID: 6, List: "weekly", State: zonewire.SubActive}
	h, _ := serve(t, st)
	equal(t, "a list that they are on", attrs(parse(t, get(h, placePath(activeSub))), `input[name="to"]`, "value"), []string{})
}

func TestASwitchThatWaitsShowsBothStates(t *testing.T) {
	st := readers()
	sub := st.subs[activeSub]
	sub.SwitchTo = "weekly"
	st.subs[activeSub] = sub
	h, _ := serve(t, st)
	equal(t, "on the account", texts(parse(t, get(h, account(""))), ".place:first-of-type dd")[1], "工作日 08:00下一期之后改为：每周一 09:00")
	equal(t, "ticked", attrs(parse(t, get(h, placePath(activeSub))), `input[name="to"][checked]`, "value"), []string{"weekly"})
}

// The token in the path is the power; a browser that says that another site sent it is believed all the same.
func TestAnotherSiteCannotPostForAPerson(t *testing.T) {
	for _, path := range []string{account(""), placePath(activeSub), account("/erase")} {
		for from, refused := range map[string]bool{"cross-site": true, "same-origin": false, "none": false, "": false} {
			st := readers()
			h, _ := serve(t, st)
			form := fields("do", map[bool]string{true: "leave", false: "leave-all"}[strings.Contains(path, "places")], "sure", "yes")
			w := do(h, visit{path: path, form: form}.request(), "Sec-Fetch-Site", from)
			if got := w.Code == 403; got != refused || refused == (len(st.writes) > 0) {
				t.Errorf("POST %s from %q: status %d, changes %q", path, from, w.Code, st.writes)
			}
		}
	}
}

// What the store refuses is no fault of ours: the page was opened before something changed.
func TestAChangeThatIsNotPossibleAnyMoreIsTold(t *testing.T) {
	for _, v := range []visit{
		{path: placePath(activeSub), form: fields("do", "pause")},
		{path: "/lists/morning/subscribe", form: fields("email", "new@example.com")},
	} {
		st := readers()
		st.fail = fmt.Errorf("edit a place: %w", zonewire.Invalidf("only an active one can pause"))
		h, log := serve(t, st)
		w := do(h, v.request())
		equal(t, "status", w.Code, 409)
		checkPage(t, w, zonewire.LocaleZH)
		equal(t, "log", log.String(), "")
	}
}

// What is not sent cannot be paused, and has no rhythm.
func TestAPlaceThatGetsNothingCanOnlyBeLeft(t *testing.T) {
	for _, state := range []zonewire.SubscriptionState{zonewire.SubPending, zonewire.SubBounced} {
		st := readers()
		sub := st.subs[activeSub]
		sub.State = state
		st.subs[activeSub] = sub
		h, _ := serve(t, st)
		equal(t, string(state), attrs(parse(t, get(h, placePath(activeSub))), `button[name="do"]`, "value"), []string{"leave"})
	}
}

func TestPreferencesEndAfterTwoHours(t *testing.T) {
	st := readers()
	h, _ := serve(t, st)
	st.edit(prefsTicket, func(t *zonewire.Ticket) { t.Expires = now })
	for _, v := range visits() {
		if !strings.HasPrefix(v.path, account("")) {
			continue
		}
		w := do(h, v.request())
		equal(t, v.name+": status", w.Code, 410)
		if strings.Contains(w.Body.String(), "reader7") {
			t.Errorf("%s shows the address", v.name)
		}
	}
	equal(t, "changes", st.writes, []string(nil))
	equal(t, "the way on", attrs(parse(t, get(h, account(""))), "a.go", "href"), []string{"/preferences"})
}

func TestErase(t *testing.T) {
	st := readers()
	h, _ := serve(t, st)
	w := do(h, visit{path: account("/erase"), form: fields("sure", "yes")}.request())
	equal(t, "answer", texts(parse(t, w), "h1"), []string{"已删除"})
	if strings.Contains(w.Body.String(), "reader7") {
		t.Error("the answer shows the address")
	}
	equal(t, "changes", st.writes, []string{"erase 7 by page"})
	for _, path := range []string{account(""), account("/data.json"), placePath(activeSub)} {
		equal(t, "status of "+path, get(h, path).Code, 410)
	}
}

func TestPersonalDataIsADownload(t *testing.T) {
	h, _ := serve(t, readers())
	w := get(h, account("/data.json"))
	checkHeaders(t, w)
	for name, want := range map[string]string{
		"Content-Type": "application/json", "Content-Disposition": `attachment; filename="zonewire-data.json"`,
		"Cache-Control": "private, no-store", "Referrer-Policy": "no-referrer",
	} {
		equal(t, name, w.Header().Get(name), want)
	}
	golden(t, "personal-data.json", w.Body.String())
}

func TestBothAddressesAgreeToAMove(t *testing.T) {
	st := readers()
	h, _ := serve(t, st)
	press := func(ticket int64) []string {
		path := "/address/" + token(zonewire.PurposeAddress, ticket)
		equal(t, "question", texts(parse(t, get(h, path)), "h1, .name")[1:], []string{"new@example.com"})
		return texts(parse(t, do(h, httptest.NewRequest("POST", path, nil))), "h1")
	}
	equal(t, "the new one agrees", press(newTicket), []string{"已确认"})
	equal(t, "it does so twice", press(newTicket), []string{"已确认"})
	equal(t, "the old one agrees", press(oldTicket), []string{"邮箱已更换"})
	equal(t, "the new one looks again", texts(parse(t, get(h, "/address/"+token(zonewire.PurposeAddress, newTicket))), "h1"), []string{"邮箱已更换"})

	st = readers()
	st.taken = "new@example.com"
	h, _ = serve(t, st)
	press(newTicket)
	w := do(h, httptest.NewRequest("POST", "/address/"+token(zonewire.PurposeAddress, oldTicket), nil))
	equal(t, "status when somebody took it meanwhile", w.Code, 409)
	checkPage(t, w, zonewire.LocaleZH)
	if strings.Contains(w.Body.String(), "new@example.com") {
		t.Error("the page names the address that is somebody's")
	}
}

// The day a pause ends begins at the list's midnight, wherever that is.
func TestPauseEndsOnTheListsClock(t *testing.T) {
	for zone, want := range map[string]string{"Asia/Shanghai": "2026-12-01T00:00:00+08:00", "Europe/Berlin": "2026-12-01T00:00:00+01:00", "America/New_York": "2026-12-01T00:00:00-05:00"} {
		st := readers()
		st.lists[0].Timezone = zone
		h, _ := serve(t, st)
		do(h, visit{path: placePath(activeSub), form: fields("do", "pause", "until", "2026-12-01")}.request())
		equal(t, zone, st.writes, []string{fmt.Sprintf("edit 1: pause until %s by page", want)})
		equal(t, "earliest day in "+zone, parse(t, get(h, placePath(activeSub))).Find("#until").AttrOr("min", ""), now.In(must(time.LoadLocation(zone))).AddDate(0, 0, 1).Format(time.DateOnly))
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
