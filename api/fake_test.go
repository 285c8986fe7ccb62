package api_test

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"zonewire"
	"zonewire/ingest"
)

// fake is a small working store.
type fake struct {
	mu       sync.Mutex
	zones    []zonewire.Zone
	keys     map[string]zonewire.APIKey // by token
	articles []zonewire.Article
	lists    []zonewire.List
	digests  []zonewire.Digest
	answers  map[string]*fakeAnswer
	change   int64
}

type fakeAnswer struct {
	zonewire.StoredAnswer
	request string
	begun   time.Time
	done    bool
}

func pick[T any](all []T, want func(T) bool) (T, error) {
	if i := slices.IndexFunc(all, want); i >= 0 {
		return all[i], nil
	}
	var none T
	return none, zonewire.ErrNotFound
}

func (f *fake) KeyByToken(_ context.Context, token string, _ time.Time) (zonewire.APIKey, error) {
	k, ok := f.keys[token]
	if !ok {
		return k, zonewire.ErrNotFound
	}
	return k, nil
}

func (f *fake) BeginAnswer(_ context.Context, _ int64, name, request string, now time.Time) (*zonewire.StoredAnswer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	a := f.answers[name]
	switch {
	case a == nil, now.Sub(a.begun) > 24*time.Hour:
		f.answers[name] = &fakeAnswer{request: request, begun: now}
		return nil, nil
	case a.request != request:
		return nil, zonewire.ErrExists
	case !a.done:
		return nil, zonewire.ErrBusy
	}
	return &a.StoredAnswer, nil
}

func (f *fake) FinishAnswer(_ context.Context, _ int64, name string, a zonewire.StoredAnswer, _ time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[name].StoredAnswer, f.answers[name].done = a, true
	return nil
}

func (f *fake) DropAnswer(_ context.Context, _ int64, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.answers, name)
	return nil
}

func (f *fake) PushArticles(_ context.Context, act zonewire.Act, push zonewire.Push, as []zonewire.Article) ([]zonewire.Stored, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	stored := make([]zonewire.Stored, len(as))
	for i, a := range as {
		stored[i] = f.push(act, push, a)
	}
	return stored, nil
}

func (f *fake) push(act zonewire.Act, push zonewire.Push, a zonewire.Article) zonewire.Stored {
	if a.ZoneID == 0 {
		a.ZoneID, _ = ingest.NewMatcher(f.zones)(a.ZoneRaw, a.Province, a.City)
	}
	at := slices.IndexFunc(f.articles, func(b zonewire.Article) bool {
		return a.ExternalID != "" && a.ExternalID == b.ExternalID && a.ZoneID == b.ZoneID && (a.ZoneID != 0 || a.ZoneRaw == b.ZoneRaw) ||
			a.URLCanon != "" && a.URLCanon == b.URLCanon && !(a.ZoneID == b.ZoneID && a.ExternalID != "" && b.ExternalID != "" && a.Title != b.Title) || a.TitleKey != "" && a.TitleKey == b.TitleKey
	})
	if at < 0 {
		switch {
		case len(push.Only) > 0 && !slices.Contains(push.Only, a.ZoneID):
			return zonewire.Stored{Result: zonewire.Refused, ZoneID: a.ZoneID}
		case push.IfChange != 0:
			return zonewire.Stored{Result: zonewire.Stale}
		}
		f.change++
		a.ID, a.Change, a.Received, a.Updated = int64(len(f.articles)+1), f.change, act.At, act.At
		if z, err := pick(f.zones, func(z zonewire.Zone) bool { return z.ID == a.ZoneID }); err == nil {
			a.Zone = z.Slug
		}
		f.articles = append(f.articles, a)
		return zonewire.Stored{ID: a.ID, Result: zonewire.Added, ZoneID: a.ZoneID, Change: a.Change}
	}
	old := &f.articles[at]
	s := zonewire.Stored{ID: old.ID, ZoneID: old.ZoneID, Change: old.Change}
	switch {
	case len(push.Only) > 0 && !slices.Contains(push.Only, old.ZoneID):
		s.Result = zonewire.Refused
	case !old.Withdrawn.IsZero():
		s.Result = zonewire.Dead
	case push.IfNew, push.IfChange != 0 && push.IfChange != old.Change:
		s.Result = zonewire.Stale
	case a.ContentHash == old.ContentHash:
		s.Result = zonewire.Unchanged
	default:
		f.change++
		old.Title, old.Summary, old.ContentHTML, old.ContentHash = a.Title, a.Summary, a.ContentHTML, a.ContentHash
		old.Change, old.Updated = f.change, act.At
		s.Result, s.Change = zonewire.Updated, f.change
	}
	return s
}

func (f *fake) withdraw(_ context.Context, act zonewire.Act, id int64, reason string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	a := &f.articles[id-1]
	a.Withdrawn, a.Reason = act.At, reason
	return nil
}

func (f *fake) Articles(_ context.Context, q zonewire.ArticleQuery) ([]zonewire.Article, error) {
	var out []zonewire.Article
	for _, a := range f.articles {
		if a.Withdrawn.IsZero() && (q.ZoneID == 0 || a.ZoneID == q.ZoneID) && (q.Unfiled || a.ZoneID != 0) &&
			(q.Before == 0 || a.Change < q.Before) && !a.Received.Before(q.Since) && strings.Contains(a.Title+a.Summary, q.Text) {
			out = append(out, a)
		}
	}
	slices.SortFunc(out, func(a, b zonewire.Article) int { return cmp.Compare(b.Change, a.Change) })
	return out[:min(len(out), q.Limit)], nil
}

func (f *fake) Article(_ context.Context, id int64) (zonewire.Article, error) {
	return pick(f.articles, func(a zonewire.Article) bool { return a.ID == id })
}

func (f *fake) ArticleByExternal(_ context.Context, zone int64, external string) (zonewire.Article, error) {
	return pick(f.articles, func(a zonewire.Article) bool { return a.ZoneID == zone && a.ExternalID == external })
}

func (f *fake) Zones(context.Context) ([]zonewire.Zone, error) { return f.zones, nil }

func (f *fake) Zone(_ context.Context, slug string) (zonewire.Zone, error) {
	return pick(f.zones, func(z zonewire.Zone) bool { return z.Slug == slug })
}

func (f *fake) MatchZone(_ context.Context, name, province, city string) (zonewire.Zone, error) {
	id, _ := ingest.NewMatcher(f.zones)(name, province, city)
	return pick(f.zones, func(z zonewire.Zone) bool { return z.ID == id })
}

func (f *fake) Lists(context.Context) ([]zonewire.List, error) { return f.lists, nil }

func (f *fake) ListSizes(context.Context) (map[string]map[zonewire.SubscriptionState]int, error) {
	return nil, nil
}

func (f *fake) Digest(_ context.Context, id int64) (zonewire.Digest, error) {
	return pick(f.digests, func(d zonewire.Digest) bool { return d.ID == id })
}
