-- Feeds and list pages that the daemon asks for news. What is remembered of them outlives a restart.
CREATE TABLE source (
	id             INTEGER PRIMARY KEY,
	kind           TEXT NOT NULL,
	url            TEXT NOT NULL,
	host           TEXT NOT NULL, -- of the address, lower case
	title          TEXT NOT NULL,
	zone_id        INTEGER REFERENCES zone (id),
	selectors      TEXT NOT NULL, -- JSON object, empty = none
	charset        TEXT NOT NULL,
	every_ms       INTEGER NOT NULL,
	state          TEXT NOT NULL,
	reason         TEXT NOT NULL,
	since_ms       INTEGER NOT NULL,
	next_ms        INTEGER NOT NULL,
	claim          INTEGER NOT NULL, -- grows with each claim
	until_ms       INTEGER NOT NULL, -- the claim's end, 0 = free
	etag           TEXT NOT NULL,
	last_modified  TEXT NOT NULL,
	body_hash      TEXT NOT NULL,
	parser         INTEGER NOT NULL,
	polled_ms      INTEGER NOT NULL,
	succeeded_ms   INTEGER NOT NULL,
	changed_ms     INTEGER NOT NULL,
	whole_ms       INTEGER NOT NULL,
	list_ms        INTEGER NOT NULL,
	errors         INTEGER NOT NULL,
	failing_ms     INTEGER NOT NULL,
	gone           INTEGER NOT NULL,
	gone_ms        INTEGER NOT NULL,
	moved_to       TEXT NOT NULL,
	moved_times    INTEGER NOT NULL,
	hints          TEXT NOT NULL, -- what the body asked for about the next poll
	hub            TEXT NOT NULL,
	topic          TEXT NOT NULL,
	lease_ms       INTEGER NOT NULL,
	lease_next_ms  INTEGER NOT NULL,
	denied         TEXT NOT NULL,
	created_ms     INTEGER NOT NULL,
	removed_ms     INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX source_url ON source (url) WHERE removed_ms = 0;
CREATE INDEX source_due ON source (next_ms, id) WHERE removed_ms = 0 AND state IN ('active', 'failing', 'blocked');

-- One connection a host. A claim of a source claims its host.
CREATE TABLE host (
	host      TEXT PRIMARY KEY,
	until_ms  INTEGER NOT NULL, -- nobody asks it before
	robots    TEXT NOT NULL,
	status    INTEGER NOT NULL,
	robots_ms INTEGER NOT NULL
) STRICT;

-- Article pages that a list has shown. They stay when done, so that none is asked for twice.
CREATE TABLE source_page (
	id        INTEGER PRIMARY KEY, -- the order in which they are read: the oldest first
	source_id INTEGER NOT NULL REFERENCES source (id),
	url_canon TEXT NOT NULL,
	url       TEXT NOT NULL,
	title     TEXT NOT NULL,
	date      TEXT NOT NULL,
	seen_ms   INTEGER NOT NULL,
	tries     INTEGER NOT NULL,
	next_ms   INTEGER NOT NULL,
	done_ms   INTEGER NOT NULL, -- 0 = waits
	error     TEXT NOT NULL,
	UNIQUE (source_id, url_canon)
) STRICT;
CREATE INDEX source_page_waits ON source_page (source_id, id) WHERE done_ms = 0;

-- The latest polls of each source.
CREATE TABLE poll (
	id        INTEGER PRIMARY KEY,
	source_id INTEGER NOT NULL REFERENCES source (id),
	at_ms     INTEGER NOT NULL,
	status    INTEGER NOT NULL,
	took_ms   INTEGER NOT NULL,
	bytes     INTEGER NOT NULL,
	items     INTEGER NOT NULL,
	added     INTEGER NOT NULL,
	updated   INTEGER NOT NULL,
	unchanged INTEGER NOT NULL,
	rejected  INTEGER NOT NULL,
	note      TEXT NOT NULL
) STRICT;
CREATE INDEX poll_source ON poll (source_id, id);

-- Keys of the API, by the hash of their token.
CREATE TABLE api_key (
	id         INTEGER PRIMARY KEY,
	name       TEXT NOT NULL,
	hash       TEXT NOT NULL UNIQUE,
	zones      TEXT NOT NULL, -- sorted ids, comma-separated; empty = all
	created_ms INTEGER NOT NULL,
	used_ms    INTEGER NOT NULL,
	revoked_ms INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX api_key_name ON api_key (name) WHERE revoked_ms = 0;

-- Answers for a day, to requests that are sent again. done_ms is 0 while the first is at work.
CREATE TABLE idempotency (
	key_id     INTEGER NOT NULL REFERENCES api_key (id),
	name       TEXT NOT NULL,
	request    TEXT NOT NULL, -- hash of method, path and body
	status     INTEGER NOT NULL,
	type       TEXT NOT NULL,
	body       BLOB NOT NULL,
	created_ms INTEGER NOT NULL,
	done_ms    INTEGER NOT NULL,
	PRIMARY KEY (key_id, name)
) STRICT;
CREATE INDEX idempotency_created ON idempotency (created_ms);

ALTER TABLE article ADD COLUMN source_id INTEGER REFERENCES source (id); -- NULL = pushed, or from a file
ALTER TABLE article ADD COLUMN replaced INTEGER NOT NULL DEFAULT 0;
-- How alike two bodies are, and two numbers of which bodies that are alike share one; 0 = too short to tell.
ALTER TABLE article ADD COLUMN sketch BLOB NOT NULL DEFAULT x'';
ALTER TABLE article ADD COLUMN story_a INTEGER NOT NULL DEFAULT 0;
ALTER TABLE article ADD COLUMN story_b INTEGER NOT NULL DEFAULT 0;
CREATE INDEX article_story_a ON article (story_a, published_ms) WHERE story_a <> 0;
CREATE INDEX article_story_b ON article (story_b, published_ms) WHERE story_b <> 0;
CREATE INDEX article_source ON article (source_id, external_id) WHERE source_id IS NOT NULL;
CREATE INDEX article_source_received ON article (source_id, received_ms) WHERE source_id IS NOT NULL;
CREATE INDEX article_story ON article (dup_of) WHERE dup_of IS NOT NULL;
DROP INDEX article_content;

-- Stories that the readers of a variant have been told by an earlier mail of the list, and so are not told again.
ALTER TABLE variant ADD COLUMN told TEXT NOT NULL DEFAULT '';
-- The same by subscription, while a digest is planned; empty in between.
CREATE TABLE plan_told (
	subscription_id INTEGER PRIMARY KEY REFERENCES subscription (id),
	told            TEXT NOT NULL
) STRICT;
