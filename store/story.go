package store

import (
	"context"
	"database/sql"
	"strconv"

	"zonewire"
)

const storyCandidate = `
		SELECT COALESCE(dup_of, id), title, sketch
		FROM article`

var (
	// Bodies that are alike share one of two numbers nearly always. No more than 20 are looked at, whatever they share.
	qStoryA = sqlText(storyCandidate + `
		WHERE story_a = ?1 AND story_a <> 0 AND published_ms BETWEEN ?2 AND ?3 AND withdrawn_ms = 0
		ORDER BY published_ms
		LIMIT 10`)
	qStoryB = sqlText(storyCandidate + `
		WHERE story_b = ?1 AND story_b <> 0 AND published_ms BETWEEN ?2 AND ?3 AND withdrawn_ms = 0
		ORDER BY published_ms
		LIMIT 10`)
	qCopies = sqlText(`
		SELECT ` + articleColumns + `, ''
		FROM article a
		LEFT JOIN zone z ON z.id = a.zone_id
		WHERE (a.id = ?1 OR a.dup_of = ?1) AND a.withdrawn_ms = 0
		ORDER BY a.id`)
	qRevisions = sqlText(`
		SELECT replaced_ms, title, summary, content_html
		FROM article_revision
		WHERE article_id = ?1
		ORDER BY id DESC`)
)

// firstTelling finds the article that told the same story within three days, word for word or nearly; 0 if this is the
// first. It names the first of all tellers, never another copy.
func firstTelling(ctx context.Context, q querier, a zonewire.Article) (int64, error) {
	keyA, keyB := a.Sketch.Keys()
	if keyA == 0 {
		return 0, nil
	}
	first := int64(0)
	from, to := toMs(a.Published.Add(-zonewire.StoryWindow)), toMs(a.Published.Add(zonewire.StoryWindow))
	for _, by := range []struct {
		text query
		key  int64
	}{{qStoryA, keyA}, {qStoryB, keyB}} {
		stories, err := collect(ctx, q, by.text, []any{by.key, from, to}, func(rows *sql.Rows) (int64, error) {
			var story int64
			var other zonewire.Article
			var sketch []byte
			err := rows.Scan(&story, &other.Title, &sketch)
			other.Sketch = zonewire.SketchOf(sketch)
			if !zonewire.SameStory(a, other) {
				story = 0
			}
			return story, err
		})
		if err != nil {
			return 0, err
		}
		for _, story := range stories {
			if story != 0 && (first == 0 || story < first) {
				first = story
			}
		}
	}
	return first, nil
}

// Copies lists who tells a story, the oldest first and withdrawn ones left out: the article that told it first, by whose id
// the story is known, and those that tell it after. They come without their bodies.
func (db *DB) Copies(ctx context.Context, story int64) ([]zonewire.Article, error) {
	all, err := collect(ctx, db.reader(), qCopies, []any{story}, func(rows *sql.Rows) (zonewire.Article, error) { return scanArticle(rows) })
	return all, readError("copies of article "+strconv.FormatInt(story, 10), err)
}

// Revisions lists what an article said before, the latest first. [zonewire.ErrNotFound] if there is no such article.
func (db *DB) Revisions(ctx context.Context, id int64) ([]zonewire.Revision, error) {
	what := "revisions of article " + strconv.FormatInt(id, 10)
	if _, err := article(ctx, db.reader(), id); err != nil {
		return nil, readError(what, err)
	}
	all, err := collect(ctx, db.reader(), qRevisions, []any{id}, func(rows *sql.Rows) (zonewire.Revision, error) {
		var r zonewire.Revision
		var replaced int64
		err := rows.Scan(&replaced, &r.Title, &r.Summary, &r.ContentHTML)
		r.Replaced = fromMs(replaced)
		return r, err
	})
	return all, readError(what, err)
}

// ArticleByExternal finds what was pushed into a zone by the publisher's own id, withdrawn or not. [zonewire.ErrNotFound].
func (db *DB) ArticleByExternal(ctx context.Context, zone int64, external string) (a zonewire.Article, err error) {
	var id int64
	err = db.reader().row(ctx, qByExternal, []any{external, zone}, &id)
	if err == nil {
		a, err = article(ctx, db.reader(), id)
	}
	return a, readError("article "+zonewire.Shorten(external, 80), err)
}
