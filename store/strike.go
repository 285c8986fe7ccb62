package store

import (
	"context"
	"errors"
	"time"

	"zonewire"
)

// The policy of strikes: when a refusal ends what a person gets. A strike is an issue that a person's own mailbox
// refused.
//
//   - hard, code and text agreeing: the address is suppressed at once; otherwise by the second hard one, of another
//     issue and a day later.
//   - mailbox (full, disabled): five issues over fifteen days pause the person's places; nothing is suppressed.
//   - an issue that went through between two strikes forgets those before it.
//   - the valve: once more than one in twenty of an issue at one provider, and at least twenty, are called hard, it is
//     the provider that has turned on us: what this issue suppressed there is taken back, and for a day nothing is.
const (
	hardApart      = 24 * time.Hour
	mailboxStrikes = 5
	mailboxOver    = 15 * 24 * time.Hour
	valveLeast     = 20
	valvePart      = 20 // one in so many
	valveFor       = 24 * time.Hour
)

var (
	qStrikeAdd = sqlText(`
		INSERT INTO strike (subscriber_id, digest_id, kind, at_ms, effect)
		VALUES (?1, ?2, ?3, ?4, '')
		ON CONFLICT (subscriber_id, digest_id) DO UPDATE
		SET kind = CASE WHEN strike.kind = 'hard' THEN 'hard' ELSE excluded.kind END`)
	qStrikeEffect  = sqlText(`UPDATE strike SET effect = ?3 WHERE subscriber_id = ?1 AND digest_id = ?2`)
	qStrikesForget = sqlText(`DELETE FROM strike WHERE subscriber_id = ?1`)
	// The last issue before this one, and after the first strike, that went through.
	qLastSuccess = sqlText(`
		SELECT COALESCE(MAX(g.id), 0)
		FROM digest g
		JOIN delivery d ON d.digest_id = g.id AND d.subscriber_id = ?1
		WHERE g.id > (SELECT COALESCE(MIN(s.digest_id), 0) FROM strike s WHERE s.subscriber_id = ?1) AND g.id < ?2 AND d.state = 3
			AND NOT EXISTS (SELECT 1 FROM strike s WHERE s.subscriber_id = ?1 AND s.digest_id = g.id)`)
	qStrikesBefore = sqlText(`DELETE FROM strike WHERE subscriber_id = ?1 AND digest_id < ?2`)
	qHardBefore    = sqlText(`
		SELECT COUNT(*)
		FROM strike
		WHERE subscriber_id = ?1 AND kind = 'hard' AND digest_id <> ?2 AND at_ms <= ?3`)
	qMailboxStrikes = sqlText(`SELECT COUNT(*), COALESCE(MIN(at_ms), 0) FROM strike WHERE subscriber_id = ?1`)
	qHardAtProvider = sqlText(`
		SELECT COUNT(*)
		FROM strike s
		JOIN delivery d ON d.digest_id = s.digest_id AND d.subscriber_id = s.subscriber_id
		WHERE s.digest_id = ?1 AND s.kind = 'hard' AND d.provider = ?2`)
	qAtProvider   = sqlText(`SELECT COUNT(*) FROM delivery WHERE digest_id = ?1 AND provider = ?2 AND state NOT IN (6, 8)`)
	qSuppressedBy = sqlText(`
		SELECT s.subscriber_id
		FROM strike s
		JOIN delivery d ON d.digest_id = s.digest_id AND d.subscriber_id = s.subscriber_id
		WHERE s.digest_id = ?1 AND s.effect = 'suppressed' AND d.provider = ?2`)
	qPauseFull = sqlText(`
		UPDATE subscription
		SET state = 'paused', reason = ?2, paused_until_ms = 0
		WHERE subscriber_id = ?1 AND state = 'active'`)
)

// The effects of a returned or refused mail, as they are stored and shown.
const (
	effectStrike       = "strike"
	effectSuppressed   = "suppressed"
	effectPaused       = "paused"
	effectFrozen       = "frozen"
	effectUnsubscribed = "unsubscribed"
)

// struck is a delivery that its recipient's mailbox refused.
type struck struct {
	digest, person int64
	provider       string
	judgement      zonewire.Judgement
}

// strike counts a refusal against its recipient, if it may, and acts by the policy above. It gives the effect.
func strike(ctx context.Context, q querier, act zonewire.Act, s struck) (effect string, err error) {
	kind := s.judgement.Verdict
	if kind != zonewire.VerdictHard && kind != zonewire.VerdictMailbox || s.digest == 0 {
		return "", nil
	}
	if _, err := q.exec(ctx, qStrikeAdd, s.person, s.digest, string(kind), toMs(act.At)); err != nil {
		return "", err
	}
	var success int64
	if err := q.row(ctx, qLastSuccess, []any{s.person, s.digest}, &success); err != nil {
		return "", err
	}
	if _, err := q.exec(ctx, qStrikesBefore, s.person, success); err != nil {
		return "", err
	}
	if kind == zonewire.VerdictHard {
		effect, err = hard(ctx, q, act, s)
	} else {
		effect, err = full(ctx, q, act, s)
	}
	if errors.Is(err, zonewire.ErrGone) { // erased meanwhile: there is nobody left to act on
		return effectStrike, nil
	}
	if err != nil {
		return "", err
	}
	_, err = q.exec(ctx, qStrikeEffect, s.person, s.digest, effect)
	return effect, err
}

func hard(ctx context.Context, q querier, act zonewire.Act, s struck) (string, error) {
	frozen, err := valve(ctx, q, act, s)
	if err != nil {
		return "", err
	}
	if frozen {
		return effectFrozen, nil
	}
	var before int
	if err := q.row(ctx, qHardBefore, []any{s.person, s.digest, toMs(act.At.Add(-hardApart))}, &before); err != nil {
		return "", err
	}
	if !s.judgement.Sure && before == 0 {
		return effectStrike, nil
	}
	return effectSuppressed, suppress(ctx, q, act, s.person, zonewire.SubBounced, "hard bounce")
}

// valve reports whether automatic suppression is frozen at the provider, and freezes it when this issue shows that it
// must be.
func valve(ctx context.Context, q querier, act zonewire.Act, s struck) (frozen bool, err error) {
	if _, err := q.exec(ctx, qProviderLock); err != nil {
		return false, err
	}
	p, err := provider(ctx, q, s.provider)
	if err != nil || act.At.Before(p.Frozen) {
		return true, err
	}
	var refused, all int
	if err := q.row(ctx, qHardAtProvider, []any{s.digest, s.provider}, &refused); err != nil {
		return false, err
	}
	if refused < valveLeast {
		return false, nil
	}
	if err := q.row(ctx, qAtProvider, []any{s.digest, s.provider}, &all); err != nil || refused*valvePart <= all {
		return false, err
	}
	p.Frozen = act.At.Add(valveFor)
	if err := putProvider(ctx, q, p); err != nil {
		return false, err
	}
	people, err := collect(ctx, q, qSuppressedBy, []any{s.digest, s.provider}, scanInt)
	if err != nil {
		return false, err
	}
	for _, person := range people {
		if err := unsuppress(ctx, q, act, person, s.digest); err != nil {
			return false, err
		}
	}
	return true, audit(ctx, q, act, "provider.freeze", "provider:"+s.provider, "too many refusals of one issue are called hard: no address is suppressed for a day")
}

// unsuppress takes back what an issue did to a person before the valve closed.
func unsuppress(ctx context.Context, q querier, act zonewire.Act, person, digest int64) error {
	var hash string
	if err := q.row(ctx, qAddressHash, []any{person}, &hash); err != nil || hash == "" {
		return err
	}
	for _, step := range []struct {
		text query
		args []any
	}{
		{qSuppressionDrop, []any{hash}},
		{qReviveBounced, []any{person}},
		{qStrikeEffect, []any{person, digest, effectFrozen}},
	} {
		if _, err := q.exec(ctx, step.text, step.args...); err != nil {
			return err
		}
	}
	return audit(ctx, q, act, "suppression.remove", subject(person), "taken back")
}

// full counts the issues that a mailbox was too full, or too asleep, to take.
func full(ctx context.Context, q querier, act zonewire.Act, s struck) (string, error) {
	var n int
	var first int64
	if err := q.row(ctx, qMailboxStrikes, []any{s.person}, &n, &first); err != nil {
		return "", err
	}
	if n < mailboxStrikes || act.At.Sub(fromMs(first)) < mailboxOver {
		return effectStrike, nil
	}
	if _, err := q.exec(ctx, qPauseFull, s.person, "mailbox full or disabled"); err != nil {
		return "", err
	}
	if _, err := q.exec(ctx, qCancelSubscriber, s.person, "paused", toMs(act.At)); err != nil {
		return "", err
	}
	return effectPaused, audit(ctx, q, act, "subscriber.pause", subject(s.person), "mailbox full or disabled")
}
