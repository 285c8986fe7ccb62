package web_test

import (
	"bytes"
	"fmt"
	"mime/multipart"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"zonewire"
)

// A mailbox provider's request: no cookie, no referer, either encoding (RFC 8058 section 3.2).
func TestOneClickLeaves(t *testing.T) {
	var form bytes.Buffer
	parts := multipart.NewWriter(&form)
	if err := parts.WriteField("List-Unsubscribe", "One-Click"); err != nil {
		t.Fatal(err)
	}
	if err := parts.Close(); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, mediaType, body string }{
		{"urlencoded", "application/x-www-form-urlencoded", "List-Unsubscribe=One-Click"},
		{"multipart", parts.FormDataContentType(), form.String()},
		{"the page's own button", "application/x-www-form-urlencoded", ""},
		{"a body that is none", "multipart/form-data", "\x00"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			st := readers()
			h, _ := serve(t, st)
			path := "/unsubscribe/" + token(zonewire.PurposeUnsubscribe, activeSub)
			if doc := parse(t, get(h, path)); doc.Find(`form[method="post"] button`).Length() != 1 || !strings.Contains(doc.Find("main").Text(), "开发区早报") {
				t.Errorf("the question lacks its button or its list: %s", doc.Find("main").Text())
			}
			for range 20 { // more than any form is taken from one network: a provider speaks for many
				w := do(h, httptest.NewRequest("POST", path, strings.NewReader(tt.body)), "Content-Type", tt.mediaType, "Sec-Fetch-Site", "cross-site")
				if w.Code != 200 || w.Header().Get("Set-Cookie") != "" || w.Header().Get("Location") != "" {
					t.Fatalf("status %d, headers %v", w.Code, w.Header())
				}
				checkHeaders(t, w)
				checkPage(t, w, zonewire.LocaleZH)
				equal(t, "answer", texts(parse(t, w), "h1"), []string{"已退订"})
				equal(t, "caching", w.Header().Get("Cache-Control"), "private, no-store")
			}
			equal(t, "state", st.subs[activeSub].State, zonewire.SubUnsubscribed)
			equal(t, "first changes", st.writes[:2], []string{"leave 1 by page", "leave 1 by page"})
			equal(t, "buttons after leaving", parse(t, get(h, path)).Find("button").Length(), 0)
		})
	}
}

func TestUndoGivesThePlaceBackOnce(t *testing.T) {
	st := readers()
	h, _ := serve(t, st)
	leave := "/unsubscribe/" + token(zonewire.PurposeUnsubscribe, activeSub)
	paths := attrs(parse(t, do(h, httptest.NewRequest("POST", leave+"?lang=en", nil))), "main form", "action")
	if len(paths) != 1 || !strings.HasPrefix(paths[0], "/undo/") || !strings.HasSuffix(paths[0], "?lang=en") {
		t.Fatalf("forms after leaving: %v, want one to undo", paths)
	}
	undo := paths[0]
	equal(t, "a second leave offers no way back", attrs(parse(t, do(h, httptest.NewRequest("POST", leave, nil))), "main form", "action"), []string{})
	equal(t, "the question", texts(parse(t, get(h, undo)), "h1"), []string{"Take your place back?"})
	equal(t, "state after looking", st.subs[activeSub].State, zonewire.SubUnsubscribed)
	for range 2 { // people press twice
		w := do(h, httptest.NewRequest("POST", undo, nil))
		equal(t, "answer", texts(parse(t, w), "h1"), []string{"You are back on the list"})
	}
	equal(t, "state", st.subs[activeSub].State, zonewire.SubActive)
	equal(t, "changes", st.writes, []string{"leave 1 by page", "leave 1 by page", "undo 1 by page"})

	do(h, httptest.NewRequest("POST", leave, nil)) // and leave for good: the used link is spent
	equal(t, "status of the spent link", do(h, httptest.NewRequest("POST", undo, nil)).Code, 410)
	equal(t, "state after it", st.subs[activeSub].State, zonewire.SubUnsubscribed)
}

func TestUndoEndsAfterHalfAnHour(t *testing.T) {
	st := readers()
	h, _ := serve(t, st)
	path := "/undo/" + token(zonewire.PurposeUndo, undoTicket)
	st.edit(undoTicket, func(t *zonewire.Ticket) { t.Expires = now })
	w := do(h, httptest.NewRequest("POST", path, nil))
	equal(t, "status", w.Code, 410)
	equal(t, "the way on", attrs(parse(t, w), "a.go", "href"), []string{"/lists/morning#subscribe"})
	equal(t, "changes", st.writes, []string(nil))
	st.edit(undoTicket, func(t *zonewire.Ticket) { t.Expires = now.Add(time.Second) })
	equal(t, "status a second earlier", do(h, httptest.NewRequest("POST", path, nil)).Code, 200)
}

func TestLeavingAPrivateListNamesItWithoutALink(t *testing.T) {
	h, _ := serve(t, readers())
	doc := parse(t, get(h, "/unsubscribe/"+token(zonewire.PurposeUnsubscribe, privateSub)))
	equal(t, "name", texts(doc, ".name"), []string{"内部参考"})
	equal(t, "links", doc.Find(".name a").Length(), 0)
}

func TestConfirm(t *testing.T) {
	st := readers()
	h, _ := serve(t, st)
	path := "/confirm/" + token(zonewire.PurposeConfirm, confirmTicket)
	doc := parse(t, get(h, path, "Accept-Language", "en"))
	equal(t, "question", texts(doc, "h1"), []string{"Confirm your subscription?"})
	equal(t, "what was asked for", texts(doc, ".facts dd"), []string{"Yunhe Economic and Technological Development Zone", "weekdays at 08:00", "English"})
	equal(t, "state after looking", st.subs[pendingSub].State, zonewire.SubPending)
	for range 2 { // the link stays good: people press twice
		w := do(h, httptest.NewRequest("POST", path, nil), "Accept-Language", "en")
		equal(t, "status", w.Code, 200)
		doc := parse(t, w)
		equal(t, "answer", texts(doc, "h1"), []string{"Subscription confirmed"})
		equal(t, "where to go from here", attrs(doc, ".more a", "href"), []string{"/lists/morning", "/preferences"})
	}
	equal(t, "state", st.subs[pendingSub].State, zonewire.SubActive)
	equal(t, "changes", st.writes, []string{"confirm 2 by page"})
	equal(t, "the question again", texts(parse(t, get(h, path)), "h1"), []string{"订阅已确认"})
}

func TestConfirmOfAPrivateListOpensIt(t *testing.T) {
	st := readers()
	st.subs[pendingSub] = zonewire.Subscription{ID: pendingSub, Subscriber: 8, ListID: 2, List: "board", State: zonewire.SubPending}
	h, _ := serve(t, st)
	path := "/confirm/" + token(zonewire.PurposeConfirm, confirmTicket)
	if body := get(h, path).Body.String(); strings.Contains(body, token(zonewire.PurposePrivate, 2)) {
		t.Error("the key is there before it is confirmed that the address is theirs")
	}
	link := parse(t, do(h, httptest.NewRequest("POST", path, nil))).Find(".more a").First().AttrOr("href", "")
	equal(t, "status of the list's page", get(h, link).Code, 200)
}

// Each path takes the tokens of one purpose; a link that is of no use any more says so and leads to a new one.
func TestTokensServeOnePurpose(t *testing.T) {
	ids := map[zonewire.Purpose]int64{
		zonewire.PurposeUnsubscribe: activeSub, zonewire.PurposeConfirm: confirmTicket, zonewire.PurposeUndo: undoTicket,
		zonewire.PurposePreferences: prefsTicket, zonewire.PurposeAddress: newTicket, zonewire.PurposePrivate: 1, zonewire.PurposeWebSub: 1,
	}
	paths := map[string]zonewire.Purpose{
		"/unsubscribe/%s": zonewire.PurposeUnsubscribe, "/confirm/%s": zonewire.PurposeConfirm, "/undo/%s": zonewire.PurposeUndo,
		"/address/%s": zonewire.PurposeAddress, "/preferences/%s": zonewire.PurposePreferences, "/preferences/%s/erase": zonewire.PurposePreferences,
		"/preferences/%s/data.json": zonewire.PurposePreferences, fmt.Sprintf("/preferences/%%s/places/%d", activeSub): zonewire.PurposePreferences,
	}
	for path, purpose := range paths {
		for other, id := range ids {
			st := readers()
			h, _ := serve(t, st)
			want := 404
			if other == purpose {
				want = 200
			}
			for _, method := range []string{"GET", "HEAD"} {
				if w := do(h, httptest.NewRequest(method, fmt.Sprintf(path, token(other, id)), nil)); w.Code != want {
					t.Errorf("%s %s with a token to %s: status %d, want %d", method, path, other, w.Code, want)
				}
			}
			if other != purpose {
				for _, bad := range []string{token(other, id), token(purpose, id) + "a", "1-aaaaaaaaaaaaaaaaaaaaaaaaaa", "x"} {
					if w := do(h, httptest.NewRequest("POST", fmt.Sprintf(path, bad), nil)); w.Code != 404 && w.Code != 405 {
						t.Errorf("POST %s with %s: status %d, want 404", path, bad, w.Code)
					}
				}
			}
			equal(t, "changes by looking at "+path, st.writes, []string(nil))
		}
		st := readers() // erased: the tokens are good, and nothing stands behind them
		clear(st.tickets)
		clear(st.subs)
		h, _ := serve(t, st)
		w := get(h, fmt.Sprintf(path, token(purpose, ids[purpose])))
		equal(t, path+" of someone erased", w.Code, 410)
		checkHeaders(t, w)
		checkPage(t, w, zonewire.LocaleZH)
	}
}

func TestExpiredLinksLeadToANewOne(t *testing.T) {
	for _, tt := range []struct{ name, path, want string }{
		{"a link to confirm that ran out", "/confirm/" + token(zonewire.PurposeConfirm, lateTicket), "/lists/morning#subscribe"},
		{"a confirmed place that was left", "/confirm/" + token(zonewire.PurposeConfirm, staleTicket), "/lists/morning#subscribe"},
		{"a link to preferences that ran out", "/preferences/" + token(zonewire.PurposePreferences, oldPrefs), "/preferences"},
	} {
		for _, method := range []string{"GET", "POST"} {
			st := readers()
			h, _ := serve(t, st)
			w := do(h, httptest.NewRequest(method, tt.path, nil))
			equal(t, tt.name+": status", w.Code, 410)
			equal(t, tt.name+": the way on", attrs(parse(t, w), "a.go", "href"), []string{tt.want})
			equal(t, tt.name+": changes", st.writes, []string(nil))
		}
	}
}

// Whoever a digest was forwarded to has the link to leave in it. Every page that can be reached from there, by links
// and by buttons, names neither the reader's address nor their other lists.
func TestAForwardedDigestGivesNoPowerOverTheAccount(t *testing.T) {
	st := readers()
	st.lists[4].Private = true // the reader's other list; public ones stand on the front page for all
	h, _ := serve(t, st)
	todo, seen := []string{"/unsubscribe/" + token(zonewire.PurposeUnsubscribe, activeSub)}, map[string]bool{}
	check := func(what string, w *httptest.ResponseRecorder) {
		for _, secret := range []string{"reader7", "example.com", "云河与青滩", token(zonewire.PurposePreferences, prefsTicket)} {
			if strings.Contains(w.Body.String(), secret) {
				t.Errorf("%s shows %s", what, secret)
			}
		}
		doc := parse(t, w)
		for _, href := range append(attrs(doc, "main a", "href"), attrs(doc, "form[action]", "action")...) {
			if u, err := url.Parse(href); err == nil && u.Host == "" && u.Path != "" && len(seen) < 200 && !seen[href] {
				seen[href] = true
				todo = append(todo, href)
			}
		}
	}
	for len(todo) > 0 {
		path := todo[0]
		todo = todo[1:]
		check("GET "+path, get(h, path))
		if strings.HasPrefix(path, "/unsubscribe") || strings.HasPrefix(path, "/undo") {
			check("POST "+path, do(h, httptest.NewRequest("POST", path, nil)))
		}
	}
	equal(t, "what was changed", st.writes, []string{"leave 1 by page", "undo 1 by page"})
	equal(t, "letters", st.sent, []string(nil))
}
