package api

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"zonewire"
)

// articleOfZone gives the article that the path names by its publisher's id.
func (h *handler) articleOfZone(c *call) (answer, error) {
	zone, err := h.zoneInPath(c)
	if err != nil {
		return answer{}, err
	}
	a, err := h.store.ArticleByExternal(c.Context(), zone.ID, c.PathValue("id"))
	if err != nil {
		return answer{}, err
	}
	return c.show(a)
}

// article gives an article by our id. One that waits for its zone is nobody's but for a key of every zone.
func (h *handler) article(c *call) (answer, error) {
	id, err := c.number("article")
	if err != nil {
		return answer{}, err
	}
	a, err := h.store.Article(c.Context(), id)
	if err != nil {
		return answer{}, err
	}
	if !c.key.May(a.ZoneID) && a.ZoneID == 0 {
		return answer{}, problemf(http.StatusNotFound, "article %d: %v", id, zonewire.ErrNotFound)
	}
	return c.show(a)
}

// number is the id in a path.
func (c *call) number(noun string) (int64, error) {
	id, err := strconv.ParseInt(c.PathValue("id"), 10, 64)
	if err != nil {
		return 0, problemf(http.StatusNotFound, "%s %q: %v", noun, zonewire.Shorten(c.PathValue("id"), 40), zonewire.ErrNotFound)
	}
	return id, nil
}

// show gives one article: 410 if it was withdrawn, 304 if the client has it.
func (c *call) show(a zonewire.Article) (answer, error) {
	if !a.Withdrawn.IsZero() {
		return answer{}, problemf(http.StatusGone, "%s", withdrawnBefore)
	}
	header := http.Header{"Etag": {etag(a)}, "Cache-Control": {"private, no-cache"}}
	if none := tags(c.Header, "If-None-Match"); slices.Contains(none, etag(a)) || slices.Contains(none, "*") {
		return answer{status: http.StatusNotModified, header: header}, nil
	}
	out, err := say(http.StatusOK, jsonType, ViewArticle(a))
	out.header = header
	return out, err
}

// articles lists articles, the latest change first, a page at a time.
func (h *handler) articles(c *call) (answer, error) {
	q, err := h.articleQuery(c)
	if err != nil {
		return answer{}, err
	}
	limit := q.Limit
	q.Limit++ // one more tells whether a page follows
	all, err := h.store.Articles(c.Context(), q)
	if err != nil {
		return answer{}, err
	}
	more := len(all) > limit
	all = all[:min(len(all), limit)]
	views := make([]Article, len(all))
	for i, a := range all {
		views[i] = ViewArticle(a)
	}
	out, err := say(http.StatusOK, jsonType, views)
	if more {
		next := c.URL.Query()
		next.Del("token") // a link may be stored
		next.Set("before", strconv.FormatInt(all[limit-1].Change, 10))
		out.header = http.Header{"Link": {"<" + h.BaseURL + prefix + "/articles?" + next.Encode() + `>; rel="next"`}} // RFC 8288
	}
	return out, err
}

// articleQuery reads what a list of articles is to hold. What cannot be read is 400.
func (h *handler) articleQuery(c *call) (zonewire.ArticleQuery, error) {
	given := c.URL.Query()
	bad := func(name, must string) error {
		return problemf(http.StatusBadRequest, "%s %q: it must be %s", name, zonewire.Shorten(given.Get(name), 40), must).on(name)
	}
	q := zonewire.ArticleQuery{Text: zonewire.CleanText(given.Get("query")), Limit: usualListed, Unfiled: c.key.May(0)}
	if slug := zonewire.CleanText(given.Get("zone")); slug != "" {
		z, err := h.store.Zone(c.Context(), slug)
		if errors.Is(err, zonewire.ErrNotFound) {
			return q, bad("zone", "the slug of a zone")
		}
		if err != nil {
			return q, err
		}
		q.ZoneID = z.ID
	}
	if since := given.Get("since"); since != "" {
		var ok bool
		if q.Since, ok = parseTime(since); !ok {
			return q, bad("since", "a time such as 2026-11-24T08:00:00+08:00, or a date")
		}
	}
	limit, ok := number(given, "limit", usualListed)
	if !ok || limit < 1 || limit > maxListed {
		return q, bad("limit", "a number from 1 to "+strconv.Itoa(maxListed))
	}
	q.Limit = int(limit)
	if q.Before, ok = number(given, "before", 0); !ok || q.Before < 0 {
		return q, bad("before", "the number that Link gave")
	}
	return q, nil
}

// parseTime reads RFC 3339, or a date, which begins in +08:00.
func parseTime(s string) (time.Time, bool) {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, true
	}
	t, err := time.ParseInLocation(time.DateOnly, s, zonewire.Shanghai)
	return t, err == nil
}

func number(given url.Values, name string, usual int64) (int64, bool) {
	if !given.Has(name) {
		return usual, true
	}
	n, err := strconv.ParseInt(given.Get(name), 10, 64)
	return n, err == nil
}

// zones lists every zone, closed ones too.
func (h *handler) zones(c *call) (answer, error) {
	all, err := h.store.Zones(c.Context())
	if err != nil {
		return answer{}, err
	}
	views := make([]Zone, len(all))
	for i, z := range all {
		views[i] = ViewZone(z)
	}
	return say(http.StatusOK, jsonType, views)
}

// lists lists every list, private ones too.
func (h *handler) lists(c *call) (answer, error) {
	if err := c.onlyUnbound("lists"); err != nil {
		return answer{}, err
	}
	all, err := h.store.Lists(c.Context())
	if err != nil {
		return answer{}, err
	}
	sizes, err := h.store.ListSizes(c.Context())
	if err != nil {
		return answer{}, err
	}
	views := make([]List, len(all))
	for i, l := range all {
		views[i] = ViewList(l, sizes[l.Slug])
	}
	return say(http.StatusOK, jsonType, views)
}

// digest gives a digest and what became of its mails.
func (h *handler) digest(c *call) (answer, error) {
	if err := c.onlyUnbound("digests"); err != nil {
		return answer{}, err
	}
	id, err := c.number("digest")
	if err != nil {
		return answer{}, err
	}
	d, err := h.store.Digest(c.Context(), id)
	if err != nil {
		return answer{}, err
	}
	return say(http.StatusOK, jsonType, ViewDigest(d))
}
