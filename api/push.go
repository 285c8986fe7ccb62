package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"zonewire"
	"zonewire/ingest"
)

// pushedArticle is the answer to a push.
type pushedArticle struct {
	Article
	Result   string   `json:"result"`
	Waiting  bool     `json:"waiting"` // nobody knows its zone yet; ZoneRaw is what it waits under
	Warnings []string `json:"warnings,omitempty"`
}

// post stores an article that says itself which one it is.
func (h *handler) post(c *call) (answer, error) {
	if compat := c.URL.Query().Get("compat"); compat != "" && compat != collectorDialect {
		return answer{}, problemf(http.StatusBadRequest, "compat %q is not known: there is %s only", zonewire.Shorten(compat, 40), collectorDialect).on("compat")
	}
	in, err := c.read(c.onlyZone())
	if err != nil {
		return answer{}, err
	}
	push := zonewire.Push{Only: c.key.Zones, IfNew: c.collector() && !c.covers(in.form)}
	stored, err := h.store1(c, push, in.article)
	if err != nil {
		return answer{}, err
	}
	if c.collector() {
		return h.dialectAnswer(stored)
	}
	a, err := h.store.Article(c.Context(), stored.ID)
	if err != nil {
		return answer{}, err
	}
	return h.stored(a, stored.Result, in.warnings)
}

// onlyZone is the slug of the zone that a key is bound to if it is bound to one.
func (c *call) onlyZone() string {
	if len(c.key.Slugs) == 1 {
		return c.key.Slugs[0]
	}
	return ""
}

// store1 stores one article. What the key may not change is 403, what was withdrawn 410.
func (h *handler) store1(c *call, push zonewire.Push, a zonewire.Article) (zonewire.Stored, error) {
	all, err := h.store.PushArticles(c.Context(), c.act(), push, []zonewire.Article{a})
	if err != nil {
		return zonewire.Stored{}, err
	}
	switch s := all[0]; s.Result {
	case zonewire.Refused:
		slugs, err := h.slugs(c.Context())
		if err != nil {
			return s, err
		}
		return s, problemf(http.StatusForbidden, "%s", refusal(c.key, slugs[s.ZoneID], a.ZoneRaw)).on("zone")
	case zonewire.Dead:
		return s, problemf(http.StatusGone, "%s", withdrawnBefore)
	default:
		return s, nil
	}
}

const withdrawnBefore = "the article was withdrawn, and stays so"

// refusal says why a key may not push an article; zone is the slug of its zone, empty if nobody knows the name.
func refusal(key zonewire.APIKey, zone, name string) string {
	may := strings.Join(key.Slugs, ", ")
	switch {
	case zone != "":
		return fmt.Sprintf("the article is of zone %s, and this key may push to %s only", zone, may)
	case name != "":
		return fmt.Sprintf("no zone is known as %q, and this key may push to %s only", name, may)
	}
	return fmt.Sprintf("the article names no zone: name one of %s", may)
}

// slugs gives the slug of each zone.
func (h *handler) slugs(ctx context.Context) (map[int64]string, error) {
	all, err := h.store.Zones(ctx)
	slugs := make(map[int64]string, len(all))
	for _, z := range all {
		slugs[z.ID] = z.Slug
	}
	return slugs, err
}

// stored is the answer to a push: 201 for a new article, else 200.
func (h *handler) stored(a zonewire.Article, result zonewire.PutResult, warnings []string) (answer, error) {
	status := http.StatusOK
	if result == zonewire.Added {
		status = http.StatusCreated
	}
	if a.ZoneID == 0 && a.ZoneRaw == "" {
		warnings = append(warnings, "the article names no zone: no list and no feed of a zone will have it")
	}
	out, err := say(status, jsonType, pushedArticle{ViewArticle(a), result.String(), a.ZoneID == 0, warnings})
	out.header = http.Header{"Etag": {etag(a)}}
	if status == http.StatusCreated {
		out.header.Set("Location", h.BaseURL+prefix+"/articles/"+strconv.FormatInt(a.ID, 10))
	}
	return out, err
}

// put stores the article that the path names.
func (h *handler) put(c *call) (answer, error) {
	zone, err := h.zoneToChange(c)
	if err != nil {
		return answer{}, err
	}
	const longest = 512 // characters, as for an id in a body
	id := c.PathValue("id")
	if strings.Join(strings.Fields(zonewire.CleanText(id)), " ") != id || utf8.RuneCountInString(id) > longest {
		return answer{}, problemf(http.StatusUnprocessableEntity, "the id in the address must be one line of at most %d characters without spaces around it", longest).on("id")
	}
	in, err := c.read("")
	if err != nil {
		return answer{}, err
	}
	a := in.article
	if a.ExternalID != "" && a.ExternalID != id {
		return answer{}, problemf(http.StatusUnprocessableEntity, "the body says id %q, the address %q", a.ExternalID, id).on("id")
	}
	if err := h.sameZone(c.Context(), a, zone); err != nil {
		return answer{}, err
	}
	a.ExternalID, a.ZoneID = id, zone.ID
	if a.ZoneRaw == "" {
		a.ZoneRaw = zone.Slug
	}
	ingest.Identify(&a)
	push, err := h.condition(c, zone.ID, id)
	if err != nil {
		return answer{}, err
	}
	s, err := h.store1(c, push, a)
	if err != nil {
		return answer{}, err
	}
	if s.Result == zonewire.Stale {
		return answer{}, changed()
	}
	if a, err = h.store.Article(c.Context(), s.ID); err != nil {
		return answer{}, err
	}
	if a.ExternalID != id || a.ZoneID != zone.ID { // the same address in url makes it the same article
		in.warnings = append(in.warnings, fmt.Sprintf("its url is that of article %d, known as %q in zone %q, which was updated", a.ID, a.ExternalID, a.Zone))
	}
	return h.stored(a, s.Result, in.warnings)
}

// sameZone refuses an article whose own zone is another one than the path's.
func (h *handler) sameZone(ctx context.Context, a zonewire.Article, zone zonewire.Zone) error {
	if a.ZoneRaw == "" || a.ZoneRaw == zone.Slug || a.ZoneRaw == zone.Name {
		return nil
	}
	named, err := h.store.MatchZone(ctx, a.ZoneRaw, zone.Province, zone.City)
	if err != nil && !errors.Is(err, zonewire.ErrNotFound) {
		return err
	}
	if named.ID != zone.ID {
		return problemf(http.StatusUnprocessableEntity, "the body says zone %q, the address %q", a.ZoneRaw, zone.Slug).on("zone")
	}
	return nil
}

// zoneInPath finds the zone of a path; one that was merged stands for the one that took it over.
func (h *handler) zoneInPath(c *call) (zonewire.Zone, error) {
	zone, err := h.store.Zone(c.Context(), c.PathValue("zone"))
	for hops := 0; err == nil && zone.MergedInto != "" && hops < 10; hops++ {
		zone, err = h.store.Zone(c.Context(), zone.MergedInto)
	}
	return zone, err
}

// zoneToChange is [handler.zoneInPath] for a zone that the key may change. One that was closed is 410.
func (h *handler) zoneToChange(c *call) (zonewire.Zone, error) {
	zone, err := h.zoneInPath(c)
	switch {
	case err != nil:
		return zone, err
	case !c.key.May(zone.ID):
		return zone, problemf(http.StatusForbidden, "this key may push to %s only", strings.Join(c.key.Slugs, ", "))
	case !zone.Closed.IsZero():
		return zone, problemf(http.StatusGone, "zone %s is closed", zone.Slug)
	}
	return zone, nil
}

// etag is a strong validator (RFC 9110, section 8.8.3): the number of an article's last change.
func etag(a zonewire.Article) string { return `"` + strconv.FormatInt(a.Change, 10) + `"` }

func changed() *problem {
	return problemf(http.StatusPreconditionFailed, "the article is not as the condition says: ask for it again")
}

// condition reads If-Match and If-None-Match (RFC 9110, section 13.1). The store decides in the transaction that stores;
// here is only looked up which change is meant.
func (h *handler) condition(c *call, zone int64, id string) (zonewire.Push, error) {
	match, none := tags(c.Header, "If-Match"), tags(c.Header, "If-None-Match")
	push := zonewire.Push{Only: c.key.Zones, IfNew: slices.Contains(none, "*")}
	if match == nil && none == nil {
		return push, nil
	}
	now, err := h.store.ArticleByExternal(c.Context(), zone, id)
	switch {
	case errors.Is(err, zonewire.ErrNotFound) && match != nil:
		return push, changed()
	case errors.Is(err, zonewire.ErrNotFound):
		return push, nil
	case err != nil:
		return push, err
	case !now.Withdrawn.IsZero():
		return push, problemf(http.StatusGone, "%s", withdrawnBefore)
	case match != nil && !slices.Contains(match, "*") && !slices.Contains(match, etag(now)), slices.Contains(none, etag(now)):
		return push, changed()
	case match != nil:
		push.IfChange = now.Change
	}
	return push, nil
}

// tags are the entity tags of a condition, nil if it is not made. Ours hold no comma.
func tags(h http.Header, name string) []string {
	var all []string
	for _, value := range h.Values(name) {
		for tag := range strings.SplitSeq(value, ",") {
			all = append(all, strings.TrimSpace(tag))
		}
	}
	return all
}

// withdraw takes back the article that the path names. Taking it back again is 204 too.
func (h *handler) withdraw(c *call) (answer, error) {
	zone, err := h.zoneToChange(c)
	if err != nil {
		return answer{}, err
	}
	a, err := h.store.ArticleByExternal(c.Context(), zone.ID, c.PathValue("id"))
	if err != nil {
		return answer{}, err
	}
	done := answer{status: http.StatusNoContent}
	if !a.Withdrawn.IsZero() {
		return done, nil
	}
	if match := tags(c.Header, "If-Match"); match != nil && !slices.Contains(match, "*") && !slices.Contains(match, etag(a)) {
		return answer{}, changed()
	}
	const longest = 200 // characters
	reason := zonewire.Shorten(ingest.PlainText(c.URL.Query().Get("reason")), longest)
	if err := h.Withdraw(c.Context(), c.act(), a.ID, reason); err != nil && !errors.Is(err, zonewire.ErrGone) {
		return answer{}, err
	}
	return done, nil
}
