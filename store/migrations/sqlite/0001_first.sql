-- Times are unix milliseconds, 0 = not set; flags are 0/1; ids are identities; text is NFC UTF-8.

CREATE TABLE counter (
	name TEXT PRIMARY KEY,
	n    INTEGER NOT NULL
) STRICT;
INSERT INTO counter (name, n) VALUES ('item', 0), ('zone', 0);

-- meta: secret, authority, paused, machine and the like, a row each.
CREATE TABLE meta (
	name  TEXT PRIMARY KEY,
	value TEXT NOT NULL
) STRICT;

CREATE TABLE audit (
	id     INTEGER PRIMARY KEY,
	at_ms  INTEGER NOT NULL,
	actor  TEXT NOT NULL,
	action TEXT NOT NULL,
	target TEXT NOT NULL,
	detail TEXT NOT NULL
) STRICT;

CREATE TABLE zone (
	id          INTEGER PRIMARY KEY,
	slug        TEXT NOT NULL UNIQUE,
	code        TEXT NOT NULL,
	name        TEXT NOT NULL,
	name_en     TEXT NOT NULL,
	level       TEXT NOT NULL,
	type        TEXT NOT NULL,
	province    TEXT NOT NULL,
	city        TEXT NOT NULL,
	homepage    TEXT NOT NULL,
	language    TEXT NOT NULL,
	closed_ms   INTEGER NOT NULL,
	merged_into INTEGER REFERENCES zone (id),
	created_ms  INTEGER NOT NULL
) STRICT;

CREATE TABLE zone_alias (
	alias   TEXT PRIMARY KEY,
	zone_id INTEGER NOT NULL REFERENCES zone (id)
) STRICT;
CREATE INDEX zone_alias_zone ON zone_alias (zone_id);

-- The names a zone had: they redirect for ever.
CREATE TABLE zone_slug (
	slug    TEXT PRIMARY KEY,
	zone_id INTEGER NOT NULL REFERENCES zone (id)
) STRICT;

CREATE TABLE article (
	id               INTEGER PRIMARY KEY,
	seq              INTEGER NOT NULL, -- from counter item, when filed into its zone
	change           INTEGER NOT NULL, -- from counter item, at each change
	zone_id          INTEGER REFERENCES zone (id), -- NULL while the zone is unknown
	zone_raw         TEXT NOT NULL,
	province         TEXT NOT NULL,
	city             TEXT NOT NULL,
	external_id      TEXT NOT NULL,
	url              TEXT NOT NULL,
	url_canon        TEXT NOT NULL,
	title_key        TEXT NOT NULL,
	content_hash     TEXT NOT NULL,
	title            TEXT NOT NULL,
	summary          TEXT NOT NULL,
	content_html     TEXT NOT NULL,
	source           TEXT NOT NULL,
	author           TEXT NOT NULL,
	category         TEXT NOT NULL,
	language         TEXT NOT NULL,
	image            TEXT NOT NULL,
	published_ms     INTEGER NOT NULL,
	published_offset INTEGER NOT NULL, -- minutes east of UTC
	date_precision   TEXT NOT NULL,
	date_suspect     INTEGER NOT NULL,
	received_ms      INTEGER NOT NULL,
	updated_ms       INTEGER NOT NULL,
	withdrawn_ms     INTEGER NOT NULL,
	withdrawn_reason TEXT NOT NULL,
	dup_of           INTEGER REFERENCES article (id),
	layers           TEXT NOT NULL, -- JSON object: field to the layer that won
	charset          TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX article_seq ON article (seq);
CREATE UNIQUE INDEX article_change ON article (change);
CREATE INDEX article_zone_change ON article (zone_id, change);
CREATE INDEX article_external ON article (external_id, zone_id) WHERE external_id <> '';
CREATE INDEX article_url ON article (url_canon) WHERE url_canon <> '';
CREATE INDEX article_title ON article (title_key) WHERE title_key <> '';
CREATE INDEX article_content ON article (content_hash);
CREATE INDEX article_pending ON article (zone_raw) WHERE zone_id IS NULL;
CREATE INDEX article_received ON article (received_ms);

-- What a corrected article said before.
CREATE TABLE article_revision (
	id           INTEGER PRIMARY KEY,
	article_id   INTEGER NOT NULL REFERENCES article (id),
	replaced_ms  INTEGER NOT NULL,
	title        TEXT NOT NULL,
	summary      TEXT NOT NULL,
	content_html TEXT NOT NULL
) STRICT;
CREATE INDEX article_revision_article ON article_revision (article_id);

CREATE TABLE attachment (
	article_id INTEGER NOT NULL REFERENCES article (id),
	position   INTEGER NOT NULL,
	url        TEXT NOT NULL,
	name       TEXT NOT NULL,
	type       TEXT NOT NULL,
	length     INTEGER NOT NULL,
	PRIMARY KEY (article_id, position)
) STRICT;

-- The hash of the bytes that a feed serves and since when: validators that outlive a restart.
CREATE TABLE feed_version (
	feed        TEXT PRIMARY KEY,
	hash        TEXT NOT NULL,
	modified_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE list (
	id           INTEGER PRIMARY KEY,
	slug         TEXT NOT NULL,
	title        TEXT NOT NULL,
	schedule     TEXT NOT NULL,
	timezone     TEXT NOT NULL,
	all_zones    INTEGER NOT NULL,
	province     TEXT NOT NULL,
	city         TEXT NOT NULL,
	category     TEXT NOT NULL,
	keyword      TEXT NOT NULL,
	max_items    INTEGER NOT NULL,
	max_age_ms   INTEGER NOT NULL,
	locale       TEXT NOT NULL,
	catch_up_ms  INTEGER NOT NULL,
	mail_from    TEXT NOT NULL,
	reply_to     TEXT NOT NULL,
	private      INTEGER NOT NULL,
	hold_ms      INTEGER NOT NULL,
	paused       INTEGER NOT NULL,
	removed_ms   INTEGER NOT NULL,
	watermark    INTEGER NOT NULL,
	next_slot_ms INTEGER NOT NULL, -- 0 = never
	created_ms   INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX list_slug ON list (slug) WHERE removed_ms = 0;

CREATE TABLE list_zone (
	list_id INTEGER NOT NULL REFERENCES list (id),
	zone_id INTEGER NOT NULL REFERENCES zone (id),
	PRIMARY KEY (list_id, zone_id)
) STRICT;

CREATE TABLE subscriber (
	id           INTEGER PRIMARY KEY,
	email        TEXT NOT NULL, -- as given; empty after erasure
	email_key    TEXT NOT NULL, -- as compared; empty after erasure
	address_hash TEXT NOT NULL, -- keyed; empty after erasure
	name         TEXT NOT NULL,
	locale       TEXT NOT NULL,
	created_ms   INTEGER NOT NULL,
	erased_ms    INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX subscriber_email ON subscriber (email_key) WHERE erased_ms = 0;
CREATE INDEX subscriber_hash ON subscriber (address_hash);

CREATE TABLE subscription (
	id              INTEGER PRIMARY KEY,
	subscriber_id   INTEGER NOT NULL REFERENCES subscriber (id),
	list_id         INTEGER NOT NULL REFERENCES list (id),
	state           TEXT NOT NULL,
	zones           TEXT NOT NULL, -- sorted ids, comma-separated; empty = all of the list
	confirmed_ms    INTEGER NOT NULL,
	consent         TEXT NOT NULL,
	paused_until_ms INTEGER NOT NULL,
	created_ms      INTEGER NOT NULL,
	ended_ms        INTEGER NOT NULL,
	UNIQUE (list_id, subscriber_id)
) STRICT;
CREATE INDEX subscription_subscriber ON subscription (subscriber_id);
CREATE INDEX subscription_audience ON subscription (list_id, state, zones);

CREATE TABLE digest (
	id         INTEGER PRIMARY KEY,
	list_id    INTEGER NOT NULL REFERENCES list (id),
	slot_ms    INTEGER NOT NULL,
	state      TEXT NOT NULL,
	reason     TEXT NOT NULL,
	lo         INTEGER NOT NULL,
	hi         INTEGER NOT NULL,
	items      INTEGER NOT NULL,
	recipients INTEGER NOT NULL,
	created_ms INTEGER NOT NULL,
	UNIQUE (list_id, slot_ms)
) STRICT;

-- The key makes a second mailing of an article to a list impossible.
CREATE TABLE digest_item (
	list_id    INTEGER NOT NULL REFERENCES list (id),
	article_id INTEGER NOT NULL REFERENCES article (id),
	digest_id  INTEGER NOT NULL REFERENCES digest (id),
	position   INTEGER NOT NULL,
	PRIMARY KEY (list_id, article_id)
) STRICT;
CREATE INDEX digest_item_digest ON digest_item (digest_id, position);
CREATE INDEX digest_item_article ON digest_item (article_id);

-- A composed mail with holes. Never updated: a withdrawal adds another and points the open deliveries at it.
CREATE TABLE variant (
	id        INTEGER PRIMARY KEY,
	digest_id INTEGER NOT NULL REFERENCES digest (id),
	locale    TEXT NOT NULL,
	zones     TEXT NOT NULL,
	items     INTEGER NOT NULL,
	web       INTEGER NOT NULL, -- 1 if body holds the digest as a page
	body      BLOB NOT NULL     -- compressed
) STRICT;
CREATE INDEX variant_digest ON variant (digest_id);

CREATE TABLE worker (
	id         INTEGER PRIMARY KEY,
	host       TEXT NOT NULL,
	pid        INTEGER NOT NULL,
	pid_start  TEXT NOT NULL,
	started_ms INTEGER NOT NULL,
	beat_ms    INTEGER NOT NULL,
	stopped_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX worker_alive ON worker (beat_ms) WHERE stopped_ms = 0;

-- States: 0 pending, 1 leased, 2 deferred (open); 3 accepted, 4 rejected, 5 uncertain, 6 suppressed, 7 cancelled, 8 empty, 9 expired.
CREATE TABLE delivery (
	id              INTEGER PRIMARY KEY,
	digest_id       INTEGER NOT NULL REFERENCES digest (id),
	subscriber_id   INTEGER NOT NULL REFERENCES subscriber (id),
	subscription_id INTEGER NOT NULL REFERENCES subscription (id),
	variant_id      INTEGER REFERENCES variant (id),
	state           INTEGER NOT NULL,
	reason          TEXT NOT NULL,
	attempts        INTEGER NOT NULL,
	losses          INTEGER NOT NULL,
	next_ms         INTEGER NOT NULL,
	claim           INTEGER NOT NULL,
	worker_id       INTEGER NOT NULL,
	began_ms        INTEGER NOT NULL,
	done_ms         INTEGER NOT NULL,
	code            INTEGER NOT NULL,
	enhanced        TEXT NOT NULL,
	reply           TEXT NOT NULL,
	UNIQUE (digest_id, subscriber_id)
) STRICT;
CREATE INDEX delivery_due ON delivery (next_ms, id) WHERE state IN (0, 1, 2);
CREATE INDEX delivery_open_subscriber ON delivery (subscriber_id) WHERE state IN (0, 1, 2);
CREATE INDEX delivery_worker ON delivery (worker_id) WHERE state IN (0, 1, 2);

-- Sums of deliveries that retention has removed.
CREATE TABLE digest_count (
	digest_id INTEGER NOT NULL REFERENCES digest (id),
	state     INTEGER NOT NULL,
	n         INTEGER NOT NULL,
	PRIMARY KEY (digest_id, state)
) STRICT;

-- Mail that is no digest, sent ahead of digests.
CREATE TABLE notice (
	id            INTEGER PRIMARY KEY,
	kind          TEXT NOT NULL,
	subscriber_id INTEGER REFERENCES subscriber (id),
	email         TEXT NOT NULL, -- emptied when done
	body          BLOB NOT NULL, -- compressed mail, emptied when done
	created_ms    INTEGER NOT NULL,
	state         INTEGER NOT NULL,
	reason        TEXT NOT NULL,
	attempts      INTEGER NOT NULL,
	losses        INTEGER NOT NULL,
	next_ms       INTEGER NOT NULL,
	claim         INTEGER NOT NULL,
	worker_id     INTEGER NOT NULL,
	began_ms      INTEGER NOT NULL,
	done_ms       INTEGER NOT NULL,
	code          INTEGER NOT NULL,
	enhanced      TEXT NOT NULL,
	reply         TEXT NOT NULL
) STRICT;
CREATE INDEX notice_due ON notice (next_ms, id) WHERE state IN (0, 1, 2);
CREATE INDEX notice_worker ON notice (worker_id) WHERE state IN (0, 1, 2);

-- Addresses that get no mail, by keyed hash: they outlive the person's erasure.
CREATE TABLE suppression (
	address_hash TEXT PRIMARY KEY,
	reason       TEXT NOT NULL,
	created_ms   INTEGER NOT NULL
) STRICT;
