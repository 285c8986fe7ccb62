package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"zonewire"
)

const zoneColumns = `z.id, z.slug, z.code, z.name, z.name_en, z.level, z.type, z.province, z.city, z.homepage, z.language,
			z.closed_ms, COALESCE(m.slug, ''), z.created_ms, z.changed_ms
		FROM zone z
		LEFT JOIN zone m ON m.id = z.merged_into`

var (
	qZones = sqlText(`
		SELECT ` + zoneColumns + `
		ORDER BY z.id`)
	qZone = sqlText(`
		SELECT ` + zoneColumns + `
		WHERE z.slug = ?1`)
	qZoneSlug    = sqlText(`SELECT slug FROM zone WHERE id = ?1`)
	qAliases     = sqlText(`SELECT zone_id, alias FROM zone_alias ORDER BY zone_id, alias`)
	qZoneAliases = sqlText(`SELECT alias FROM zone_alias WHERE zone_id = ?1 ORDER BY alias`)
	qAliasZone   = sqlText(`SELECT z.slug FROM zone_alias a JOIN zone z ON z.id = a.zone_id WHERE a.alias = ?1`)
	qFormerSlug  = sqlText(`SELECT z.slug FROM zone_slug s JOIN zone z ON z.id = s.zone_id WHERE s.slug = ?1`)
	qZoneInsert  = sqlText(`
		INSERT INTO zone (slug, code, name, name_en, level, type, province, city, homepage, language, closed_ms, created_ms, changed_ms)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 0, ?11, ?11)
		RETURNING id`)
	qZoneUpdate = sqlText(`
		UPDATE zone
		SET code = ?2, name = ?3, name_en = ?4, level = ?5, type = ?6, province = ?7, city = ?8, homepage = ?9, language = ?10, changed_ms = ?11
		WHERE id = ?1`)
	qZoneRename   = sqlText(`UPDATE zone SET slug = ?2, changed_ms = ?3 WHERE id = ?1`)
	qZoneClose    = sqlText(`UPDATE zone SET closed_ms = ?2, changed_ms = ?2, merged_into = ?3 WHERE id = ?1`)
	qFormerAdd    = sqlText(`INSERT INTO zone_slug (slug, zone_id) VALUES (?1, ?2) ON CONFLICT (slug) DO UPDATE SET zone_id = excluded.zone_id`)
	qFormerRemove = sqlText(`DELETE FROM zone_slug WHERE slug = ?1`)
	qAliasAdd     = sqlText(`INSERT INTO zone_alias (alias, zone_id) VALUES (?1, ?2)`)
	qAliasRemove  = sqlText(`DELETE FROM zone_alias WHERE alias = ?1 AND zone_id = ?2`)
	qPendingZones = sqlText(`
		SELECT zone_raw, province, city, COUNT(*), MAX(received_ms)
		FROM article
		WHERE zone_id IS NULL AND withdrawn_ms = 0
		GROUP BY zone_raw, province, city
		ORDER BY COUNT(*) DESC, zone_raw, province, city`)
	qPendingArticles = sqlText(`
		SELECT id
		FROM article
		WHERE zone_id IS NULL AND zone_raw = ?1 AND province = ?2 AND city = ?3
		ORDER BY id`)
	qZoneArticles = sqlText(`SELECT id FROM article WHERE zone_id = ?1 ORDER BY seq`)
	qArticleFile  = sqlText(`UPDATE article SET zone_id = ?2, seq = ?3, change = ?3, month = ?4 WHERE id = ?1`)
	qListsOfZone  = sqlText(`
		UPDATE list_zone SET zone_id = ?2
		WHERE zone_id = ?1 AND list_id NOT IN (SELECT list_id FROM list_zone WHERE zone_id = ?2)`)
	qListsDropZone   = sqlText(`DELETE FROM list_zone WHERE zone_id = ?1`)
	qSubsWithZones   = sqlText(`SELECT id, zones FROM subscription WHERE zones <> ''`)
	qSubscriptionSet = sqlText(`UPDATE subscription SET zones = ?2 WHERE id = ?1`)
)

func scanZone(rows interface{ Scan(...any) error }) (zonewire.Zone, error) {
	var z zonewire.Zone
	var closed, created, changed int64
	err := rows.Scan(&z.ID, &z.Slug, &z.Code, &z.Name, &z.NameEn, &z.Level, &z.Type, &z.Province, &z.City,
		&z.Homepage, &z.Language, &closed, &z.MergedInto, &created, &changed)
	z.Closed, z.Created, z.Changed = fromMs(closed), fromMs(created), fromMs(changed)
	return z, err
}

// Zones lists every zone, open and closed, by id, with its aliases.
func (db *DB) Zones(ctx context.Context) ([]zonewire.Zone, error) {
	all, err := zones(ctx, db.reader())
	return all, readError("zones", err)
}

func zones(ctx context.Context, q querier) ([]zonewire.Zone, error) {
	all, err := collect(ctx, q, qZones, nil, func(rows *sql.Rows) (zonewire.Zone, error) { return scanZone(rows) })
	if err != nil {
		return nil, err
	}
	at := make(map[int64]*zonewire.Zone, len(all))
	for i := range all {
		at[all[i].ID] = &all[i]
	}
	_, err = collect(ctx, q, qAliases, nil, func(rows *sql.Rows) (struct{}, error) {
		var id int64
		var alias string
		err := rows.Scan(&id, &alias)
		if z := at[id]; z != nil {
			z.Aliases = append(z.Aliases, alias)
		}
		return struct{}{}, err
	})
	return all, err
}

// Zone finds a zone by its slug, or by one it had: then Zone.Slug tells the present one. [zonewire.ErrNotFound].
func (db *DB) Zone(ctx context.Context, slug string) (zonewire.Zone, error) {
	z, err := zoneBySlug(ctx, db.reader(), slug)
	return z, readError("zone "+slug, err)
}

func zoneBySlug(ctx context.Context, q querier, slug string) (zonewire.Zone, error) {
	z, err := zoneNamed(ctx, q, slug)
	if !errors.Is(err, zonewire.ErrNotFound) {
		return z, err
	}
	var now string
	if err := q.row(ctx, qFormerSlug, []any{slug}, &now); err != nil {
		return zonewire.Zone{}, err
	}
	return zoneNamed(ctx, q, now)
}

// zoneSlugs gives the slugs of a few zones, and reads no others.
func zoneSlugs(ctx context.Context, q querier, ids []int64) ([]string, error) {
	var slugs []string
	for _, id := range ids {
		var slug string
		if err := q.row(ctx, qZoneSlug, []any{id}, &slug); err != nil {
			return nil, err
		}
		slugs = append(slugs, slug)
	}
	return slugs, nil
}

func zoneNamed(ctx context.Context, q querier, slug string) (zonewire.Zone, error) {
	z, err := scanZone(q.x.QueryRowContext(ctx, q.text(qZone), slug))
	if errors.Is(err, sql.ErrNoRows) {
		return z, zonewire.ErrNotFound
	}
	if err != nil {
		return z, err
	}
	z.Aliases, err = collect(ctx, q, qZoneAliases, []any{z.ID}, func(rows *sql.Rows) (string, error) {
		var alias string
		err := rows.Scan(&alias)
		return alias, err
	})
	return z, err
}

// AddZone adds a zone with its aliases and files the articles that waited for it; filed counts them.
// [zonewire.ErrExists] if the slug or an alias is taken, [zonewire.ErrInvalid].
func (db *DB) AddZone(ctx context.Context, act zonewire.Act, z zonewire.Zone) (added zonewire.Zone, filed int, err error) {
	err = db.write(ctx, "add zone "+z.Slug, func(q querier) error {
		seq, err := lockSequence(ctx, q)
		if err != nil {
			return err
		}
		if added, err = insertZone(ctx, q, act, z); err != nil {
			return err
		}
		filed, err = db.zonesChanged(ctx, q, seq, act)
		return err
	})
	return added, filed, err
}

func insertZone(ctx context.Context, q querier, act zonewire.Act, z zonewire.Zone) (zonewire.Zone, error) {
	if z.Language == "" {
		z.Language = zonewire.LocaleZH
	}
	z.Created = act.At
	if err := z.Validate(); err != nil {
		return z, err
	}
	if _, err := zoneNamed(ctx, q, z.Slug); err == nil {
		return z, zonewire.ErrExists
	} else if !errors.Is(err, zonewire.ErrNotFound) {
		return z, err
	}
	err := q.row(ctx, qZoneInsert, []any{z.Slug, z.Code, z.Name, z.NameEn, z.Level, z.Type, z.Province, z.City,
		z.Homepage, z.Language, toMs(act.At)}, &z.ID)
	if err != nil {
		return z, err
	}
	if _, err := q.exec(ctx, qFormerRemove, z.Slug); err != nil { // the name is in use again
		return z, err
	}
	for _, alias := range z.Aliases {
		if err := insertAlias(ctx, q, z, alias); err != nil {
			return z, err
		}
	}
	return z, audit(ctx, q, act, "zone.add", "zone:"+z.Slug, z.Name)
}

func insertAlias(ctx context.Context, q querier, z zonewire.Zone, alias string) error {
	alias = strings.TrimSpace(alias)
	if alias == "" {
		return zonewire.Invalidf("zone %s: an alias is empty", z.Slug)
	}
	var owner string
	switch err := q.row(ctx, qAliasZone, []any{alias}, &owner); {
	case err == nil && owner == z.Slug:
		return nil
	case err == nil:
		return fmt.Errorf("alias %s of zone %s: %w", alias, owner, zonewire.ErrExists)
	case !errors.Is(err, zonewire.ErrNotFound):
		return err
	}
	_, err := q.exec(ctx, qAliasAdd, alias, z.ID)
	return err
}

// zonesChanged ends each transaction that changes what names mean: readers see the new generation, and articles that
// waited under a name that now means a zone are filed into it.
func (db *DB) zonesChanged(ctx context.Context, q querier, seq *sequence, act zonewire.Act) (filed int, err error) {
	if err := bumpZones(ctx, q); err != nil {
		return 0, err
	}
	waiting, err := pendingZones(ctx, q)
	if err != nil || len(waiting) == 0 {
		return 0, errors.Join(err, seq.save(ctx, q))
	}
	all, err := zones(ctx, q)
	if err != nil {
		return 0, err
	}
	match := db.matcher(all)
	for _, p := range waiting {
		zone, ok := match(p.Name, p.Province, p.City)
		if !ok {
			continue
		}
		ids, err := collect(ctx, q, qPendingArticles, []any{p.Name, p.Province, p.City}, scanInt)
		if err != nil {
			return 0, err
		}
		if err := file(ctx, q, seq, act, zone, ids); err != nil {
			return 0, err
		}
		filed += len(ids)
	}
	return filed, seq.save(ctx, q)
}

// file gives the articles a zone and a new place in the sequence, so that lists and feeds see them as new.
func file(ctx context.Context, q querier, seq *sequence, act zonewire.Act, zone int64, ids []int64) error {
	month := int64(zonewire.MonthOf(act.At))
	for _, id := range ids {
		if _, err := q.exec(ctx, qArticleFile, id, zone, seq.next(), month); err != nil {
			return err
		}
	}
	return nil
}

// EditZone changes a zone's fields, all but its slug and aliases. change must bear being run more than once.
func (db *DB) EditZone(ctx context.Context, act zonewire.Act, slug string, change func(*zonewire.Zone) error) (edited zonewire.Zone, filed int, err error) {
	err = db.write(ctx, "edit zone "+slug, func(q querier) error {
		seq, err := lockSequence(ctx, q)
		if err != nil {
			return err
		}
		if edited, err = zoneBySlug(ctx, q, slug); err != nil {
			return err
		}
		if err := change(&edited); err != nil {
			return err
		}
		if err := updateZone(ctx, q, act, edited); err != nil {
			return err
		}
		filed, err = db.zonesChanged(ctx, q, seq, act)
		return err
	})
	return edited, filed, err
}

func updateZone(ctx context.Context, q querier, act zonewire.Act, z zonewire.Zone) error {
	if err := z.Validate(); err != nil {
		return err
	}
	if _, err := q.exec(ctx, qZoneUpdate, z.ID, z.Code, z.Name, z.NameEn, z.Level, z.Type, z.Province, z.City, z.Homepage, z.Language, toMs(act.At)); err != nil {
		return err
	}
	return audit(ctx, q, act, "zone.edit", "zone:"+z.Slug, z.Name)
}

// ImportCounts is what an import of zones did.
type ImportCounts struct {
	Added, Updated, Unchanged int
	Filed                     int // articles that found their zone
}

// ImportZones adds the zones and updates those whose slug is known, all or none. Aliases are added, never removed.
func (db *DB) ImportZones(ctx context.Context, act zonewire.Act, in []zonewire.Zone) (counts ImportCounts, err error) {
	err = db.write(ctx, "import zones", func(q querier) error {
		counts = ImportCounts{}
		seq, err := lockSequence(ctx, q)
		if err != nil {
			return err
		}
		for _, z := range in {
			if err := importZone(ctx, q, act, z, &counts); err != nil {
				return fmt.Errorf("zone %s: %w", z.Slug, err)
			}
		}
		counts.Filed, err = db.zonesChanged(ctx, q, seq, act)
		return err
	})
	return counts, err
}

func importZone(ctx context.Context, q querier, act zonewire.Act, z zonewire.Zone, counts *ImportCounts) error {
	old, err := zoneNamed(ctx, q, z.Slug)
	if errors.Is(err, zonewire.ErrNotFound) {
		counts.Added++
		_, err = insertZone(ctx, q, act, z)
		return err
	}
	if err != nil {
		return err
	}
	if z.Language == "" {
		z.Language = old.Language
	}
	changed := false
	for _, alias := range z.Aliases {
		if !slices.Contains(old.Aliases, alias) {
			changed = true
			if err := insertAlias(ctx, q, old, alias); err != nil {
				return err
			}
		}
	}
	z.ID, z.Created, z.Changed, z.Closed, z.MergedInto, z.Aliases = old.ID, old.Created, old.Changed, old.Closed, old.MergedInto, nil
	bare := old
	bare.Aliases = nil
	if fmt.Sprint(bare) == fmt.Sprint(z) {
		if changed {
			counts.Updated++
		} else {
			counts.Unchanged++
		}
		return nil
	}
	counts.Updated++
	return updateZone(ctx, q, act, z)
}

// RenameZone changes a zone's slug; the old one redirects for ever.
func (db *DB) RenameZone(ctx context.Context, act zonewire.Act, old, new string) error {
	return db.write(ctx, "rename zone "+old, func(q querier) error {
		if err := zonewire.ValidSlug("zone", new); err != nil {
			return err
		}
		z, err := zoneNamed(ctx, q, old)
		if err != nil {
			return err
		}
		if _, err := zoneNamed(ctx, q, new); err == nil {
			return fmt.Errorf("zone %s: %w", new, zonewire.ErrExists)
		} else if !errors.Is(err, zonewire.ErrNotFound) {
			return err
		}
		if _, err := q.exec(ctx, qFormerRemove, new); err != nil {
			return err
		}
		if _, err := q.exec(ctx, qZoneRename, z.ID, new, toMs(act.At)); err != nil {
			return err
		}
		if _, err := q.exec(ctx, qFormerAdd, old, z.ID); err != nil {
			return err
		}
		if err := bumpZones(ctx, q); err != nil {
			return err
		}
		return audit(ctx, q, act, "zone.rename", "zone:"+new, "from "+old)
	})
}

// CloseZone ends a zone for good. With into, its articles move to that zone and count as new there (a list that has
// mailed one never mails it again), and lists and readers that followed the closed zone follow the other.
func (db *DB) CloseZone(ctx context.Context, act zonewire.Act, slug, into string) (moved int, err error) {
	err = db.write(ctx, "close zone "+slug, func(q querier) error {
		seq, err := lockSequence(ctx, q)
		if err != nil {
			return err
		}
		z, err := zoneNamed(ctx, q, slug)
		if err != nil {
			return err
		}
		if !z.Closed.IsZero() {
			return fmt.Errorf("closed on %s: %w", z.Closed.Format("2006-01-02"), zonewire.ErrGone)
		}
		var target zonewire.Zone
		if into != "" {
			if target, err = zoneNamed(ctx, q, into); err != nil {
				return fmt.Errorf("zone %s: %w", into, err)
			}
			if target.ID == z.ID || !target.Closed.IsZero() {
				return zonewire.Invalidf("zone %s cannot take over: it is the same zone, or closed", into)
			}
			if moved, err = moveZone(ctx, q, seq, act, z.ID, target.ID); err != nil {
				return err
			}
		}
		if _, err := q.exec(ctx, qZoneClose, z.ID, toMs(act.At), nullID(target.ID)); err != nil {
			return err
		}
		if _, err := db.zonesChanged(ctx, q, seq, act); err != nil {
			return err
		}
		return audit(ctx, q, act, "zone.close", "zone:"+slug, "into "+into)
	})
	return moved, err
}

// moveZone hands articles, lists and choices of one zone to another.
func moveZone(ctx context.Context, q querier, seq *sequence, act zonewire.Act, from, to int64) (int, error) {
	ids, err := collect(ctx, q, qZoneArticles, []any{from}, scanInt)
	if err != nil {
		return 0, err
	}
	if err := file(ctx, q, seq, act, to, ids); err != nil {
		return 0, err
	}
	if _, err := q.exec(ctx, qListsOfZone, from, to); err != nil {
		return 0, err
	}
	if _, err := q.exec(ctx, qListsDropZone, from); err != nil {
		return 0, err
	}
	type choice struct {
		id    int64
		zones string
	}
	choices, err := collect(ctx, q, qSubsWithZones, nil, func(rows *sql.Rows) (choice, error) {
		var c choice
		err := rows.Scan(&c.id, &c.zones)
		return c, err
	})
	if err != nil {
		return 0, err
	}
	for _, c := range choices {
		set, err := zonewire.ParseZoneSet(c.zones)
		if err != nil {
			return 0, err
		}
		i := slices.Index(set, from)
		if i < 0 {
			continue
		}
		set[i] = to
		if _, err := q.exec(ctx, qSubscriptionSet, c.id, zonewire.ZoneSet(set)); err != nil {
			return 0, err
		}
	}
	return len(ids), nil
}

// AddAlias adds a name under which the zone is known and files the articles that waited under it.
func (db *DB) AddAlias(ctx context.Context, act zonewire.Act, slug, alias string) (filed int, err error) {
	err = db.write(ctx, "add alias to zone "+slug, func(q querier) error {
		seq, err := lockSequence(ctx, q)
		if err != nil {
			return err
		}
		z, err := zoneBySlug(ctx, q, slug)
		if err != nil {
			return err
		}
		if err := insertAlias(ctx, q, z, alias); err != nil {
			return err
		}
		if filed, err = db.zonesChanged(ctx, q, seq, act); err != nil {
			return err
		}
		return audit(ctx, q, act, "zone.alias.add", "zone:"+z.Slug, alias)
	})
	return filed, err
}

// RemoveAlias takes a name from a zone; what was filed by it stays filed.
func (db *DB) RemoveAlias(ctx context.Context, act zonewire.Act, slug, alias string) error {
	return db.write(ctx, "remove alias from zone "+slug, func(q querier) error {
		z, err := zoneBySlug(ctx, q, slug)
		if err != nil {
			return err
		}
		n, err := q.exec(ctx, qAliasRemove, alias, z.ID)
		if err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("alias %s: %w", alias, zonewire.ErrNotFound)
		}
		if err := bumpZones(ctx, q); err != nil {
			return err
		}
		return audit(ctx, q, act, "zone.alias.remove", "zone:"+z.Slug, alias)
	})
}

// PendingZones lists the names that articles carry and that match no zone, the most frequent first.
func (db *DB) PendingZones(ctx context.Context) ([]zonewire.PendingZone, error) {
	all, err := pendingZones(ctx, db.reader())
	return all, readError("pending zones", err)
}

func pendingZones(ctx context.Context, q querier) ([]zonewire.PendingZone, error) {
	return collect(ctx, q, qPendingZones, nil, func(rows *sql.Rows) (zonewire.PendingZone, error) {
		var p zonewire.PendingZone
		var latest int64
		err := rows.Scan(&p.Name, &p.Province, &p.City, &p.Articles, &latest)
		p.Latest = fromMs(latest)
		return p, err
	})
}

// match gives the matcher of the present zones, made anew only when a zone has changed.
func (db *DB) currentMatcher(ctx context.Context, q querier) (zonewire.Matcher, error) {
	var gen int64
	if err := q.row(ctx, qCounter, []any{"zone"}, &gen); err != nil {
		return nil, err
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.matchGen == gen {
		return db.match, nil
	}
	all, err := zones(ctx, q)
	if err != nil {
		return nil, err
	}
	db.match, db.matchGen = db.matcher(all), gen
	return db.match, nil
}
