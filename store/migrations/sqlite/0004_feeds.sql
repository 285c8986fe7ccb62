-- The month in +08:00 in which an article arrived in its zone, as year*100 + month; 0 while its zone is unknown. Archives
-- go by it.
ALTER TABLE article ADD COLUMN month INTEGER NOT NULL DEFAULT 0;
UPDATE article SET month = CAST(strftime('%Y%m', received_ms / 1000 + 28800, 'unixepoch') AS INTEGER) WHERE zone_id IS NOT NULL;
CREATE INDEX article_month ON article (zone_id, month, seq);

-- Articles that left a zone's feed: withdrawn, or filed elsewhere. What left has no other trace there.
CREATE TABLE departure (
	change     INTEGER NOT NULL, -- of the article, from counter item
	zone_id    INTEGER NOT NULL REFERENCES zone (id),
	article_id INTEGER NOT NULL REFERENCES article (id),
	at_ms      INTEGER NOT NULL,
	moved      INTEGER NOT NULL,
	PRIMARY KEY (change, zone_id)
) STRICT;
CREATE INDEX departure_zone ON departure (zone_id, change);
INSERT INTO departure (change, zone_id, article_id, at_ms, moved)
SELECT change, zone_id, id, withdrawn_ms, 0 FROM article WHERE withdrawn_ms > 0 AND zone_id IS NOT NULL;

-- When what readers see of a zone changed last.
ALTER TABLE zone ADD COLUMN changed_ms INTEGER NOT NULL DEFAULT 0;
UPDATE zone SET changed_ms = MAX(created_ms, closed_ms);

-- What a feed serves, ready to be served again after a restart.
ALTER TABLE feed_version ADD COLUMN state TEXT NOT NULL DEFAULT '';
ALTER TABLE feed_version ADD COLUMN channel TEXT NOT NULL DEFAULT '';
ALTER TABLE feed_version ADD COLUMN articles INTEGER NOT NULL DEFAULT 0; -- counters when it was made
ALTER TABLE feed_version ADD COLUMN zones INTEGER NOT NULL DEFAULT 0;
ALTER TABLE feed_version ADD COLUMN gone INTEGER NOT NULL DEFAULT 0; -- change of the latest departure known
ALTER TABLE feed_version ADD COLUMN layout BLOB NOT NULL DEFAULT x'';
ALTER TABLE feed_version ADD COLUMN body BLOB NOT NULL DEFAULT x''; -- packed with gzip

-- Earlier versions, from which a reader may ask for what is new.
CREATE TABLE feed_base (
	id      INTEGER PRIMARY KEY,
	feed    TEXT NOT NULL,
	hash    TEXT NOT NULL,
	change  INTEGER NOT NULL,
	channel TEXT NOT NULL,
	UNIQUE (feed, hash)
) STRICT;

-- WebSub: what callbacks have asked for and not confirmed yet. The newest word of a callback replaces the one before.
CREATE TABLE hub_request (
	id         INTEGER PRIMARY KEY,
	mode       TEXT NOT NULL,
	feed       TEXT NOT NULL,
	zone_id    INTEGER NOT NULL, -- 0 = all zones
	topic      TEXT NOT NULL,
	callback   TEXT NOT NULL,
	host       TEXT NOT NULL,
	secret     TEXT NOT NULL,
	lease_ms   INTEGER NOT NULL,
	created_ms INTEGER NOT NULL,
	next_ms    INTEGER NOT NULL,
	attempts   INTEGER NOT NULL,
	until_ms   INTEGER NOT NULL, -- the claim's end, 0 = free
	UNIQUE (callback, topic)
) STRICT;
CREATE INDEX hub_request_due ON hub_request (next_ms);
CREATE INDEX hub_request_host ON hub_request (host);

-- Callbacks that are told. next_ms > 0 while something is to be delivered: however many versions came, it is one delivery.
CREATE TABLE hub_subscription (
	id         INTEGER PRIMARY KEY,
	feed       TEXT NOT NULL,
	zone_id    INTEGER NOT NULL, -- 0 = all zones
	topic      TEXT NOT NULL,
	callback   TEXT NOT NULL,
	host       TEXT NOT NULL,
	secret     TEXT NOT NULL,
	lease_ms   INTEGER NOT NULL, -- its end
	created_ms INTEGER NOT NULL,
	hash       TEXT NOT NULL, -- of the version taken last
	next_ms    INTEGER NOT NULL,
	attempts   INTEGER NOT NULL,
	until_ms   INTEGER NOT NULL, -- the claim's end, 0 = free
	UNIQUE (callback, topic)
) STRICT;
CREATE INDEX hub_subscription_due ON hub_subscription (next_ms) WHERE next_ms > 0;
CREATE INDEX hub_subscription_feed ON hub_subscription (feed);
CREATE INDEX hub_subscription_zone ON hub_subscription (zone_id);
CREATE INDEX hub_subscription_host ON hub_subscription (host);
CREATE INDEX hub_subscription_lease ON hub_subscription (lease_ms);

-- Hubs elsewhere that are to be told of a change. again = 1 if another came while this one was being told.
CREATE TABLE hub_ping (
	hub      TEXT NOT NULL,
	topic    TEXT NOT NULL,
	next_ms  INTEGER NOT NULL,
	attempts INTEGER NOT NULL,
	until_ms INTEGER NOT NULL, -- the claim's end, 0 = free
	again    INTEGER NOT NULL,
	PRIMARY KEY (hub, topic)
) STRICT;
CREATE INDEX hub_ping_due ON hub_ping (next_ms);
