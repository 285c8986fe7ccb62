-- The provider group of a mailbox, kept with the address: claims go by it. Older addresses get theirs here.
ALTER TABLE subscriber ADD COLUMN provider TEXT NOT NULL DEFAULT '';
UPDATE subscriber SET provider = substr(email_key, instr(email_key, '@') + 1);
UPDATE subscriber SET provider = 'qq' WHERE provider IN ('qq.com', 'foxmail.com', 'vip.qq.com');
UPDATE subscriber SET provider = 'netease' WHERE provider IN ('163.com', '126.com', 'yeah.net', 'vip.163.com', 'vip.126.com', '188.com');
UPDATE subscriber SET provider = 'gmail' WHERE provider IN ('gmail.com', 'googlemail.com');
UPDATE subscriber SET provider = 'outlook' WHERE provider IN ('outlook.com', 'hotmail.com', 'live.com', 'msn.com', 'live.cn', 'hotmail.co.uk', 'passport.com');
UPDATE subscriber SET provider = 'yahoo' WHERE provider IN ('yahoo.com', 'ymail.com', 'rocketmail.com', 'aol.com', 'yahoo.co.uk', 'yahoo.com.hk', 'yahoo.com.tw', 'yahoo.com.sg');

ALTER TABLE delivery ADD COLUMN provider TEXT NOT NULL DEFAULT '';
ALTER TABLE delivery ADD COLUMN verdict TEXT NOT NULL DEFAULT '';
UPDATE delivery SET provider = (SELECT u.provider FROM subscriber u WHERE u.id = delivery.subscriber_id) WHERE state IN (0, 1, 2);
DROP INDEX delivery_due;
CREATE INDEX delivery_due ON delivery (provider, next_ms, id) WHERE state IN (0, 1, 2);

INSERT INTO counter (name, n) VALUES ('provider', 0);

-- How each provider group takes our mail: the pace and the breaker. A group without trouble has no row.
CREATE TABLE provider (
	name         TEXT PRIMARY KEY,
	rate         INTEGER NOT NULL, -- mails an hour at since_ms, 0 = no limit
	ceiling      INTEGER NOT NULL,
	since_ms     INTEGER NOT NULL,
	booked_ms    INTEGER NOT NULL,
	hits         INTEGER NOT NULL,
	hits_ms      INTEGER NOT NULL,
	recent       INTEGER NOT NULL, -- the last 20 answers, a bit each
	opened_ms    INTEGER NOT NULL,
	open_ms      INTEGER NOT NULL, -- the breaker is open until then
	openings     INTEGER NOT NULL,
	probed_ms    INTEGER NOT NULL,
	frozen_ms    INTEGER NOT NULL, -- until then no refusal suppresses an address
	reason       TEXT NOT NULL
) STRICT;

-- Refusals for which the recipient's own mailbox stands, at most one an issue.
CREATE TABLE strike (
	subscriber_id INTEGER NOT NULL REFERENCES subscriber (id),
	digest_id     INTEGER NOT NULL REFERENCES digest (id),
	kind          TEXT NOT NULL, -- hard, mailbox
	at_ms         INTEGER NOT NULL,
	effect        TEXT NOT NULL, -- suppressed, paused, frozen, or empty
	PRIMARY KEY (subscriber_id, digest_id)
) STRICT;
CREATE INDEX strike_digest ON strike (digest_id);

-- Returned mail. raw holds the whole only while nobody has understood it.
CREATE TABLE bounce (
	id            INTEGER PRIMARY KEY,
	hash          TEXT NOT NULL UNIQUE,
	received_ms   INTEGER NOT NULL,
	kind          TEXT NOT NULL,
	verdict       TEXT NOT NULL,
	recipients    TEXT NOT NULL, -- as written there, comma-separated; lower case
	status        TEXT NOT NULL,
	code          INTEGER NOT NULL,
	reply         TEXT NOT NULL,
	delivery_id   INTEGER REFERENCES delivery (id),
	subscriber_id INTEGER REFERENCES subscriber (id),
	effect        TEXT NOT NULL,
	raw           BLOB NOT NULL
) STRICT;
CREATE INDEX bounce_subscriber ON bounce (subscriber_id);
CREATE INDEX bounce_delivery ON bounce (delivery_id);

-- What an operator should know of now; a row ends when its cause does.
CREATE TABLE alarm (
	name     TEXT PRIMARY KEY,
	text     TEXT NOT NULL,
	since_ms INTEGER NOT NULL,
	told_ms  INTEGER NOT NULL -- when a notice was queued, 0 = not yet
) STRICT;

-- Why a subscription is not active, beyond its state.
ALTER TABLE subscription ADD COLUMN reason TEXT NOT NULL DEFAULT '';
