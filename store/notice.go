package store

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"zonewire"
)

var qNoticeAdd = sqlText(`
		INSERT INTO notice (kind, subscriber_id, email, body, created_ms, state, reason, attempts, losses, next_ms, claim,
			worker_id, began_ms, done_ms, code, enhanced, reply)
		VALUES (?1, ?2, ?3, ?4, ?5, 0, '', 0, 0, ?6, 0, 0, 0, 0, 0, '', '')
		RETURNING id`)

// AddNotice queues a mail that is no digest: it goes ahead of digests, by the same outbox. subscriber is 0 if the
// address is nobody's.
func (db *DB) AddNotice(ctx context.Context, act zonewire.Act, kind string, subscriber int64, email string, mail zonewire.Mail) (id int64, err error) {
	err = db.write(ctx, "add notice", func(q querier) error {
		if id, err = addNotice(ctx, q, act, kind, subscriber, email, mail); err != nil {
			return err
		}
		return audit(ctx, q, act, "notice.add", fmt.Sprintf("notice:%d", id), kind)
	})
	return id, err
}

func addNotice(ctx context.Context, q querier, act zonewire.Act, kind string, subscriber int64, email string, mail zonewire.Mail) (id int64, err error) {
	return addNoticeFor(ctx, q, act, act.At, kind, subscriber, email, mail)
}

// addNoticeFor queues a notice that goes out at a moment.
func addNoticeFor(ctx context.Context, q querier, act zonewire.Act, at time.Time, kind string, subscriber int64, email string, mail zonewire.Mail) (id int64, err error) {
	body, err := pack(mail)
	if err != nil {
		return 0, err
	}
	return id, q.row(ctx, qNoticeAdd, []any{kind, nullID(subscriber), email, body, toMs(act.At), toMs(at)}, &id)
}

// pack makes a value small enough to keep: Chinese HTML shrinks to a fifth.
func pack(v any) ([]byte, error) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	return b.Bytes(), nil
}

func unpack(body []byte, v any) error {
	r, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	if err := json.Unmarshal(text, v); err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	return r.Close()
}
