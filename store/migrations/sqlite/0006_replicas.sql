-- Rows of which only the locks matter, on PostgreSQL: see turn.go.
INSERT INTO counter (name, n) VALUES ('writer', 0), ('feed', 0), ('sending', 0);

CREATE INDEX hub_subscription_topic ON hub_subscription (topic, id);

-- What nobody holds, nearly all of a digest while it is planned, needs no entry.
DROP INDEX delivery_worker;
CREATE INDEX delivery_worker ON delivery (worker_id) WHERE state IN (0, 1, 2) AND worker_id <> 0;
DROP INDEX notice_worker;
CREATE INDEX notice_worker ON notice (worker_id) WHERE state IN (0, 1, 2) AND worker_id <> 0;
