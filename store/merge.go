package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"zonewire"
)

// findArticle looks for the article that this one is again.
func findArticle(ctx context.Context, q querier, a zonewire.Article) (int64, error) {
	zone, external, title := any(a.ZoneID), qByExternal, qByTitle
	if a.ZoneID == 0 {
		zone, external, title = a.ZoneRaw, qByExternalRaw, qByTitleRaw
	}
	var id int64
	switch {
	case a.ExternalID == "":
	case a.SourceID != 0:
		args := []any{a.SourceID, a.ExternalID, a.URLCanon, a.Title}
		if err := q.row(ctx, qBySource, args, &id); !errors.Is(err, zonewire.ErrNotFound) {
			return id, err
		}
	default:
		if err := q.row(ctx, external, []any{a.ExternalID, zone}, &id); !errors.Is(err, zonewire.ErrNotFound) {
			return id, err
		}
	}
	if a.URLCanon != "" {
		if err := q.row(ctx, qByURL, []any{a.URLCanon, a.SourceID, a.ExternalID, a.Title, a.ZoneID}, &id); !errors.Is(err, zonewire.ErrNotFound) {
			return id, err
		}
	}
	if a.ExternalID == "" && a.URLCanon == "" && a.TitleKey != "" {
		return id, q.row(ctx, title, []any{a.TitleKey, zone}, &id)
	}
	return 0, zonewire.ErrNotFound
}

// mergeArticle stores what a repeat of an article changes. Its id, first date and arrival stay; only a change of
// title, body or attachments counts as an edit, keeps the earlier text and moves Updated. A zone once known stays: two
// portals that name it differently must not move an article to and fro.
//
// For the same reason the text is that of whoever brought it first: another source that has the same address only fills
// what is missing. A push with an id is the publisher's own word and takes over what was polled.
func mergeArticle(ctx context.Context, q querier, seq *sequence, act zonewire.Act, old, a zonewire.Article) (zonewire.Stored, error) {
	merged := old
	owner := a.SourceID == old.SourceID
	if a.SourceID == 0 && a.ExternalID != "" && !owner {
		merged.SourceID, merged.ExternalID, owner = 0, a.ExternalID, true
	}
	if owner || old.ContentHTML == "" && a.ContentHTML != "" {
		takeText(&merged, a)
	}
	if owner && old.ExternalID == "" {
		merged.ExternalID = a.ExternalID
	}
	if owner && a.URL != "" {
		merged.URL, merged.URLCanon = a.URL, a.URLCanon
	}
	if old.Suspect && !a.Suspect {
		merged.Published, merged.Precision, merged.Suspect = a.Published, a.Precision, false
	}
	if old.ZoneID == 0 && (owner || a.ZoneID != 0) {
		merged.ZoneID, merged.ZoneRaw, merged.Province, merged.City = a.ZoneID, a.ZoneRaw, a.Province, a.City
	}
	if same(old, merged) {
		return zonewire.Stored{ID: old.ID, Result: zonewire.Unchanged, ZoneID: old.ZoneID, Change: old.Change}, nil
	}
	change, err := updateArticle(ctx, q, seq, act, old, merged)
	return zonewire.Stored{ID: old.ID, Result: zonewire.Updated, ZoneID: merged.ZoneID, Change: change}, err
}

// takeText takes over what a reader sees, and how it was read.
func takeText(to *zonewire.Article, a zonewire.Article) {
	to.Title, to.Summary, to.ContentHTML, to.ContentHash, to.Sketch = a.Title, a.Summary, a.ContentHTML, a.ContentHash, a.Sketch
	to.Attachments, to.Deadline, to.DeadlineDay = a.Attachments, a.Deadline, a.DeadlineDay
	to.Source, to.Author, to.Category, to.Image = a.Source, a.Author, a.Category, a.Image
	to.Layers, to.Charset, to.Replaced = a.Layers, a.Charset, a.Replaced
	if a.Language != "" {
		to.Language = a.Language
	}
}

// same compares what a reader can see, not how it was read.
func same(old, merged zonewire.Article) bool {
	return old.ContentHash == merged.ContentHash && old.Summary == merged.Summary && old.Source == merged.Source &&
		old.Author == merged.Author && old.Category == merged.Category && old.Image == merged.Image &&
		old.URL == merged.URL && old.Deadline.Equal(merged.Deadline) && old.DeadlineDay == merged.DeadlineDay && old.ExternalID == merged.ExternalID && old.Language == merged.Language &&
		old.Published.Equal(merged.Published) && old.ZoneID == merged.ZoneID && old.SourceID == merged.SourceID
}

// updateArticle stores the change of an article and gives its number.
func updateArticle(ctx context.Context, q querier, seq *sequence, act zonewire.Act, old, a zonewire.Article) (change int64, err error) {
	if old.ContentHash != a.ContentHash {
		a.Updated = act.At
		if _, err := q.exec(ctx, qRevisionAdd, a.ID, toMs(act.At), old.Title, old.Summary, old.ContentHTML); err != nil {
			return 0, err
		}
		if _, err := q.exec(ctx, qAttachmentsClear, a.ID); err != nil {
			return 0, err
		}
		if err := putAttachments(ctx, q, a); err != nil {
			return 0, err
		}
	}
	a.Change = seq.next()
	month := int64(0)           // stays
	if old.ZoneID != a.ZoneID { // filing makes it new to the zone's lists
		a.Seq, month = a.Change, int64(zonewire.MonthOf(act.At))
		if err := depart(ctx, q, act, old, a.Change, true); err != nil {
			return 0, err
		}
	}
	layers, err := layersText(a)
	if err != nil {
		return 0, err
	}
	keyA, keyB := a.Sketch.Keys()
	_, offset := a.Published.Zone()
	_, err = q.exec(ctx, qArticleUpdate, a.ID, a.Change, a.Seq, nullID(a.ZoneID), a.ZoneRaw, a.Province, a.City, a.URL,
		a.URLCanon, a.ContentHash, a.Title, a.Summary, a.ContentHTML, a.Source, a.Author, a.Category, a.Language, a.Image,
		toMs(a.Published), offset/60, string(a.Precision), toFlag(a.Suspect), toMs(a.Updated), layers, a.Charset,
		a.ExternalID, a.TitleKey, nullID(a.SourceID), int64(a.Replaced), a.Sketch.Bytes(), keyA, keyB, month,
		toMs(a.Deadline), toFlag(a.DeadlineDay))
	return a.Change, err
}

// EditArticle corrects an article as an update from its portal would; a new zone files it anew. A withdrawn one is
// [zonewire.ErrGone].
func (db *DB) EditArticle(ctx context.Context, act zonewire.Act, id int64, change func(*zonewire.Article) error) (edited zonewire.Article, err error) {
	err = db.write(ctx, "edit article "+strconv.FormatInt(id, 10), func(q querier) error {
		seq, err := lockSequence(ctx, q)
		if err != nil {
			return err
		}
		old, err := article(ctx, q, id)
		if err != nil {
			return err
		}
		if !old.Withdrawn.IsZero() {
			return fmt.Errorf("withdrawn: %w", zonewire.ErrGone)
		}
		edited = old
		if err := change(&edited); err != nil {
			return err
		}
		if _, err := updateArticle(ctx, q, seq, act, old, edited); err != nil {
			return err
		}
		if err := seq.save(ctx, q); err != nil {
			return err
		}
		if err := audit(ctx, q, act, "article.edit", "article:"+strconv.FormatInt(id, 10), ""); err != nil {
			return err
		}
		edited, err = article(ctx, q, id)
		return err
	})
	return edited, err
}
