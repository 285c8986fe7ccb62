package store

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// schemaTable is a table of the schema, as a copy meets it.
type schemaTable struct {
	name string
	key  string // the primary key's columns: reading in their order, both engines give the same rows one after the other
	own  string // condition of the rows that belong to the place and not to the installation; empty = there are none
}

// identity reports whether the database numbers the rows.
func (t schemaTable) identity() bool { return t.key == "id" }

// schemaTables are all tables but schema_version, each behind those that it refers to. A test compares them with both
// engines' schemas.
var schemaTables = []schemaTable{
	// The rows that are only locked come with the schema, and must stay where they are.
	{name: "counter", key: "name", own: "name IN ('writer', 'feed', 'sending')"},
	{name: "meta", key: "name", own: "name = 'home'"},
	{name: "audit", key: "id"},
	{name: "zone", key: "id"},
	{name: "zone_alias", key: "alias"},
	{name: "zone_slug", key: "slug"},
	{name: "source", key: "id"},
	{name: "host", key: "host"},
	{name: "source_page", key: "id"},
	{name: "poll", key: "id"},
	{name: "article", key: "id"},
	{name: "article_revision", key: "id"},
	{name: "attachment", key: "article_id, position"},
	{name: "departure", key: "change, zone_id"},
	{name: "feed_version", key: "feed"},
	{name: "feed_base", key: "id"},
	{name: "hub_request", key: "id"},
	{name: "hub_subscription", key: "id"},
	{name: "hub_ping", key: "hub, topic"},
	{name: "list", key: "id"},
	{name: "list_zone", key: "list_id, zone_id"},
	{name: "subscriber", key: "id"},
	{name: "suppression", key: "address_hash"},
	{name: "subscription", key: "id"},
	{name: "plan_told", key: "subscription_id"},
	{name: "ticket", key: "id"},
	{name: "provider", key: "name"},
	{name: "alarm", key: "name"},
	{name: "worker", key: "id"},
	{name: "digest", key: "id"},
	{name: "digest_item", key: "list_id, article_id"},
	{name: "digest_note", key: "list_id, article_id, kind, at_ms"},
	{name: "digest_count", key: "digest_id, state"},
	{name: "variant", key: "id"},
	{name: "delivery", key: "id"},
	{name: "notice", key: "id"},
	{name: "strike", key: "subscriber_id, digest_id"},
	{name: "bounce", key: "id"},
	{name: "api_key", key: "id"},
	{name: "idempotency", key: "key_id, name"},
}

// reference is a column that holds the id of a row of another table, or NULL.
type reference struct{ table, column, to string }

// references are all foreign keys of the schema, those of delivery too, which PostgreSQL does not declare. A test compares
// them with both engines' declarations.
var references = []reference{
	{"zone", "merged_into", "zone"},
	{"zone_alias", "zone_id", "zone"},
	{"zone_slug", "zone_id", "zone"},
	{"source", "zone_id", "zone"},
	{"source_page", "source_id", "source"},
	{"poll", "source_id", "source"},
	{"article", "zone_id", "zone"},
	{"article", "dup_of", "article"},
	{"article", "source_id", "source"},
	{"article_revision", "article_id", "article"},
	{"attachment", "article_id", "article"},
	{"departure", "zone_id", "zone"},
	{"departure", "article_id", "article"},
	{"list_zone", "list_id", "list"},
	{"list_zone", "zone_id", "zone"},
	{"subscription", "subscriber_id", "subscriber"},
	{"subscription", "list_id", "list"},
	{"subscription", "switch_to", "list"},
	{"subscription", "came_from", "list"},
	{"plan_told", "subscription_id", "subscription"},
	{"ticket", "subscriber_id", "subscriber"},
	{"ticket", "subscription_id", "subscription"},
	{"digest", "list_id", "list"},
	{"digest_item", "list_id", "list"},
	{"digest_item", "article_id", "article"},
	{"digest_item", "digest_id", "digest"},
	{"digest_note", "list_id", "list"},
	{"digest_note", "article_id", "article"},
	{"digest_note", "digest_id", "digest"},
	{"digest_count", "digest_id", "digest"},
	{"variant", "digest_id", "digest"},
	{"delivery", "digest_id", "digest"},
	{"delivery", "subscriber_id", "subscriber"},
	{"delivery", "subscription_id", "subscription"},
	{"delivery", "variant_id", "variant"},
	{"notice", "subscriber_id", "subscriber"},
	{"strike", "subscriber_id", "subscriber"},
	{"strike", "digest_id", "digest"},
	{"bounce", "delivery_id", "delivery"},
	{"bounce", "subscriber_id", "subscriber"},
	{"idempotency", "key_id", "api_key"},
}

// The texts below are put together, which is safe because nothing of a stranger's is in them: table names stand in
// schemaTables, column names are those that our own migrations gave, as the database tells them, and values are always
// parameters. Names are quoted because some are words of an engine.

func quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func quotedAll(names []string) string {
	all := make([]string, len(names))
	for i, name := range names {
		all[i] = quoted(name)
	}
	return strings.Join(all, ", ")
}

// where leaves out the rows that belong to the place.
func (t schemaTable) where() string {
	if t.own == "" {
		return ""
	}
	return " WHERE NOT (" + t.own + ")"
}

func (t schemaTable) selectText(columns []string) query {
	return query("SELECT " + quotedAll(columns) + " FROM " + quoted(t.name) + t.where() + " ORDER BY " + quotedAll(strings.Split(t.key, ", ")))
}

func (t schemaTable) countText() query {
	return query("SELECT COUNT(*) FROM " + quoted(t.name) + t.where())
}

func (t schemaTable) deleteText() query {
	return query("DELETE FROM " + quoted(t.name) + t.where())
}

func (t schemaTable) insertText(columns []string, rows int) query {
	var b strings.Builder
	b.WriteString("INSERT INTO " + quoted(t.name) + " (" + quotedAll(columns) + ") VALUES ")
	for i := range rows * len(columns) {
		switch {
		case i == 0:
			b.WriteString("(")
		case i%len(columns) == 0:
			b.WriteString("), (")
		default:
			b.WriteString(", ")
		}
		b.WriteString("?" + strconv.Itoa(i+1))
	}
	b.WriteString(")")
	return query(b.String())
}

// columns asks the database for a table's columns, and sorts them: migrations may have added them in another order.
func (t schemaTable) columns(ctx context.Context, q querier) (names []string, err error) {
	rows, err := q.x.QueryContext(ctx, "SELECT * FROM "+quoted(t.name)+" LIMIT 0")
	if err != nil {
		return nil, fmt.Errorf("table %s: %w", t.name, err)
	}
	defer rows.Close()
	if names, err = rows.Columns(); err != nil {
		return nil, fmt.Errorf("table %s: %w", t.name, err)
	}
	slices.Sort(names)
	return names, rows.Err()
}
