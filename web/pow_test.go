package web_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"
	"github.com/chromedp/chromedp"

	"zonewire"
	"zonewire/web"
)

// posted is a page's form as a browser would send it.
func posted(doc *goquery.Document) url.Values {
	form := url.Values{}
	doc.Find("form#work input").Each(func(_ int, in *goquery.Selection) { form.Add(in.AttrOr("name", ""), in.AttrOr("value", "")) })
	return form
}

// solve finds the number by itself, with eight zero bits.
func solve(stamp, address string) string {
	for n := 0; ; n++ {
		if sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%d", stamp, address, n))[0] == 0 {
			return strconv.Itoa(n)
		}
	}
}

func TestProofOfWork(t *testing.T) {
	for _, path := range []string{"/lists/morning/subscribe?lang=en", "/preferences?lang=en"} {
		first := fields("email", "reader7@example.com", "zone", "yunhe", "zone", "qingtan", "locale", "en", "website", "")
		for _, tt := range []struct {
			name   string
			edit   func(url.Values)
			after  time.Duration
			letter bool
		}{
			{"a number that was found", func(f url.Values) { f.Set("proof", solve(f.Get("stamp"), f.Get("email"))) }, 0, true},
			{"no number, at once", func(url.Values) {}, 0, false},
			{"no number, after the wait", func(url.Values) {}, time.Second, true},
			{"a number for another address", func(f url.Values) { f.Set("proof", solve(f.Get("stamp"), "nobody@example.com")+"0") }, 0, false},
			{"a stamp of one's own", func(f url.Values) { f.Set("stamp", "1-aaaaaaaaaaaaaaaaaaaaaaaaaa") }, time.Second, false},
			{"a token that is no stamp", func(f url.Values) { f.Set("stamp", token(zonewire.PurposeUnsubscribe, 1)) }, time.Second, false},
			{"a stamp of an hour ago", func(url.Values) {}, time.Hour, false},
		} {
			t.Run(tt.name+" for "+path, func(t *testing.T) {
				st, clock := readers(), now
				h, _ := serve(t, st, func(c *web.Config) { c.ProofOfWork, c.Now = 8, func() time.Time { return clock } })
				w := do(h, visit{path: path, form: first}.request())
				equal(t, "status", w.Code, 200)
				doc := parse(t, w)
				equal(t, "scripts, none inline", texts(doc, "script[src^='/work.js?v=']"), []string{""})
				equal(t, "all scripts", doc.Find("script").Length(), 1)
				if csp := w.Header().Get("Content-Security-Policy"); !strings.HasSuffix(csp, "; script-src 'self'") || strings.Contains(csp, "unsafe") {
					t.Errorf("policy %q", csp)
				}
				form := posted(doc)
				for name := range first {
					equal(t, "kept "+name, form[name], first[name])
				}
				equal(t, "letters before the work", st.sent, []string(nil))
				tt.edit(form)
				clock = clock.Add(tt.after)
				for range 2 { // the second time the stamp is spent
					do(h, visit{path: path, form: form}.request())
				}
				if got := len(st.sent) == 1; got != tt.letter {
					t.Errorf("letters %q, want one: %v", st.sent, tt.letter)
				}
			})
		}
	}
}

func TestAWrongAddressIsToldBeforeTheWork(t *testing.T) {
	h, _ := serve(t, readers(), func(c *web.Config) { c.ProofOfWork = 8 })
	equal(t, "status", do(h, visit{path: "/preferences", form: fields("email", "x")}.request()).Code, 422)
}

// The script finds what the server checks, under the page's own policy.
func TestABrowserWorksByItself(t *testing.T) {
	if testing.Short() {
		t.Skip("a browser is not short")
	}
	ctx, cancel := context.WithTimeout(browser(t), time.Minute)
	defer cancel()
	st := readers()
	h, _ := serve(t, st, func(c *web.Config) { c.ProofOfWork = 10 })
	srv := httptest.NewServer(http.MaxBytesHandler(h, 1<<20))
	t.Cleanup(srv.Close)
	_, err := chromedp.Run(ctx, chromedp.Steps(chromedp.Navigate(srv.URL+"/preferences"),
		chromedp.SendKeys(`input[name="email"]`, "reader7@example.com\r"), chromedp.WaitVisible(`//h1[text()="请查收邮件"]`)))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "letters", st.sent, []string{"preferences to reader7@example.com"})
}
