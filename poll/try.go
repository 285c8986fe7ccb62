package poll

import (
	"context"
	"errors"
	"net/url"
	"time"

	"zonewire"
	"zonewire/ingest"
	"zonewire/internal/outbound"
)

const tryPages = 3 // articles that a trial shows

// Trial is what an address gives before it becomes a source.
type Trial struct {
	Kind      zonewire.SourceKind // as given, or as it was found to be
	Status    int
	URL       string // that answered, behind the redirects
	Permanent bool   // every redirect said "for good": better add URL
	Title     string // what it calls itself
	Charset   string
	Items     int             // in the feed or on the list page
	Records   []ingest.Record // the first three, with the layers of a page's fields
	Hub       string          // that would push
	Feeds     []string        // that a page offers: better than the page
	Robots    string          // what robots.txt says against it; empty = nothing. Of pages only
	Wait      time.Duration   // between two requests to its host
}

// Try asks an address once, as a source of that kind would be asked; without a kind it finds out. Nothing is stored. Of a page it
// also reads the first articles, two seconds apart. An address that may not be asked, and one that gives neither a feed nor
// a list, is a [zonewire.ErrInvalid]; any other error says in one line why the address cannot be used now.
func (p *Poller) Try(ctx context.Context, s zonewire.Source, now time.Time) (Trial, error) {
	if _, err := outbound.CheckURL(s.URL); err != nil {
		return Trial{}, zonewire.Invalidf("%s", err)
	}
	s.Memory = zonewire.PollMemory{}
	w := p.newLook(ctx, zonewire.Visit{Source: s, Host: zonewire.HostMemory{Host: s.Host()}}, true)
	w.store = nil
	t := Trial{Kind: s.Kind}
	if s.Kind == zonewire.PageSource {
		if t.Robots = w.robotsSay(ctx); t.Robots != "" {
			return t, errors.New(t.Robots)
		}
	}
	var allow func(*url.URL) error
	if s.Kind == zonewire.PageSource {
		allow = func(u *url.URL) error { return w.allow(ctx, u) }
	}
	src, err := w.ask(ctx, acceptAny, allow)
	if err != nil {
		return t, err
	}
	a := src.answer
	t.Status, t.URL, t.Permanent, t.Hub, t.Wait = a.status, a.final, len(a.hops) > 0 && a.permanent(), link(a, "hub"), w.pace.gap
	if src.verdict.class != usable {
		if errors.Is(src.failure, outbound.ErrRefused) {
			return t, zonewire.Invalidf("%s", src.verdict.reason)
		}
		return t, errors.New(src.verdict.reason)
	}
	var noFeed error
	if s.Kind != zonewire.PageSource {
		opts := w.options(a)
		opts.Now = now
		doc, err := w.readers.feed(a.body, opts)
		if err == nil {
			t.Kind, t.Title, t.Charset, t.Items = zonewire.FeedSource, doc.Title, doc.Charset, len(doc.Items)+doc.Left
			t.Records = doc.Items[:min(len(doc.Items), tryPages)]
			t.Hub = subscribed(zonewire.Subscribed{}, a, doc, now).Hub
			return t, nil
		}
		noFeed = err
	}
	if s.Kind == zonewire.FeedSource {
		t.Feeds = feedsOf(w, a)
		return t, zonewire.Invalidf("this is no feed that can be read: %s", oneLine(noFeed))
	}
	return w.tryPage(ctx, t, a)
}

// tryPage reads a list page and its first articles.
func (w *look) tryPage(ctx context.Context, t Trial, a answer) (Trial, error) {
	doc, err := w.readList(a)
	t.Title, t.Charset, t.Items, t.Feeds = doc.Title, doc.Charset, len(doc.Entries), doc.Feeds
	if err != nil {
		return t, zonewire.Invalidf("this is no feed and no list page that can be read: %s", oneLine(err))
	}
	t.Kind = zonewire.PageSource
	if t.Robots = w.robotsSay(ctx); t.Robots != "" {
		return t, errors.New(t.Robots)
	}
	t.Wait = w.pace.gap
	pages, _, err := w.unknown(ctx, a.final, doc.Entries)
	if err != nil {
		return t, err
	}
	for _, q := range pages[:min(len(pages), tryPages)] {
		tried, r := w.read(ctx, q)
		if ctx.Err() != nil {
			return t, ctx.Err()
		}
		if tried.Error != "" {
			r.Article.URL, r.Article.Title = q.URL, q.Title
		}
		t.Records = append(t.Records, r)
	}
	return t, nil
}

// robotsSay asks what the host's robots.txt says against the source's address.
func (w *look) robotsSay(ctx context.Context) string {
	u, err := url.Parse(w.visit.Source.URL)
	if err == nil {
		err = w.allow(ctx, u)
	}
	if err != nil {
		return oneLine(err)
	}
	return ""
}

// feedsOf looks for the feeds that a page offers, where a feed was expected.
func feedsOf(w *look, a answer) []string {
	doc, err := w.readers.list(a.body, w.options(a))
	if err != nil {
		return nil // it is not even a page
	}
	return doc.Feeds
}
