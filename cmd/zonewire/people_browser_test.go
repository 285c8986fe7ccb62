package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"zonewire"
)

// visitor is a person at a browser that runs no scripts.
type visitor struct {
	t      *testing.T
	tab    context.Context
	p      *press
	mail   *httptest.Server // shows mails as a reader's program does
	locale string
	width  int64
	email  string
	axe    string // the source of axe-core
	shown  map[string]string
	// network is where it comes from: each may send only so many forms.
	network int
}

// pictures is where pictures of all pages go, if they are wanted. The manual, in docs/pictures, shows some of them: `make
// pictures` takes those anew.
var (
	pictures = os.Getenv("ZONEWIRE_PICTURES")
	manual   = strings.Fields("home-zh-CN-360 list-zh-CN-360 letter-zh-CN-360 digest-zh-CN-360 account-zh-CN-360 left-zh-CN-360 " +
		"home-en-1280 list-en-1280 letter-en-1280 digest-en-1280 account-en-1280 left-en-1280")
)

// do runs steps in the browser, in time.
func (v *visitor) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.tab, time.Minute)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		v.t.Fatalf("%s: %v", what, err)
	}
}

// scripts says whether pages may run any.
func scripts(run bool) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, tab *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, tab, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !run})
		return chromedp.Void{}, err
	}
}

// from is a browser behind a proxy that says which network it serves.
func from(number int) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, tab *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, tab, network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{
			Headers: network.Headers{"X-Forwarded-For": fmt.Sprintf("10.0.%d.1", number)},
		})
		return chromedp.Void{}, err
	}
}

// speaking is a browser whose owner prefers a language.
func speaking(locale string) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, tab *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, tab, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{UserAgent: "Mozilla/5.0", AcceptLanguage: locale})
		return chromedp.Void{}, err
	}
}

func (v *visitor) open(address string) {
	v.t.Helper()
	v.do("open "+address, chromedp.Navigate(address))
}

// press sends a form by its button, or follows a link, and waits for the page that comes.
func (v *visitor) press(selector string) {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.tab, time.Minute)
	defer cancel()
	if _, err := chromedp.RunResponse(ctx, chromedp.Click(selector, chromedp.NodeVisible)); err != nil {
		v.t.Fatalf("press %s: %v\n%s", selector, err, v.text())
	}
}

func (v *visitor) write(selector, text string) {
	v.t.Helper()
	v.do("write into "+selector, chromedp.SetValue(selector, text, chromedp.NodeVisible))
}

func (v *visitor) tick(selector string) {
	v.t.Helper()
	v.do("tick "+selector, chromedp.Click(selector, chromedp.NodeVisible))
}

func (v *visitor) text() string {
	ctx, cancel := context.WithTimeout(v.tab, time.Minute)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body.innerText`))
	if err != nil {
		v.t.Fatal(err)
	}
	return text
}

// see wants words on the page, and judges it: it fits the screen, speaks the language, is small, and axe-core finds nothing.
func (v *visitor) see(name string, words ...string) {
	v.t.Helper()
	v.look(name, []string{}, words...)
}

func (v *visitor) look(name string, without []string, words ...string) {
	v.t.Helper()
	rules := map[string]map[string]bool{}
	for _, id := range without {
		rules[id] = map[string]bool{"enabled": false}
	}
	options, err := json.Marshal(map[string]any{"resultTypes": []string{"violations"}, "rules": rules})
	if err != nil {
		v.t.Fatal(err)
	}
	text := v.text()
	for _, w := range words {
		if !strings.Contains(text, w) {
			v.t.Errorf("%s: no %q in\n%s", name, w, text)
		}
	}
	ctx, cancel := context.WithTimeout(v.tab, time.Minute)
	defer cancel()
	type sight struct {
		Scroll  int64    `json:"scroll"`
		Lang    string   `json:"lang"`
		Size    int      `json:"size"`
		Foreign []string `json:"foreign"`
		Faults  []string `json:"faults"`
	}
	seen, err := chromedp.Run(ctx, func(ctx context.Context, tab *chromedp.Target) (sight, error) {
		// axe waits by timers, which do not run where scripts may not. The page has none that this would wake.
		if _, err := scripts(true)(ctx, tab); err != nil {
			return sight{}, err
		}
		examine := "Promise.resolve({violations: []})" // on a desk stands what axe has seen on the phone
		if v.width < 500 {
			examine = v.axe + ";axe.run(document, " + string(options) + ")"
		}
		seen, err := chromedp.Evaluate[sight](examine+`.then(found => ({
			scroll: document.documentElement.scrollWidth,
			lang: document.documentElement.lang,
			size: performance.getEntriesByType("navigation")[0].decodedBodySize,
			foreign: performance.getEntriesByType("resource").map(e => e.name).filter(n => new URL(n).origin != location.origin),
			faults: found.violations.flatMap(v => v.nodes.map(n => v.id + ": " + n.target.join(" ") + ": " + n.failureSummary)),
		}))`, chromedp.EvalAwaitPromise)(ctx, tab)
		if err != nil {
			return seen, err
		}
		_, err = scripts(false)(ctx, tab)
		return seen, err
	})
	if err != nil {
		v.t.Fatalf("%s: %v", name, err)
	}
	if seen.Scroll > v.width {
		v.t.Errorf("%s is %d pixels wide on a screen of %d", name, seen.Scroll, v.width)
	}
	if seen.Lang != v.locale {
		v.t.Errorf("%s speaks %q, want %q", name, seen.Lang, v.locale)
	}
	if seen.Size > 50_000 {
		v.t.Errorf("%s has %d bytes", name, seen.Size)
	}
	if len(seen.Foreign) > 0 {
		v.t.Errorf("%s fetches from elsewhere: %q", name, seen.Foreign)
	}
	for _, f := range seen.Faults {
		v.t.Errorf("%s: axe: %s", name, f)
	}
	v.picture(name)
}

// picture keeps what the visitor sees, if pictures are wanted.
func (v *visitor) picture(name string) {
	v.t.Helper()
	name = fmt.Sprintf("%s-%s-%d", name, v.locale, v.width)
	if pictures == "" || filepath.Base(pictures) == "pictures" && !slices.Contains(manual, name) {
		return
	}
	ctx, cancel := context.WithTimeout(v.tab, time.Minute)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		v.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(pictures, name+".png"), png, 0o644); err != nil {
		v.t.Fatal(err)
	}
}

// read opens a mail as its reader's program shows it.
func (v *visitor) read(name string, m received, words ...string) {
	v.t.Helper()
	v.shown["/"+name] = m.page
	v.open(v.mail.URL + "/" + name)
	// The program that shows a mail has the landmarks.
	v.look(name, []string{"landmark-one-main", "region"}, words...)
}

// say is a phrase in the visitor's language.
func (v *visitor) say(zh, en string) string {
	if v.locale == zonewire.LocaleEN {
		return en
	}
	return zh
}

// The whole life of a subscriber, in both languages, on a phone and on a desk, without scripts: find a zone, subscribe,
// confirm, read, choose, pause, move to another rhythm and another address, leave, come back, and be forgotten.
func TestTheLifeOfASubscriber(t *testing.T) {
	t.Parallel()
	p := newPress(t, "ZONEWIRE_HTTP_TRUSTED_PROXIES=127.0.0.1")
	source, err := os.ReadFile(filepath.Join(nodeDir(t), "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	tab := browser(t, listenFor(t))
	shown := map[string]string{}
	reader := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, shown[r.URL.Path])
	}))
	t.Cleanup(reader.Close)
	p.bring("yunhe", "云河污水处理厂扩建工程招标公告", "投标文件递交的截止时间为"+time.Now().AddDate(0, 0, 9).Format("2006年1月2日")+"9时30分，逾期送达的不予受理。")
	networks := 0
	for _, locale := range zonewire.Locales() {
		for _, width := range []int64{360, 1280} {
			t.Run(fmt.Sprintf("%s at %d", locale, width), func(t *testing.T) {
				in := *p.site
				in.t = t
				networks++
				v := &visitor{
					t: t, tab: tab, p: &press{site: &in, srv: p.srv, base: p.base, n: 10 * networks}, network: networks, mail: reader, locale: locale, width: width, axe: string(source), shown: shown,
					email: fmt.Sprintf("%s-%d@example.com", strings.ToLower(locale), width),
				}
				v.live()
			})
		}
	}
}

func (v *visitor) live() {
	p, t := v.p, v.t
	v.do("set up", scripts(false), speaking(v.locale), from(v.network), chromedp.EmulateViewport(v.width, 800))

	// Find a zone, and what it has in the press.
	v.open(p.base + "/?lang=" + v.locale)
	v.see("home", v.say("开发区早报", "开发区早报"), v.say("云河经济开发区", "Yunhe EDZ"))
	v.write("input[name=q]", "招标")
	v.press("form[role=search] button")
	v.see("found", "云河污水处理厂扩建工程招标公告")
	v.press("main a[href^='/articles/']")
	v.see("article", v.say("截止", "Closes"))
	v.press("main a[href^='/zones/']")
	v.see("zone", "feed.rss")
	v.press("main a[href*='/lists/morning']")

	// Ask for a place, and confirm it.
	v.see("list", v.say("订阅", "Subscribe"))
	v.write("input[name=email]", v.email)
	v.tick("input[name=zone][value=yunhe]")
	v.tick("input[name=locale][value=" + v.locale + "]")
	v.press("#subscribe form button:not(.trap):not(.quiet)")
	v.see("sent", v.say("请查收邮件", "Check your mail"))
	letter := p.next(v.email, 0)
	v.read("letter", letter, "开发区早报")
	v.open(p.link(letter, "/confirm/"))
	v.see("confirm")
	v.press("main form button")
	v.see("confirmed", v.say("订阅已确认", "confirmed"))

	// Read a digest, as a mail and as a page.
	p.bring("yunhe", fmt.Sprintf("云河新能源产业园第%d期开工", p.n), "云河新能源产业园今天开工，计划总投资三十亿元。")
	p.bring("yunhe", fmt.Sprintf("云河人才公寓采购公告（%d）", p.n), "报名截止时间："+time.Now().AddDate(0, 0, 5).Format("2006年1月2日")+"17:00。")
	p.run("digest", "cut", "morning")
	digest := p.next(v.email, 1)
	v.read("digest", digest, v.say("即将截止", "Closing soon"))
	v.open(p.link(digest, "/digests/"))
	v.see("page")

	// The account opens by a letter, not by the digest.
	v.open(p.link(digest, "/preferences") + "?lang=" + v.locale)
	v.see("preferences")
	v.write("input[name=email]", v.email)
	v.press("main form button")
	v.see("asked", v.say("请查收邮件", "Check your mail"))
	key := p.next(v.email, 2)
	v.read("key", key)
	account := p.link(key, "/preferences/")
	v.open(account)
	v.see("account", v.email, "开发区早报", v.say("云河经济开发区", "Yunhe EDZ"))

	// Choose zones, another rhythm, a pause.
	v.press("article.place a.go")
	v.see("place")
	place := v.location()
	v.tick("input[name=zone][value=qingtan]")
	v.press("section[aria-labelledby=zones] form button:not(.trap):not(.quiet)")
	v.see("zones", v.say("青滩高新区", "Qingtan HTZ"))
	v.open(place)
	v.tick("input[name=to][value=weekly]")
	v.press("section[aria-labelledby=rhythm] form button")
	v.see("rhythm", v.say("下一期之后改为：每周一 09:00", "09:00"))
	v.open(place)
	v.tick("input[name=to]:not([value=weekly])")
	v.press("section[aria-labelledby=rhythm] form button")
	v.open(place)
	v.write("input[name=until]", time.Now().AddDate(0, 0, 20).Format(time.DateOnly))
	v.press("section[aria-labelledby=pause] form button")
	v.see("paused", v.say("暂停", "Paused"))
	v.open(place)
	v.press("section[aria-labelledby=resume] form button")
	v.see("resumed")

	// Move to another address: both agree.
	old := len(p.mails(v.email))
	moved := "moved-" + v.email
	v.open(account)
	v.write("section[aria-labelledby=move] input[name=email]", moved)
	v.press("section[aria-labelledby=move] form button")
	v.see("moving")
	for i, m := range []received{p.next(v.email, old), p.next(moved, 0)} {
		v.read([]string{"old-address", "new-address"}[i], m)
		v.open(p.link(m, "/address/"))
		v.see("move")
		v.press("main form button")
		v.see([]string{"agreed", "moved"}[i])
	}

	// Leave by the digest's link, take it back, and leave again.
	leave := p.link(digest, "/unsubscribe/")
	v.open(leave)
	v.see("leave", "开发区早报")
	v.press("main form button")
	v.see("left", v.say("已退订", "unsubscribed"))
	v.press("form[action*='/undo/'] button")
	v.see("back")
	if got := p.subscription(moved); got != "active" {
		t.Errorf("after the undo the place is %s", got)
	}
	v.open(leave)
	v.press("main form button")
	if got := p.subscription(moved); got != "unsubscribed" {
		t.Errorf("after leaving the place is %s", got)
	}

	// Take all data, and be forgotten.
	v.open(p.base + "/preferences?lang=" + v.locale)
	v.write("input[name=email]", moved)
	v.press("main form button")
	account = p.link(p.next(moved, 1), "/preferences/")
	data, res := p.ask(http.MethodGet, dataOf(t, account), nil)
	if !json.Valid([]byte(data)) || !strings.Contains(data, moved) || !strings.HasPrefix(res.Header.Get("Content-Disposition"), "attachment") {
		t.Errorf("the data: %v\n%s", res.Header, data)
	}
	v.open(account)
	v.press("main a[href*='/erase']")
	v.see("erase", moved)
	v.tick("input[name=sure]")
	v.press("main form button")
	v.see("erased")
	p.rows("SELECT email FROM subscriber UNION ALL SELECT wish FROM ticket UNION ALL SELECT email FROM notice UNION ALL SELECT detail FROM audit", func(row string) {
		if strings.Contains(row, v.email) {
			t.Errorf("the address still stands in %q", row)
		}
	})
	if _, res := p.ask(http.MethodGet, account, nil); res.StatusCode != http.StatusNotFound && res.StatusCode != http.StatusGone {
		t.Errorf("the account of who was forgotten answers %s", res.Status)
	}
}

func (v *visitor) location() string {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.tab, time.Minute)
	defer cancel()
	at, err := chromedp.Run(ctx, chromedp.Location())
	if err != nil {
		v.t.Fatal(err)
	}
	return at
}

// dataOf is where an account's data are.
func dataOf(t *testing.T, account string) string {
	t.Helper()
	u, err := url.Parse(account)
	if err != nil {
		t.Fatal(err)
	}
	return u.JoinPath("data.json").String()
}
