-- Rows of which only the locks matter, on PostgreSQL: see turn.go.
INSERT INTO counter (name, n) VALUES ('writer', 0), ('feed', 0), ('sending', 0);

CREATE INDEX hub_subscription_topic ON hub_subscription (topic, id);
