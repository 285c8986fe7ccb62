package store

import (
	"context"
	"database/sql"
	"slices"

	"zonewire"
)

// keysAtOnce is how many keys a statement asks for.
const keysAtOnce = 100

var (
	qKnownExternal = sqlText(`SELECT DISTINCT external_id FROM article WHERE external_id <> '' AND external_id IN (` + parameters(1, keysAtOnce) + `)`)
	qKnownURL      = sqlText(`SELECT DISTINCT url_canon FROM article WHERE url_canon <> '' AND url_canon IN (` + parameters(1, keysAtOnce) + `)`)
	qKnownTitle    = sqlText(`SELECT DISTINCT title_key FROM article WHERE title_key <> '' AND title_key IN (` + parameters(1, keysAtOnce) + `)`)
	qKnownStoryA   = sqlText(`SELECT DISTINCT story_a FROM article WHERE story_a <> 0 AND story_a IN (` + parameters(1, keysAtOnce) + `)`)
	qKnownStoryB   = sqlText(`SELECT DISTINCT story_b FROM article WHERE story_b <> 0 AND story_b IN (` + parameters(1, keysAtOnce) + `)`)
)

// known holds which keys of a batch any article has. Most of what is imported is new, and four questions an article are
// most of what storing it would cost: a batch asks them at once, and what it shares no key with needs no closer look.
// nil is of a batch too small to gain by it: all of it may be known.
type known struct {
	external, url, title map[string]bool
	storyA, storyB       map[int64]bool
}

func askKnown(ctx context.Context, q querier, as []zonewire.Article) (*known, error) {
	const worth = 20
	if len(as) < worth {
		return nil, nil
	}
	var external, url, title []string
	var storyA, storyB []int64
	for _, a := range as {
		keyA, keyB := a.Sketch.Keys()
		external, url, title = append(external, a.ExternalID), append(url, a.URLCanon), append(title, a.TitleKey)
		storyA, storyB = append(storyA, keyA), append(storyB, keyB)
	}
	var k known
	var err error
	for _, ask := range []struct {
		to   *map[string]bool
		text query
		keys []string
	}{{&k.external, qKnownExternal, external}, {&k.url, qKnownURL, url}, {&k.title, qKnownTitle, title}} {
		if *ask.to, err = askKeys(ctx, q, ask.text, ask.keys); err != nil {
			return nil, err
		}
	}
	if k.storyA, err = askKeys(ctx, q, qKnownStoryA, storyA); err != nil {
		return nil, err
	}
	k.storyB, err = askKeys(ctx, q, qKnownStoryB, storyB)
	return &k, err
}

// askKeys asks which of the keys are stored; the zero value of a key is none.
func askKeys[T comparable](ctx context.Context, q querier, text query, keys []T) (map[T]bool, error) {
	var none T
	all := map[T]bool{}
	keys = slices.DeleteFunc(keys, func(k T) bool { return k == none })
	for chunk := range slices.Chunk(keys, keysAtOnce) {
		args := make([]any, keysAtOnce)
		for i := range args {
			args[i] = chunk[min(i, len(chunk)-1)]
		}
		found, err := collect(ctx, q, text, args, func(rows *sql.Rows) (T, error) {
			var key T
			err := rows.Scan(&key)
			return key, err
		})
		if err != nil {
			return nil, err
		}
		for _, key := range found {
			all[key] = true
		}
	}
	return all, nil
}

// article reports whether a may be stored already. It is no more than a hint: an id may be of another zone.
func (k *known) article(a zonewire.Article) bool {
	return k == nil || k.external[a.ExternalID] || k.url[a.URLCanon] || k.title[a.TitleKey]
}

// story reports whether another may have told what a tells.
func (k *known) story(a zonewire.Article) bool {
	keyA, keyB := a.Sketch.Keys()
	return k == nil || k.storyA[keyA] || k.storyB[keyB]
}

// add notes the keys of an article of the batch for those behind it.
func (k *known) add(a zonewire.Article) {
	if k == nil {
		return
	}
	keyA, keyB := a.Sketch.Keys()
	k.external[a.ExternalID], k.url[a.URLCanon], k.title[a.TitleKey] = a.ExternalID != "", a.URLCanon != "", a.TitleKey != ""
	k.storyA[keyA], k.storyB[keyB] = keyA != 0, keyB != 0
}
