package web_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"zonewire"
)

// visit is a request for one of people's pages.
type visit struct {
	name string
	path string
	form url.Values // nil: a GET
	want int
}

func (v visit) request() *http.Request {
	if v.form == nil {
		return httptest.NewRequest("GET", v.path, nil)
	}
	r := httptest.NewRequest("POST", v.path, strings.NewReader(v.form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// fields makes a form of names and values in turn.
func fields(pairs ...string) url.Values {
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	return form
}

func account(rest string) string {
	return "/preferences/" + token(zonewire.PurposePreferences, prefsTicket) + rest
}

func placePath(sub int64) string { return account(fmt.Sprintf("/places/%d", sub)) }

// visits are people's pages in every state, over a fresh store of readers each.
func visits() []visit {
	key := "?key=" + token(zonewire.PurposePrivate, 2)
	press := url.Values{}
	return []visit{
		{"subscribed", "/lists/morning/subscribe", fields("email", "new@example.com", "zone", "yunhe", "locale", "en"), 200},
		{"subscribed by someone known", "/lists/morning/subscribe", fields("email", "reader7@example.com"), 200},
		{"subscribed to a private list", "/lists/board/subscribe" + key, fields("email", "new@example.com"), 200},
		{"subscribed to a private list without its key", "/lists/board/subscribe", fields("email", "new@example.com"), 404},
		{"subscribed to a private list with the key of another", "/lists/board/subscribe?key=" + token(zonewire.PurposePrivate, 1), fields("email", "new@example.com"), 404},
		{"subscribed to no list", "/lists/none/subscribe", fields("email", "new@example.com"), 404},
		{"subscribed to a removed list", "/lists/former/subscribe", fields("email", "new@example.com"), 404},
		{"subscribed with a wrong address", "/lists/morning/subscribe", fields("email", "林一舟@", "zone", "qingtan", "locale", "zh-CN"), 422},
		{"subscribed without an address", "/lists/morning/subscribe", press, 422},
		{"subscribed to a zone that is gone", "/lists/two/subscribe", fields("email", "new@example.com", "zone", "shiqiao"), 422},
		{"the answer opened again", "/lists/morning/subscribe", nil, 303},
		{"confirm", "/confirm/" + token(zonewire.PurposeConfirm, confirmTicket), nil, 200},
		{"confirmed", "/confirm/" + token(zonewire.PurposeConfirm, confirmTicket), press, 200},
		{"confirm too late", "/confirm/" + token(zonewire.PurposeConfirm, lateTicket), press, 410},
		{"leave", "/unsubscribe/" + token(zonewire.PurposeUnsubscribe, activeSub), nil, 200},
		{"left", "/unsubscribe/" + token(zonewire.PurposeUnsubscribe, activeSub), press, 200},
		{"left before", "/unsubscribe/" + token(zonewire.PurposeUnsubscribe, leftSub), press, 200},
		{"undo", "/undo/" + token(zonewire.PurposeUndo, undoTicket), nil, 200},
		{"undone", "/undo/" + token(zonewire.PurposeUndo, undoTicket), press, 200},
		{"preferences", "/preferences", nil, 200},
		{"preferences asked for", "/preferences", fields("email", "reader7@example.com"), 200},
		{"preferences of a wrong address", "/preferences", fields("email", "reader7"), 422},
		{"preferences too late", "/preferences/" + token(zonewire.PurposePreferences, oldPrefs), nil, 410},
		{"account", account(""), nil, 200},
		{"account after a change", account("?done=switch"), nil, 200},
		{"account after a made-up change", account("?done=<b>"), nil, 200},
		{"account after a pause", account(fmt.Sprintf("?done=resume&place=%d", activeSub)), nil, 200},
		{"account with a wrong address", account(""), fields("do", "address", "email", "x"), 422},
		{"account with the same address", account(""), fields("do", "address", "email", "Reader7@example.com"), 422},
		{"account with nothing to do", account(""), press, 400},
		{"place", placePath(activeSub), nil, 200},
		{"place that is paused", placePath(pausedSub), nil, 200},
		{"place of someone else", placePath(privateSub), nil, 404},
		{"place that was left", placePath(goneSub), nil, 404},
		{"place with an odd number", account("/places/01"), nil, 404},
		{"place with nothing to do", placePath(activeSub), press, 400},
		{"place paused until yesterday", placePath(activeSub), fields("do", "pause", "until", "2026-11-23"), 422},
		{"place paused until a day that is none", placePath(activeSub), fields("do", "pause", "until", "2026-02-30"), 422},
		{"place paused for ten years", placePath(activeSub), fields("do", "pause", "until", "2036-11-24"), 422},
		{"place with a zone that it has not", placePath(pausedSub), fields("do", "zones", "zone", "beiling"), 422},
		{"place with a list that is not like it", placePath(activeSub), fields("do", "switch", "to", "board"), 422},
		{"erase", account("/erase"), nil, 200},
		{"erase unsure", account("/erase"), press, 422},
		{"erased", account("/erase"), fields("sure", "yes"), 200},
		{"move", "/address/" + token(zonewire.PurposeAddress, newTicket), nil, 200},
		{"moving", "/address/" + token(zonewire.PurposeAddress, newTicket), press, 200},
	}
}

func TestPeoplesPages(t *testing.T) {
	for _, v := range visits() {
		t.Run(v.name, func(t *testing.T) {
			for _, locale := range zonewire.Locales() {
				st := readers()
				h, log := serve(t, st)
				w := do(h, v.request(), "Accept-Language", locale)
				if w.Code != v.want {
					t.Fatalf("in %s: status %d, want %d\n%s", locale, w.Code, v.want, w.Body)
				}
				checkHeaders(t, w)
				if v.want != 303 {
					checkPage(t, w, locale)
					if v.want != 404 && w.Header().Get("Referrer-Policy") != "no-referrer" {
						t.Errorf("Referrer-Policy is %q", w.Header().Get("Referrer-Policy"))
					}
					if cache := w.Header().Get("Cache-Control"); !strings.Contains(cache, "no-store") {
						t.Errorf("Cache-Control is %q", cache)
					}
					if csp := w.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'self'") {
						t.Errorf("policy %q", csp)
					}
				}
				if v.want >= 400 && len(st.writes) > 0 {
					t.Errorf("refused, and yet it changed %q", st.writes)
				}
				if log.Len() > 0 {
					t.Errorf("logged errors, want none: %s", log)
				}
			}
		})
	}
}

// Mail scanners follow every link: what they see changes nothing.
func TestLookingChangesNothing(t *testing.T) {
	st := readers()
	h, _ := serve(t, st)
	for _, v := range visits() {
		for _, method := range []string{"GET", "HEAD"} {
			r := v.request()
			path := v.path
			if r.Method == "POST" { // what was posted, in the address: it must not count
				path += "?" + v.form.Encode()
			}
			if w := do(h, httptest.NewRequest(method, path, nil)); w.Code >= 500 {
				t.Errorf("%s %s: status %d", method, path, w.Code)
			}
		}
	}
	equal(t, "changes", st.writes, []string(nil))
	equal(t, "letters", st.sent, []string(nil))
}

// Who may read the page learns nothing of who else is a reader: byte for byte the same answer.
func TestTheAnswerIsTheSameForKnownAndUnknown(t *testing.T) {
	for _, tt := range []struct {
		name, path string
		sent       []string
	}{
		{"asking for a place", "/lists/morning/subscribe", []string{"confirm to nobody@example.com", "known to reader7@example.com"}},
		{"asking for a link", "/preferences", []string{"preferences to reader7@example.com"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			st := readers()
			h, _ := serve(t, st)
			var answers []string
			for _, who := range []string{"nobody@example.com", "reader7@example.com"} {
				w := do(h, visit{path: tt.path, form: fields("email", who)}.request())
				answers = append(answers, fmt.Sprint(w.Code, w.Header(), w.Body))
			}
			equal(t, "answer for the known", answers[1], answers[0])
			equal(t, "letters", st.sent, tt.sent)
		})
	}
}

func TestTheTrapCatchesRobots(t *testing.T) {
	for _, path := range []string{"/lists/morning/subscribe", "/preferences"} {
		st := readers()
		h, _ := serve(t, st)
		form := fields("email", "reader7@example.com", "website", "https://spam.example/")
		caught := do(h, visit{path: path, form: form}.request())
		form.Set("website", "")
		equal(t, "letters", st.sent, []string(nil))
		equal(t, "changes", st.writes, []string(nil))
		honest := do(h, visit{path: path, form: form}.request())
		equal(t, "answer to a robot", caught.Body.String(), honest.Body.String())
		equal(t, "letters to a person", len(st.sent), 1)
	}
	h, _ := serve(t, readers())
	trap := parse(t, get(h, "/preferences")).Find(`.trap[aria-hidden="true"] input`)
	equal(t, "trap out of the way of keyboards and of what fills in forms", []string{trap.AttrOr("tabindex", ""), trap.AttrOr("autocomplete", "")}, []string{"-1", "off"})
}

func TestNetworksThatAskTooOftenWait(t *testing.T) {
	for _, v := range []visit{
		{path: "/lists/morning/subscribe", form: fields("email", "a@example.com")},
		{path: "/preferences", form: fields("email", "a@example.com")},
		{path: account(""), form: fields("do", "address", "email", "a@example.com")},
	} {
		st := readers()
		h, _ := serve(t, st)
		for i := range 5 {
			if w := do(h, v.request()); w.Code >= 400 {
				t.Fatalf("%s, request %d: status %d", v.path, i+1, w.Code)
			}
		}
		before := len(st.sent)
		w := do(h, v.request())
		equal(t, v.path+": status of the sixth", w.Code, 429)
		equal(t, v.path+": seconds to wait", w.Header().Get("Retry-After"), "360")
		equal(t, v.path+": letters of the sixth", len(st.sent)-before, 0)
		checkPage(t, w, zonewire.LocaleZH)

		other := v.request()
		other.RemoteAddr = "[2001:db8::1]:4711"
		if w := do(h, other); w.Code >= 400 {
			t.Errorf("%s from another network: status %d", v.path, w.Code)
		}
	}
}

func TestFormsThatAreNone(t *testing.T) {
	st := readers()
	h, _ := serve(t, st)
	for name, tt := range map[string]struct {
		mediaType, body string
		want            int
	}{
		"an escape that is none":    {"application/x-www-form-urlencoded", "email=%zz", 400},
		"multipart without an end":  {"multipart/form-data; boundary=x", "--x\r\n\r\naddress", 400},
		"more than any form holds":  {"application/x-www-form-urlencoded", "email=" + strings.Repeat("a", 300<<10), 413},
		"an address without an end": {"application/x-www-form-urlencoded", "email=" + strings.Repeat("a", 100<<10), 422},
		"a line break":              {"application/x-www-form-urlencoded", "email=a%40example.com%0d%0aBcc:b%40example.com", 422},
		"another encoding":          {"application/json", `{"email":"a@example.com"}`, 422},
	} {
		for _, path := range []string{"/lists/morning/subscribe", "/preferences"} {
			w := do(h, httptest.NewRequest("POST", path, strings.NewReader(tt.body)), "Content-Type", tt.mediaType)
			if w.Code != tt.want {
				t.Errorf("%s to %s: status %d, want %d", name, path, w.Code, tt.want)
			}
			checkPage(t, w, zonewire.LocaleZH)
		}
	}
	equal(t, "letters", st.sent, []string(nil))
}
