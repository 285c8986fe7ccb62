package feed

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"zonewire"
)

const (
	maxViewText = 100 // characters of a filter
	// maxSearches is how many views are filled at a time: what strangers may ask for has no end, the feeds go on.
	maxSearches = 2
)

// parseView reads which part of a feed a query asks for; provinces and cities are filters of the feed over all zones
// only. Other parameters are ignored, and so is what the feed shows anyway: the result is canonical. It fails as
// [zonewire.ErrInvalid].
func parseView(query string, zone bool, maxItems int) (v View, err error) {
	q, _ := url.ParseQuery(query) // a parameter that is none is one that is not known
	texts := map[string]*string{"category": &v.Category, "q": &v.Text}
	if !zone {
		texts["province"], texts["city"] = &v.Province, &v.City
	}
	for name, to := range texts {
		text := strings.TrimSpace(q.Get(name))
		if utf8.RuneCountInString(text) > maxViewText {
			return View{}, zonewire.Invalidf("%s has more than %d characters", name, maxViewText)
		}
		if zonewire.CleanText(text) != text {
			return View{}, zonewire.Invalidf("%s is no text", name)
		}
		*to = text
	}
	limit, given, err := number(q, "limit")
	if err != nil {
		return View{}, err
	}
	if v.Limit = int(min(max(limit, 1), int64(maxItems))); !given || v.Limit == maxItems {
		v.Limit = 0
	}
	before, _, err := number(q, "before")
	v.Before = max(before, 0)
	if err != nil {
		v = View{}
	}
	return v, err
}

// number reads a parameter. One that is too large to be held is the largest that can be.
func number(q url.Values, name string) (n int64, given bool, err error) {
	text := strings.TrimSpace(q.Get(name))
	if text == "" {
		return 0, false, nil
	}
	digits := strings.TrimPrefix(text, "-")
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, false, zonewire.Invalidf("%s is no number", name)
	}
	n, _ = strconv.ParseInt(text, 10, 64) // out of range, it is at the end of it
	return n, true, nil
}

// view gives a part of a feed in one format, through a bounded cache.
func (s *Server) view(ctx context.Context, zone int64, f Format, v View) (*served, error) {
	k := key{kind: viewCell, zone: zone, format: f, rest: v.Query()}
	return s.load(ctx, k, nil, func(ctx context.Context, _ *served) (*served, error) {
		return s.fillView(ctx, zone, f, v)
	})
}

func (s *Server) fillView(ctx context.Context, zone int64, f Format, v View) (*served, error) {
	_, t, err := s.counters(ctx)
	if err != nil {
		return nil, err
	}
	limit := v.Limit
	if limit == 0 {
		limit = s.site.MaxItems
	}
	doc := Document{View: v}
	if zone != 0 {
		z := t.byID[zone]
		if err := z.open(); err != nil {
			return nil, err
		}
		doc.Zone = &z.Zone
	}
	doc.Articles, err = s.src.Articles(ctx, zonewire.ArticleQuery{
		ZoneID: zone, Province: v.Province, City: v.City, Category: v.Category, Text: v.Text, Before: v.Before, Limit: limit + 1,
	})
	if err != nil {
		return nil, fmt.Errorf("read articles of a view: %w", err)
	}
	if doc.More = len(doc.Articles) > limit; doc.More {
		doc.Articles = doc.Articles[:limit]
	}
	slug := ""
	if zone == 0 {
		doc.Zones = map[int64]zonewire.Zone{}
		for _, a := range doc.Articles {
			doc.Zones[a.ZoneID] = t.byID[a.ZoneID].Zone
		}
	} else {
		slug = doc.Zone.Slug
	}
	start := time.Now()
	r, err := renderOne(s.site, f, doc, nil)
	if err != nil {
		return nil, err
	}
	s.stats.rendered(time.Since(start))
	place, _ := f.place()
	snap, err := newSnapshot(&s.coder, hashOf(r.body), r.body, nil, contentTypes[place])
	if err != nil {
		return nil, err
	}
	// No date: it would have to be stored with the bytes, or it would stand still when an article is withdrawn.
	snap.linked(s.site.BaseURL+Path(slug, f)+v.Query(), nil)
	snap.robots = unindexed
	if v.Text != "" {
		snap.cacheControl = cacheSearch
	}
	x := &served{}
	x.snaps[place] = snap
	return x, nil
}
