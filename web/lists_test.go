package web_test

import (
	"strings"
	"testing"

	"zonewire"
)

func TestListPage(t *testing.T) {
	h, _ := serve(t, sample())
	doc := parse(t, get(h, "/lists/morning"))
	equal(t, "facts", texts(doc, ".facts dd"), []string{"全部开发区的消息", "工作日 08:00", "2026年11月25日 星期三 08:00"})
	equal(t, "past issues, none skipped or cancelled", attrs(doc, ".archive a", "href"), []string{"/digests/6", "/digests/3", "/digests/2", "/digests/1"})
	english := parse(t, get(h, "/lists/morning?lang=en"))
	equal(t, "one story is one story", texts(english, ".archive li:last-child .meta"), []string{"08:00 · 1 story"})

	equal(t, "form to get it", attrs(doc, "#subscribe form", "action"), []string{"/lists/morning/subscribe"})
	equal(t, "zone picked on its page", attrs(parse(t, get(h, "/lists/morning?zone=qingtan")), `#subscribe [name="zone"][checked]`, "value"), []string{"qingtan"})

	paused := parse(t, get(h, "/lists/zhejiang?lang=en"))
	equal(t, "what the form says first", paused.Find("#subscribe p").First().Text(), "This digest is paused for now. Subscribe, and you will get the first issue when it resumes.")
	equal(t, "facts of a paused list", texts(paused, ".facts dd"), []string{"Development zones in Zhejiang", "Sending is paused"})

	key := token(zonewire.PurposePrivate, 2)
	w := get(h, "/lists/board?key="+key)
	equal(t, "digests of a private list keep its key", attrs(parse(t, w), ".archive a", "href"), []string{"/digests/7?key=" + key})
	equal(t, "form of a private list keeps its key", attrs(parse(t, w), "#subscribe form", "action"), []string{"/lists/board/subscribe?key=" + key})
	equal(t, "caching of a private list", w.Header().Get("Cache-Control"), "private, no-store")
	if w.Header().Get("X-Robots-Tag") != "noindex" {
		t.Error("a private list may be indexed")
	}
}

func TestDigestPageIsTheMailAsSent(t *testing.T) {
	st := sample()
	h, _ := serve(t, st)
	w := get(h, "/digests/1", "Accept-Language", "en")
	equal(t, "body", w.Body.String(), st.variants[1].Web)
	equal(t, "language", w.Header().Get("Content-Language"), "en")
	if csp := w.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "style-src 'unsafe-inline'") {
		t.Errorf("policy %q forbids the mail's styles", csp)
	}
	equal(t, "only language there is", get(h, "/digests/8", "Accept-Language", "zh-CN").Header().Get("Content-Language"), "en")
}

func TestSlugOfARemovedPrivateListOpensNoneOfItsDigests(t *testing.T) {
	st := sample()
	st.lists[1].Removed = now
	st.lists = append(st.lists, zonewire.List{ID: 9, Slug: "board", Title: "公开简报", All: true, Locale: "zh-CN"})
	h, _ := serve(t, st)
	for _, query := range []string{"", "?key=" + token(zonewire.PurposePrivate, 2), "?key=" + token(zonewire.PurposePrivate, 9)} {
		equal(t, "status of the old digest", get(h, "/digests/7"+query).Code, 404)
	}
	equal(t, "past issues of the new list", parse(t, get(h, "/lists/board")).Find(".archive li").Length(), 0)
}
