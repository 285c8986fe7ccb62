-- What a link lets its holder do, for a while. The token in the link names the row.
CREATE TABLE ticket (
	id              INTEGER PRIMARY KEY,
	purpose         TEXT NOT NULL,
	letter          TEXT NOT NULL, -- the mail that carried it, empty if none
	subscriber_id   INTEGER NOT NULL REFERENCES subscriber (id),
	subscription_id INTEGER REFERENCES subscription (id),
	wish            TEXT NOT NULL, -- JSON object
	created_ms      INTEGER NOT NULL,
	due_ms          INTEGER NOT NULL, -- when its mail goes out: letters to one person keep apart
	expires_ms      INTEGER NOT NULL,
	used_ms         INTEGER NOT NULL
) STRICT;
CREATE INDEX ticket_subscriber ON ticket (subscriber_id, purpose);
CREATE INDEX ticket_expires ON ticket (expires_ms);

-- The list to which a place moves after the next digest of its own, and the one that it came from.
ALTER TABLE subscription ADD COLUMN switch_to INTEGER REFERENCES list (id);
ALTER TABLE subscription ADD COLUMN came_from INTEGER REFERENCES list (id);
CREATE INDEX subscription_switch ON subscription (list_id) WHERE switch_to IS NOT NULL;

ALTER TABLE list ADD COLUMN workdays TEXT NOT NULL DEFAULT '';

-- When what an article announces closes, 0 = it names no such moment; with deadline_day only the day is known.
ALTER TABLE article ADD COLUMN deadline_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE article ADD COLUMN deadline_day INTEGER NOT NULL DEFAULT 0;

-- What became of articles after a list had mailed them, each told once.
CREATE TABLE digest_note (
	list_id    INTEGER NOT NULL REFERENCES list (id),
	article_id INTEGER NOT NULL REFERENCES article (id),
	kind       TEXT NOT NULL,
	at_ms      INTEGER NOT NULL,
	digest_id  INTEGER NOT NULL REFERENCES digest (id),
	PRIMARY KEY (list_id, article_id, kind, at_ms)
) STRICT;
CREATE INDEX digest_note_digest ON digest_note (digest_id);
CREATE INDEX digest_note_article ON digest_note (article_id);

-- The sources that could not be reached when it was planned: a JSON array, empty = none.
ALTER TABLE digest ADD COLUMN silent TEXT NOT NULL DEFAULT '';

-- A search for a rare word walks all articles by change: over the index alone, it reads a row only when its words match.
CREATE INDEX article_text ON article (change, withdrawn_ms, received_ms, zone_id, category, title, summary);
