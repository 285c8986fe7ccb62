package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"zonewire"
)

const articleColumns = `
			a.id, a.seq, a.change, COALESCE(a.zone_id, 0), COALESCE(z.slug, ''), a.zone_raw, a.province, a.city,
			a.external_id, a.url, a.url_canon, a.title_key, a.content_hash, a.title, a.summary, a.source, a.author,
			a.category, a.language, a.image, a.published_ms, a.published_offset, a.date_precision, a.date_suspect,
			a.received_ms, a.updated_ms, a.withdrawn_ms, a.withdrawn_reason, COALESCE(a.dup_of, 0), a.layers, a.charset,
			COALESCE(a.source_id, 0), a.replaced, a.sketch, a.deadline_ms, a.deadline_day`

// textHolds is whether an article's title or summary holds the word of a parameter, if it has one, a capital taken for its
// small letter.
func textHolds(parameter string) string {
	word := `CAST(` + parameter + ` AS TEXT)`
	return `(` + word + ` = '' OR a.title {like} ` + word + ` ESCAPE '\' OR a.summary {like} ` + word + ` ESCAPE '\')`
}

// The filters that every article query shares; an empty value filters nothing. A parameter that meets no column is
// cast, since not every engine guesses its type.
var articleFilters = `
			AND (CAST(?2 AS TEXT) = '' OR z.province = ?2)
			AND (CAST(?3 AS TEXT) = '' OR z.city = ?3)
			AND (CAST(?4 AS TEXT) = '' OR a.category = ?4)
			AND ` + textHolds(`?5`) + `
			AND ` + textHolds(`?11`) + `
			AND ` + textHolds(`?12`) + `
			AND a.received_ms >= ?6
			AND a.change < ?7
			AND (CAST(?8 AS BIGINT) = 1 OR a.zone_id IS NOT NULL)
			AND (CAST(?9 AS BIGINT) = 1 OR a.withdrawn_ms = 0)
		ORDER BY a.change DESC
		LIMIT ?10`

var (
	qArticlesAll = sqlText(`
		SELECT ` + articleColumns + `, a.content_html
		FROM article a {over article_text}
		LEFT JOIN zone z ON z.id = a.zone_id
		WHERE a.change > 0 AND CAST(?1 AS BIGINT) = 0` + articleFilters)
	qArticlesZone = sqlText(`
		SELECT ` + articleColumns + `, a.content_html
		FROM article a
		JOIN zone z ON z.id = a.zone_id
		WHERE a.zone_id = ?1` + articleFilters)
	qArticle = sqlText(`
		SELECT ` + articleColumns + `, a.content_html
		FROM article a
		LEFT JOIN zone z ON z.id = a.zone_id
		WHERE a.id = ?1`)
	qByExternal = sqlText(`
		SELECT id FROM article
		WHERE external_id = ?1 AND external_id <> '' AND zone_id = ?2 AND source_id IS NULL
		ORDER BY id LIMIT 1`)
	qByExternalRaw = sqlText(`
		SELECT id FROM article
		WHERE external_id = ?1 AND external_id <> '' AND zone_id IS NULL AND zone_raw = ?2 AND source_id IS NULL
		ORDER BY id LIMIT 1`)
	// The ids of a feed are believed if address or title agrees: some feeds have one id for whatever is the newest. That
	// of a withdrawn article is believed as it is, so that nothing brings it back.
	qBySource = sqlText(`
		SELECT id FROM article
		WHERE source_id = ?1 AND external_id = ?2
			AND (url_canon = ?3 OR url_canon = '' OR ?3 = '' OR title = ?4 OR withdrawn_ms > 0)
		ORDER BY id LIMIT 1`)
	// Some feeds, and some systems that push, give one address to all articles: two ids of one publisher with two titles are
	// two articles.
	qByURL = sqlText(`
		SELECT id FROM article
		WHERE url_canon = ?1 AND url_canon <> ''
			AND NOT (COALESCE(source_id, 0) = ?2 AND (?2 <> 0 OR zone_id = ?5)
				AND external_id <> '' AND ?3 <> '' AND external_id <> ?3 AND title <> ?4)
		ORDER BY id LIMIT 1`)
	qByTitle    = sqlText(`SELECT id FROM article WHERE title_key = ?1 AND title_key <> '' AND zone_id = ?2 ORDER BY id LIMIT 1`)
	qByTitleRaw = sqlText(`
		SELECT id FROM article
		WHERE title_key = ?1 AND title_key <> '' AND zone_id IS NULL AND zone_raw = ?2
		ORDER BY id LIMIT 1`)
	qArticleInsert = sqlText(`
		INSERT INTO article (seq, change, zone_id, zone_raw, province, city, external_id, url, url_canon, title_key,
			content_hash, title, summary, content_html, source, author, category, language, image, published_ms,
			published_offset, date_precision, date_suspect, received_ms, updated_ms, withdrawn_ms, withdrawn_reason,
			dup_of, layers, charset, source_id, replaced, sketch, story_a, story_b, month, deadline_ms, deadline_day)
		VALUES (?1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22,
			?23, ?23, 0, '', ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32, ?33, ?34)
		RETURNING id`)
	qArticleUpdate = sqlText(`
		UPDATE article
		SET change = ?2, seq = ?3, zone_id = ?4, zone_raw = ?5, province = ?6, city = ?7, url = ?8, url_canon = ?9,
			content_hash = ?10, title = ?11, summary = ?12, content_html = ?13, source = ?14, author = ?15, category = ?16,
			language = ?17, image = ?18, published_ms = ?19, published_offset = ?20, date_precision = ?21,
			date_suspect = ?22, updated_ms = ?23, layers = ?24, charset = ?25, external_id = ?26, title_key = ?27,
			source_id = ?28, replaced = ?29, sketch = ?30, story_a = ?31, story_b = ?32, month = CASE WHEN ?33 = 0 THEN month ELSE ?33 END,
			deadline_ms = ?34, deadline_day = ?35
		WHERE id = ?1`)
	qRevisionAdd = sqlText(`
		INSERT INTO article_revision (article_id, replaced_ms, title, summary, content_html)
		VALUES (?1, ?2, ?3, ?4, ?5)`)
	qAttachments      = sqlText(`SELECT url, name, type, length FROM attachment WHERE article_id = ?1 ORDER BY position`)
	qAttachmentsClear = sqlText(`DELETE FROM attachment WHERE article_id = ?1`)
	qAttachmentAdd    = sqlText(`INSERT INTO attachment (article_id, position, url, name, type, length) VALUES (?1, ?2, ?3, ?4, ?5, ?6)`)
)

func scanArticle(rows interface{ Scan(...any) error }) (zonewire.Article, error) {
	var a zonewire.Article
	var published, offset, suspect, received, updated, withdrawn, deadline, deadlineDay int64
	var precision, layers string
	var sketch []byte
	err := rows.Scan(&a.ID, &a.Seq, &a.Change, &a.ZoneID, &a.Zone, &a.ZoneRaw, &a.Province, &a.City,
		&a.ExternalID, &a.URL, &a.URLCanon, &a.TitleKey, &a.ContentHash, &a.Title, &a.Summary, &a.Source, &a.Author,
		&a.Category, &a.Language, &a.Image, &published, &offset, &precision, &suspect,
		&received, &updated, &withdrawn, &a.Reason, &a.DupOf, &layers, &a.Charset,
		&a.SourceID, &a.Replaced, &sketch, &deadline, &deadlineDay, &a.ContentHTML)
	if err != nil {
		return a, err
	}
	a.Sketch = zonewire.SketchOf(sketch)
	a.Published = fromMs(published).In(offsetZone(int(offset)))
	a.Precision, a.Suspect = zonewire.Precision(precision), suspect == 1
	a.Received, a.Updated, a.Withdrawn = fromMs(received), fromMs(updated), fromMs(withdrawn)
	if deadline != 0 {
		a.Deadline, a.DeadlineDay = fromMs(deadline).In(zonewire.Shanghai), deadlineDay == 1
	}
	if layers != "" {
		if err := json.Unmarshal([]byte(layers), &a.Layers); err != nil {
			return a, fmt.Errorf("article %d: layers: %w", a.ID, err)
		}
	}
	return a, nil
}

// offsetZone is a fixed zone, its offset in minutes east of UTC.
func offsetZone(minutes int) *time.Location {
	switch minutes {
	case 0:
		return time.UTC
	case 8 * 60:
		return zonewire.Shanghai
	}
	sign, m := "+", minutes
	if m < 0 {
		sign, m = "-", -m
	}
	return time.FixedZone(fmt.Sprintf("%s%02d:%02d", sign, m/60, m%60), minutes*60)
}

// PutArticles stores a batch in one transaction, all or none, each as a new article, an update of one, or nothing:
// the same zone and id, or the same canonical URL, is the same article; without either, the same title and date in
// the same zone. The ids of a source are its own, whatever the zone. A withdrawn article stays withdrawn. Hand over at most
// 500 at a time: a commit is a disk flush, but a long transaction keeps other writers waiting.
func (db *DB) PutArticles(ctx context.Context, act zonewire.Act, as []zonewire.Article) (stored []zonewire.Stored, err error) {
	err = db.write(ctx, "store articles", func(q querier) error {
		stored, err = db.putArticles(ctx, q, act, zonewire.Push{}, as)
		return err
	})
	return stored, err
}

// PushArticles is [DB.PutArticles] for a publisher, who may touch some zones only. What they may not change is Refused, and
// what has changed since they saw it is Stale; the others go in.
func (db *DB) PushArticles(ctx context.Context, act zonewire.Act, push zonewire.Push, as []zonewire.Article) (stored []zonewire.Stored, err error) {
	err = db.write(ctx, "push articles", func(q querier) error {
		if stored, err = db.putArticles(ctx, q, act, push, as); err != nil {
			return err
		}
		added, updated, _ := zonewire.Tally(stored)
		if added+updated == 0 {
			return nil
		}
		return audit(ctx, q, act, "article.push", "", fmt.Sprintf("%d added, %d updated", added, updated))
	})
	return stored, err
}

// TryArticles says what [DB.PutArticles] would do and keeps nothing.
func (db *DB) TryArticles(ctx context.Context, act zonewire.Act, as []zonewire.Article) (stored []zonewire.Stored, err error) {
	err = db.write(ctx, "try articles", func(q querier) error {
		if stored, err = db.putArticles(ctx, q, act, zonewire.Push{}, as); err != nil {
			return err
		}
		return errRollback
	})
	return stored, err
}

func (db *DB) putArticles(ctx context.Context, q querier, act zonewire.Act, push zonewire.Push, as []zonewire.Article) ([]zonewire.Stored, error) {
	seq, err := lockSequence(ctx, q)
	if err != nil {
		return nil, err
	}
	match, err := db.currentMatcher(ctx, q)
	if err != nil {
		return nil, err
	}
	known, err := askKnown(ctx, q, as)
	if err != nil {
		return nil, err
	}
	stored := make([]zonewire.Stored, len(as))
	for i, a := range as {
		if a.ZoneID == 0 {
			a.ZoneID, _ = match(a.ZoneRaw, a.Province, a.City)
		}
		if stored[i], err = putArticle(ctx, q, seq, act, push, known, a); err != nil {
			return nil, fmt.Errorf("article %q: %w", a.Title, err)
		}
		known.add(a)
	}
	return stored, seq.save(ctx, q)
}

func putArticle(ctx context.Context, q querier, seq *sequence, act zonewire.Act, push zonewire.Push, known *known, a zonewire.Article) (zonewire.Stored, error) {
	if a.Title == "" {
		return zonewire.Stored{}, zonewire.Invalidf("title is missing")
	}
	may := func(zone int64) bool { return len(push.Only) == 0 || slices.Contains(push.Only, zone) }
	id, err := int64(0), error(zonewire.ErrNotFound)
	if known.article(a) {
		id, err = findArticle(ctx, q, a)
	}
	if errors.Is(err, zonewire.ErrNotFound) {
		switch {
		case !may(a.ZoneID):
			return zonewire.Stored{Result: zonewire.Refused, ZoneID: a.ZoneID}, nil
		case push.IfChange != 0:
			return zonewire.Stored{Result: zonewire.Stale}, nil
		}
		return insertArticle(ctx, q, seq, act, known, a)
	}
	if err != nil {
		return zonewire.Stored{}, err
	}
	old, err := article(ctx, q, id)
	if err != nil {
		return zonewire.Stored{}, err
	}
	stands := zonewire.Stored{ID: old.ID, ZoneID: old.ZoneID, Change: old.Change}
	switch {
	case !may(old.ZoneID):
		stands.Result = zonewire.Refused
		return stands, nil
	case !old.Withdrawn.IsZero():
		stands.Result = zonewire.Dead
		return stands, nil
	case push.IfNew, push.IfChange != 0 && push.IfChange != old.Change:
		stands.Result = zonewire.Stale
		return stands, nil
	}
	return mergeArticle(ctx, q, seq, act, old, a)
}

func insertArticle(ctx context.Context, q querier, seq *sequence, act zonewire.Act, known *known, a zonewire.Article) (zonewire.Stored, error) {
	if a.Received.IsZero() {
		a.Received = act.At
	}
	dup := int64(0)
	if known.story(a) {
		var err error
		if dup, err = firstTelling(ctx, q, a); err != nil {
			return zonewire.Stored{}, err
		}
	}
	layers, err := layersText(a)
	if err != nil {
		return zonewire.Stored{}, err
	}
	_, offset := a.Published.Zone()
	keyA, keyB := a.Sketch.Keys()
	a.Change = seq.next()
	month := int64(0)
	if a.ZoneID != 0 {
		month = int64(zonewire.MonthOf(act.At))
	}
	err = q.row(ctx, qArticleInsert, []any{a.Change, nullID(a.ZoneID), a.ZoneRaw, a.Province, a.City, a.ExternalID,
		a.URL, a.URLCanon, a.TitleKey, a.ContentHash, a.Title, a.Summary, a.ContentHTML, a.Source, a.Author, a.Category,
		a.Language, a.Image, toMs(a.Published), offset / 60, string(a.Precision), toFlag(a.Suspect), toMs(a.Received),
		nullID(dup), layers, a.Charset, nullID(a.SourceID), int64(a.Replaced), a.Sketch.Bytes(), keyA, keyB, month,
		toMs(a.Deadline), toFlag(a.DeadlineDay)}, &a.ID)
	if err != nil {
		return zonewire.Stored{}, err
	}
	return zonewire.Stored{ID: a.ID, Result: zonewire.Added, ZoneID: a.ZoneID, Change: a.Change}, putAttachments(ctx, q, a)
}

func layersText(a zonewire.Article) (string, error) {
	if len(a.Layers) == 0 {
		return "", nil
	}
	text, err := json.Marshal(a.Layers)
	return string(text), err
}

func putAttachments(ctx context.Context, q querier, a zonewire.Article) error {
	for i, f := range a.Attachments {
		if _, err := q.exec(ctx, qAttachmentAdd, a.ID, int64(i), f.URL, f.Name, f.Type, f.Length); err != nil {
			return err
		}
	}
	return nil
}

// Article gives an article by id, withdrawn or not. [zonewire.ErrNotFound].
func (db *DB) Article(ctx context.Context, id int64) (zonewire.Article, error) {
	a, err := article(ctx, db.reader(), id)
	return a, readError("article "+strconv.FormatInt(id, 10), err)
}

func article(ctx context.Context, q querier, id int64) (zonewire.Article, error) {
	a, err := scanArticle(q.x.QueryRowContext(ctx, q.text(qArticle), id))
	if errors.Is(err, sql.ErrNoRows) {
		return a, zonewire.ErrNotFound
	}
	if err != nil {
		return a, err
	}
	return withAttachments(ctx, q, a)
}

func withAttachments(ctx context.Context, q querier, a zonewire.Article) (zonewire.Article, error) {
	var err error
	a.Attachments, err = collect(ctx, q, qAttachments, []any{a.ID}, func(rows *sql.Rows) (zonewire.Attachment, error) {
		var f zonewire.Attachment
		err := rows.Scan(&f.URL, &f.Name, &f.Type, &f.Length)
		return f, err
	})
	return a, err
}

// Articles lists articles, the latest change first.
func (db *DB) Articles(ctx context.Context, aq zonewire.ArticleQuery) ([]zonewire.Article, error) {
	text := qArticlesAll
	if aq.ZoneID != 0 {
		text = qArticlesZone
	}
	q := db.reader()
	all, err := collect(ctx, q, text, articleArgs(aq), func(rows *sql.Rows) (zonewire.Article, error) { return scanArticle(rows) })
	for i := range all {
		if err == nil {
			all[i], err = withAttachments(ctx, q, all[i])
		}
	}
	return all, readError("articles", err)
}

// articleArgs are the parameters of [articleFilters].
func articleArgs(aq zonewire.ArticleQuery) []any {
	if aq.Before == 0 {
		aq.Before = 1<<63 - 1
	}
	words := wordPatterns(aq.Text)
	return []any{aq.ZoneID, aq.Province, aq.City, aq.Category, words[0], toMs(aq.Since), aq.Before,
		toFlag(aq.Unfiled), toFlag(aq.Withdrawn), int64(aq.Limit), words[1], words[2]}
}

// ArticlesByID gives the articles in the order asked, leaving out ids that are unknown.
func (db *DB) ArticlesByID(ctx context.Context, ids []int64) ([]zonewire.Article, error) {
	all, err := articlesByID(ctx, db.reader(), ids)
	return all, readError("articles", err)
}

func articlesByID(ctx context.Context, q querier, ids []int64) ([]zonewire.Article, error) {
	all := make([]zonewire.Article, 0, len(ids))
	for _, id := range ids {
		a, err := article(ctx, q, id)
		if errors.Is(err, zonewire.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}

// wordPatterns finds each word of the text anywhere; words past the third stand together with it.
func wordPatterns(text string) (patterns [3]string) {
	for i, word := range strings.Fields(text) {
		if i < len(patterns) {
			patterns[i] = likePattern(word)
		} else {
			patterns[2] += strings.TrimPrefix(likePattern(word), "%")
		}
	}
	return patterns
}

// likePattern finds the text anywhere, in lower case; empty text gives an empty pattern.
func likePattern(text string) string {
	if text == "" {
		return ""
	}
	return "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(strings.ToLower(text)) + "%"
}
