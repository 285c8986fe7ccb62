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
	qTicket       = sqlText(`SELECT ` + ticketColumns + ` FROM ticket WHERE id = ?1 AND purpose = ?2`)
	qTicketInsert = sqlText(`
		INSERT INTO ticket (purpose, letter, subscriber_id, subscription_id, wish, created_ms, due_ms, expires_ms, used_ms)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0)
		RETURNING id`)
	qTicketWish = sqlText(`UPDATE ticket SET wish = ?2 WHERE id = ?1`)
	qTicketUse  = sqlText(`UPDATE ticket SET used_ms = ?2 WHERE id = ?1 AND used_ms = 0`)
	qTicketsEnd = sqlText(`DELETE FROM ticket WHERE subscriber_id = ?1 AND purpose <> ?2`)
	qTicketsOld = sqlText(`DELETE FROM ticket WHERE expires_ms <= ?1`)
	// The letters of a purpose that a person has not answered: when the last of them goes, or went, out, and how many.
	qLetterLast = sqlText(`
		SELECT COALESCE(MAX(due_ms), 0), COUNT(*)
		FROM ticket
		WHERE subscriber_id = ?1 AND purpose = ?2 AND letter <> '' AND used_ms = 0 AND created_ms > ?3`)
	// The last ticket of a place that is neither used nor run out.
	qTicketOpen = sqlText(`
		SELECT ` + ticketColumns + `
		FROM ticket
		WHERE subscriber_id = ?1 AND subscription_id = ?2 AND purpose = ?3 AND used_ms = 0 AND expires_ms > ?4
		ORDER BY id DESC
		LIMIT 1`)
)

const (
	// ticketKept is how long a ticket stays after it ran out, so that its link says so and not that it never was.
	ticketKept = 30 * 24 * time.Hour
	// letterMost is the longest gap between two letters to somebody who answers none.
	letterMost = 7 * 24 * time.Hour
	// letterAhead is how long a letter may wait behind others to the same person; what would wait longer is not sent.
	letterAhead = 5 * zonewire.LetterEvery
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

func ticketWhere(ctx context.Context, q querier, text query, args ...any) (zonewire.Ticket, error) {
	return scanTicket(q.x.QueryRowContext(ctx, q.text(text), args...))
}

// ticket finds one of a purpose, run out or used or not.
func ticket(ctx context.Context, q querier, purpose zonewire.Purpose, id int64) (zonewire.Ticket, error) {
	return ticketWhere(ctx, q, qTicket, id, string(purpose))
}

// ticketAt is [ticket] for one that has not run out: [zonewire.ErrGone].
func ticketAt(ctx context.Context, q querier, purpose zonewire.Purpose, id int64, now time.Time) (zonewire.Ticket, error) {
	t, err := ticket(ctx, q, purpose, id)
	if err == nil && !now.Before(t.Expires) {
		err = errRanOut
	}
	return t, err
}

var errRanOut = fmt.Errorf("the ticket ran out: %w", zonewire.ErrGone)

// Ticket finds one of a purpose, with the list of its place, which is empty if it is about the person. Used ones too:
// Used tells. [zonewire.ErrNotFound]; with ticket and list all the same, [zonewire.ErrGone] if it has run out or its list
// was removed.
func (db *DB) Ticket(ctx context.Context, purpose zonewire.Purpose, id int64, now time.Time) (zonewire.Ticket, zonewire.List, error) {
	var l zonewire.List
	q := db.reader()
	t, err := ticket(ctx, q, purpose, id)
	if err == nil && t.Subscription != 0 {
		_, l, err = subscriptionAndList(ctx, q, t.Subscription)
	}
	switch {
	case err != nil:
	case !l.Removed.IsZero():
		err = fmt.Errorf("list %s was removed: %w", l.Slug, zonewire.ErrGone)
	case !now.Before(t.Expires):
		err = errRanOut
	}
	return t, l, readError("ticket", err)
}

// useTicket marks the first use of a ticket.
func useTicket(ctx context.Context, q querier, act zonewire.Act, t zonewire.Ticket) error {
	_, err := q.exec(ctx, qTicketUse, t.ID, toMs(act.At))
	return err
}

// addTicket writes a ticket, whose letter goes out at a moment, and gives it its id. Those that have long run out go when
// another comes.
func addTicket(ctx context.Context, q querier, act zonewire.Act, letter zonewire.Letter, due time.Time, t *zonewire.Ticket) error {
	if _, err := q.exec(ctx, qTicketsOld, toMs(act.At.Add(-ticketKept))); err != nil {
		return err
	}
	wish, err := wishText(t.Wish)
	if err != nil {
		return err
	}
	t.Created = act.At
	return q.row(ctx, qTicketInsert, []any{string(t.Purpose), string(letter), t.Subscriber, nullID(t.Subscription), wish,
		toMs(t.Created), toMs(due), toMs(t.Expires)}, &t.ID)
}

// setWish changes what a ticket will do.
func setWish(ctx context.Context, q querier, ticket int64, w zonewire.Wish) error {
	wish, err := wishText(w)
	if err != nil {
		return err
	}
	_, err = q.exec(ctx, qTicketWish, ticket, wish)
	return err
}

func wishText(w zonewire.Wish) (string, error) {
	text, err := json.Marshal(w)
	if err != nil {
		return "", fmt.Errorf("wish: %w", err)
	}
	return string(text), nil
}

// lastLetter is when the last letter of a purpose goes out, or went out, that the person has not answered, and how many
// they have not answered.
func lastLetter(ctx context.Context, q querier, act zonewire.Act, person int64, purpose zonewire.Purpose) (due time.Time, unanswered int, err error) {
	var ms int64
	err = q.row(ctx, qLetterLast, []any{person, string(purpose), toMs(act.At.Add(-ticketKept))}, &ms, &unanswered)
	return fromMs(ms), unanswered, err
}

// nextLetter is the earliest moment for another letter that asks to confirm: now, an hour after one that was not answered,
// and twice as long after each more, so that a stranger who goes on typing an address troubles its owner less and less.
func nextLetter(last time.Time, unanswered int, now time.Time) time.Time {
	if unanswered == 0 {
		return now
	}
	gap := min(zonewire.LetterEvery<<min(unanswered-1, 16), letterMost)
	if next := last.Add(gap); next.After(now) {
		return next
	}
	return now
}

// sendLetter makes a ticket that lasts for a while from the moment its mail goes out, and queues that mail.
func sendLetter(ctx context.Context, q querier, act zonewire.Act, letters zonewire.Letters, kind zonewire.Letter, due time.Time, lasts time.Duration, t *zonewire.Ticket, list zonewire.List, to zonewire.Subscriber) error {
	t.Subscriber, t.Expires = to.ID, due.Add(lasts)
	if err := addTicket(ctx, q, act, kind, due, t); err != nil {
		return err
	}
	return mailLetter(ctx, q, act, letters, kind, due, *t, list, to)
}

func mailLetter(ctx context.Context, q querier, act zonewire.Act, letters zonewire.Letters, kind zonewire.Letter, due time.Time, t zonewire.Ticket, list zonewire.List, to zonewire.Subscriber) error {
	mail, err := letters(kind, t, list, cmp.Or(t.Wish.Locale, to.Locale, list.Locale, zonewire.LocaleZH))
	if err != nil {
		return fmt.Errorf("letter %s: %w", kind, err)
	}
	_, err = addNoticeFor(ctx, q, act, due, string(kind), to.ID, to.Email, mail)
	return err
}
