package web_test

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"zonewire"
	"zonewire/templates"
	"zonewire/web"
)

const base = "http://news.example.cn"

var (
	secret = zonewire.Secret("0123456789abcdef0123456789abcdef")
	now    = time.Date(2026, 11, 24, 8, 30, 0, 0, zonewire.Shanghai)
)

// The subscriptions of the sample, by state.
const (
	activeSub int64 = 1 + iota
	pendingSub
	leftSub
	privateSub
	erasedSub // known to no store: its token alone is left
)

// fake is a small working store. Err, if set, is what every read answers.
type fake struct {
	zones     []zonewire.Zone
	former    map[string]string // former slug: slug
	articles  []zonewire.Article
	lists     []zonewire.List
	digests   []zonewire.Digest
	variants  []zonewire.Variant
	subs      map[int64]zonewire.Subscription
	revisions map[int64][]zonewire.Revision
	writes    []string // every change asked for
	crowd
	err error
}

func (f *fake) Zones(context.Context) ([]zonewire.Zone, error) { return f.zones, f.err }

func (f *fake) Zone(_ context.Context, slug string) (zonewire.Zone, error) {
	slug = cmp.Or(f.former[slug], slug)
	return find(f.zones, f.err, func(z zonewire.Zone) bool { return z.Slug == slug })
}

func (f *fake) Articles(_ context.Context, q zonewire.ArticleQuery) ([]zonewire.Article, error) {
	var out []zonewire.Article
	for _, a := range f.articles {
		if a.ZoneID == 0 || !a.Withdrawn.IsZero() ||
			q.ZoneID != 0 && a.ZoneID != q.ZoneID ||
			q.Province != "" && a.Province != q.Province ||
			q.Before != 0 && a.Change >= q.Before ||
			!holds(a, q.Text) {
			continue
		}
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b zonewire.Article) int { return cmp.Compare(b.Change, a.Change) })
	return out[:min(len(out), q.Limit)], f.err
}

// holds is the search of the store: each of up to three words in the title or the summary.
func holds(a zonewire.Article, text string) bool {
	for _, word := range strings.Fields(text) {
		if !strings.Contains(strings.ToLower(a.Title+"\n"+a.Summary), word) {
			return false
		}
	}
	return true
}

func (f *fake) Revisions(_ context.Context, id int64) ([]zonewire.Revision, error) {
	return f.revisions[id], f.err
}

func (f *fake) Article(_ context.Context, id int64) (zonewire.Article, error) {
	return find(f.articles, f.err, func(a zonewire.Article) bool { return a.ID == id })
}

func (f *fake) Copies(_ context.Context, story int64) ([]zonewire.Article, error) {
	var out []zonewire.Article
	for _, a := range f.articles {
		if a.Withdrawn.IsZero() && (a.ID == story || a.DupOf == story) {
			a.ContentHTML = ""
			out = append(out, a)
		}
	}
	return out, f.err
}

func (f *fake) Lists(context.Context) ([]zonewire.List, error) {
	return slices.DeleteFunc(slices.Clone(f.lists), removed), f.err
}

func removed(l zonewire.List) bool { return !l.Removed.IsZero() }

func (f *fake) List(_ context.Context, slug string) (zonewire.List, error) {
	return find(f.lists, f.err, func(l zonewire.List) bool { return l.Slug == slug && !removed(l) })
}

func (f *fake) Digests(_ context.Context, list string, limit int) ([]zonewire.Digest, error) {
	var out []zonewire.Digest
	for _, d := range f.digests {
		if d.List == list {
			out = append(out, d)
		}
	}
	slices.Reverse(out)
	return out[:min(len(out), limit)], f.err
}

func (f *fake) Digest(_ context.Context, id int64) (zonewire.Digest, error) {
	return find(f.digests, f.err, func(d zonewire.Digest) bool { return d.ID == id })
}

func (f *fake) WebVariant(_ context.Context, digest int64, locale string) (zonewire.Variant, error) {
	return find(f.variants, f.err, func(v zonewire.Variant) bool { return v.Digest == digest && v.Locale == locale })
}

func (f *fake) Subscription(_ context.Context, id int64) (zonewire.Subscription, zonewire.List, error) {
	sub, ok := f.subs[id]
	if f.err != nil || !ok {
		return sub, zonewire.List{}, cmp.Or(f.err, zonewire.ErrNotFound)
	}
	l, err := find(f.lists, nil, func(l zonewire.List) bool { return l.ID == sub.ListID })
	return sub, l, err
}

func find[T any](all []T, err error, is func(T) bool) (T, error) {
	var none T
	if err != nil {
		return none, err
	}
	if i := slices.IndexFunc(all, is); i >= 0 {
		return all[i], nil
	}
	return none, zonewire.ErrNotFound
}

// shipped are the templates as they ship, read once for all tests.
var shipped = sync.OnceValues(func() (*templates.Set, error) { return templates.Load("") })

// serve gives the handler over the store; what it logs at error level comes back in the string.
func serve(t testing.TB, st *fake, edits ...func(*web.Config)) (http.Handler, *strings.Builder) {
	t.Helper()
	set, err := shipped()
	if err != nil {
		t.Fatalf("load templates: %v", err)
	}
	var log strings.Builder
	cfg := web.Config{
		BaseURL:       base,
		Secret:        secret,
		Templates:     set,
		Feeds:         feeds,
		Now:           func() time.Time { return now },
		Log:           slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelError})),
		From:          "开发区要闻 <news@example.cn>",
		ReplyTo:       "editor@example.cn",
		PostalAddress: "江苏省常州市云河路 1 号",
		MailHost:      "news.example.cn",
		Describe: func(l zonewire.List, locale string) string {
			if l.Slug == "weekly" {
				if locale == zonewire.LocaleEN {
					return "Mondays at 09:00"
				}
				return "每周一 09:00"
			}
			if locale == zonewire.LocaleEN {
				return "weekdays at 08:00"
			}
			return "工作日 08:00"
		},
	}
	for _, edit := range edits {
		edit(&cfg)
	}
	return web.New(st, cfg), &log
}

func feeds(z *zonewire.Zone, province string) []web.Feed {
	path, title, query := "/", "全部开发区", ""
	if province != "" {
		query = "?province=" + url.QueryEscape(province)
	}
	if z != nil {
		path, title = "/zones/"+z.Slug+"/", z.Name
	}
	return []web.Feed{
		{title + "（RSS）", base + path + "feed.rss" + query, "application/rss+xml", "RSS"},
		{title + "（Atom）", base + path + "feed.atom" + query, "application/atom+xml", "Atom"},
		{title + "（JSON Feed）", base + path + "feed.json" + query, "application/feed+json", "JSON Feed"},
	}
}

// get asks for a path, with headers as names and values in turn.
func get(h http.Handler, path string, headers ...string) *httptest.ResponseRecorder {
	return do(h, httptest.NewRequest(http.MethodGet, path, nil), headers...)
}

func do(h http.Handler, r *http.Request, headers ...string) *httptest.ResponseRecorder {
	for pair := range slices.Chunk(headers, 2) {
		r.Header.Set(pair[0], pair[1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func token(p zonewire.Purpose, id int64) string { return secret.Token(p, id) }
