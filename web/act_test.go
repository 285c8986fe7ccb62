package web_test

import (
	"bytes"
	"mime/multipart"
	"net/http/httptest"
	"strings"
	"testing"

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
			st := sample()
			h, _ := serve(t, st)
			path := "/unsubscribe/" + token(zonewire.PurposeUnsubscribe, activeSub)
			if doc := parse(t, get(h, path)); doc.Find(`form[method="post"] button`).Length() != 1 || !strings.Contains(doc.Find("main").Text(), "开发区早报") {
				t.Errorf("the question lacks its button or its list: %s", doc.Find("main").Text())
			}
			for range 2 {
				w := do(h, httptest.NewRequest("POST", path, strings.NewReader(tt.body)), "Content-Type", tt.mediaType)
				if w.Code != 200 || w.Header().Get("Set-Cookie") != "" || w.Header().Get("Location") != "" {
					t.Fatalf("status %d, headers %v", w.Code, w.Header())
				}
				checkHeaders(t, w)
				checkPage(t, w, zonewire.LocaleZH)
				equal(t, "answer", texts(parse(t, w), "h1"), []string{"已退订"})
				equal(t, "caching", w.Header().Get("Cache-Control"), "private, no-store")
			}
			equal(t, "state", st.subs[activeSub].State, zonewire.SubUnsubscribed)
			equal(t, "changes", st.writes, []string{"unsubscribe 1 by page", "unsubscribe 1 by page"})
			equal(t, "buttons after leaving", parse(t, get(h, path)).Find("button").Length(), 0)
		})
	}
}

func TestLeavingAPrivateListNamesItWithoutALink(t *testing.T) {
	h, _ := serve(t, sample())
	doc := parse(t, get(h, "/unsubscribe/"+token(zonewire.PurposeUnsubscribe, privateSub)))
	equal(t, "name", texts(doc, ".name"), []string{"内部参考"})
	equal(t, "links", doc.Find(".name a").Length(), 0)
}

func TestConfirm(t *testing.T) {
	st := sample()
	h, _ := serve(t, st)
	path := "/confirm/" + token(zonewire.PurposeConfirm, pendingSub)
	doc := parse(t, get(h, path, "Accept-Language", "en"))
	equal(t, "question", texts(doc, "h1"), []string{"Confirm your subscription?"})
	equal(t, "state after looking", st.subs[pendingSub].State, zonewire.SubPending)
	for range 2 { // the link stays good: people press twice
		w := do(h, httptest.NewRequest("POST", path, nil), "Accept-Language", "en")
		equal(t, "status", w.Code, 200)
		equal(t, "answer", texts(parse(t, w), "h1"), []string{"Subscription confirmed"})
	}
	equal(t, "state", st.subs[pendingSub].State, zonewire.SubActive)
	equal(t, "changes", st.writes, []string{"confirm 2 by page"})
}

func TestTokensServeOnePurpose(t *testing.T) {
	st := sample()
	h, _ := serve(t, st)
	for path, purpose := range map[string]zonewire.Purpose{"/unsubscribe/": zonewire.PurposeUnsubscribe, "/confirm/": zonewire.PurposeConfirm} {
		for _, other := range []zonewire.Purpose{zonewire.PurposeUnsubscribe, zonewire.PurposeConfirm, zonewire.PurposePrivate} {
			if other == purpose {
				continue
			}
			for _, method := range []string{"GET", "POST"} {
				if w := do(h, httptest.NewRequest(method, path+token(other, pendingSub), nil)); w.Code != 404 {
					t.Errorf("%s %s with a token to %s: status %d, want 404", method, path, other, w.Code)
				}
			}
		}
	}
	equal(t, "changes", st.writes, []string(nil))
}
