package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"zonewire"
)

const ticketColumns = `id, purpose, subscriber_id, COALESCE(subscription_id, 0), wish, created_ms, expires_ms, used_ms`

var (
	qTicket = sqlText(`SELECT ` + ticketColumns + ` FROM ticket WHERE id = ?1 AND purpose = ?2`)
	qTicketInsert = sqlText(`
		INSERT INTO ticket (purpose, letter, subscriber_id, subscription_id, wish, created_ms, expires_ms, used_ms)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0)
		RETURNING id`)
	qTicketWish = sqlText(`UPDATE ticket SET wish = ?2 WHERE id = ?1`)
	qTicketUse  = sqlText(`UPDATE ticket SET used_ms = ?2 WHERE id = ?1`)
	qTicketsEnd = sqlText(`DELETE FROM ticket WHERE subscriber_id = ?1`)
	qTicketsOld = sqlText(`DELETE FROM ticket WHERE expires_ms <= ?1`)
	qTicketLast = sqlText(`
		SELECT COUNT(*)
		FROM ticket
		WHERE subscriber_id = ?1 AND letter <> '' AND purpose = ?2 AND created_ms > ?3`)
)

func scanTicket(rows interface{ Scan(...any) error }) (zonewire.Ticket, error) {
	var t zonewire.Ticket
	var wish string
	var created, expires, used int64
	err := rows.Scan(&t.ID, &t.Purpose, &t.Subscriber, &t.Subscription, &wish, &created, &expires, &used)
	if errors.Is(err, sql.ErrNoRows) {
		return t, zonewire.ErrNotFound
	}
	if err != nil {
		return t, err
	}
	t.Created, t.Expires, t.Used = fromMs(created), fromMs(expires), fromMs(used)
	if err := json.Unmarshal([]byte(wish), &t.Wish); err != nil {
		return t, fmt.Errorf("ticket %d: wish: %w", t.ID, err)
	}
	return t, nil
}

// addTicket writes a ticket and gives it its id. Those that have run out go when another comes.
func addTicket(ctx context.Context, q querier, act zonewire.Act, letter zonewire.Letter, t *zonewire.Ticket) error {
	wish, err := json.Marshal(t.Wish)
	if err != nil {
		return fmt.Errorf("wish: %w", err)
	}
	if _, err := q.exec(ctx, qTicketsOld, toMs(act.At.Add(-ticketKept))); err != nil {
		return err
	}
	t.Created = act.At
	return q.row(ctx, qTicketInsert, []any{string(t.Purpose), string(letter), t.Subscriber, nullID(t.Subscription), string(wish),
		toMs(t.Created), toMs(t.Expires)}, &t.ID)
}

// ticketKept is how long a ticket stays after it ran out, so that its link says so and not that it never was.
const ticketKept = 30 * 24 * time.Hour

// sendLetter makes a ticket and queues the mail that carries it.
func sendLetter(ctx context.Context, q querier, act zonewire.Act, letters zonewire.Letters, kind zonewire.Letter, t *zonewire.Ticket, list zonewire.List, email, locale string) error {
	if err := addTicket(ctx, q, act, kind, t); err != nil {
		return err
	}
	mail, err := letters(kind, *t, list, cmp.Or(locale, list.Locale, zonewire.LocaleZH))
	if err != nil {
		return fmt.Errorf("letter %s: %w", kind, err)
	}
	_, err = addNotice(ctx, q, act, string(kind), t.Subscriber, email, mail)
	return err
}
