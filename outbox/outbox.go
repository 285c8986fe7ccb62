// Package outbox takes deliveries from the store to the wire: it claims them, composes each reader's copy, sends it,
// judges the server's answer and records it.
//
// The policy:
//
//   - A delivery is begun in the store before the first command that names it, and finished after the server's answer.
//     What was begun and not finished, nobody knows: the store decides, so a crash costs at most one repeat a connection.
//   - One recipient a transaction, and only the reply to the final dot decides that a mail went out.
//   - What cannot be recorded is not sent: while the database is away nothing is begun, and what was sent before is recorded when
//     it is back.
//   - Trouble with the server itself (it does not answer, offers no TLS, refuses the login) is no delivery's fault: none
//     is begun, and the connection is tried again, further and further apart.
//   - A lost connection and a reply nobody understands are temporary. A refusal is final only if it speaks of the
//     recipient's address and of nothing else; whatever speaks of us is tried again until [zonewire.GiveUpAfter].
//   - Provider groups have lanes of their own: each within its connections, its mails a connection and its pace, which a
//     complaint about rate halves; one that keeps refusing us is left alone for a while. None holds up the others.
//   - A connection that failed between 354 and the final reply is never used again.
//   - A retry is the same message, byte for byte, so that a receiver can fold a repeat.
package outbox

import (
	"context"
	"time"

	"zonewire"
)

// Store keeps the deliveries. *store.DB is one.
type Store interface {
	Queue
	Workers
	// Variant gives the mail of a digest for one audience; it never changes once stored.
	// [zonewire.ErrNotFound] if there is none.
	Variant(ctx context.Context, id int64) (zonewire.Variant, error)
	// Due counts what may be claimed now: only for showing progress.
	Due(ctx context.Context, now time.Time) (int, error)
}

// Queue hands out deliveries and takes back what became of them.
type Queue interface {
	// Claim gives at most n jobs to the worker, of each provider group within its pace and at most room of it, and none
	// while sending is paused.
	Claim(ctx context.Context, worker int64, n int, room func(provider string) int, now time.Time) (zonewire.Claim, error)
	// Begin marks the job as being sent. [zonewire.ErrLost]: it is not this worker's any more and must not be sent.
	Begin(ctx context.Context, job zonewire.Job, now time.Time) error
	// Finish records what became of a job, begun or not. [zonewire.ErrLost]: someone else judged it meanwhile.
	Finish(ctx context.Context, job zonewire.Job, out zonewire.Outcome, now time.Time) error
	// Turn records that a job was accepted and marks the next one of its connection as being sent, both or none. lost is
	// [zonewire.ErrLost] as from Finish, taken as from Begin. With err it is unknown whether it happened.
	Turn(ctx context.Context, job zonewire.Job, out zonewire.Outcome, next zonewire.Job, now time.Time) (lost, taken, err error)
	// Release gives back the worker's jobs that were not begun, and says how many.
	Release(ctx context.Context, worker int64, now time.Time) (int, error)
	// Observe takes a provider's answer into its pace, and reports whether its breaker opened.
	Observe(ctx context.Context, provider string, a zonewire.Answer, now time.Time) (opened bool, err error)
}

// Workers knows who is alive: only a silent worker's jobs go to others.
type Workers interface {
	StartWorker(ctx context.Context, now time.Time) (worker int64, err error)
	// Beat says that the worker lives. [zonewire.ErrLost] or [zonewire.ErrNotFound]: it was given up, start a new one.
	Beat(ctx context.Context, worker int64, now time.Time) error
	StopWorker(ctx context.Context, worker int64, now time.Time) error
}

// Envelope is a mail ready for the wire.
type Envelope struct {
	From, To string // addresses without angle brackets, in ASCII
	Message  []byte // complete, with CRLF line ends, not dot-stuffed
}

// Transport opens connections to where mail goes.
type Transport interface {
	// Dial opens a connection that is ready for a transaction. Its error names the server or folder and what the
	// operator can do; it never holds a secret.
	Dial(ctx context.Context) (Conn, error)
}

// Conn carries one mail at a time.
type Conn interface {
	// Send runs one transaction. When ctx ends the connection is cut, wherever the transaction stands: give it a
	// context that outlives a shutdown by the grace time.
	Send(ctx context.Context, e Envelope) Reply
	// Usable reports whether another mail may be sent.
	Usable() bool
	// Close says goodbye if the connection is usable, and closes it.
	Close() error
}

// Stage is the command that a reply answers.
type Stage int

// The stages of a transaction.
const (
	StageMail Stage = iota // MAIL FROM: about us
	StageRcpt              // RCPT TO: about the recipient
	StageData              // DATA and the message up to its final dot
	StageDot               // the final dot: from here on the server may have taken the mail
)

func (s Stage) String() string {
	return [...]string{"MAIL", "RCPT", "DATA", "final dot"}[s]
}

// Reply is how a transaction ended.
type Reply struct {
	Stage Stage
	Code  int    // 200 to 599; 0 if there was no reply, or none that means anything
	Text  string // the server's words without the code, or what failed
}

// Accepted reports whether the server took the mail.
func (r Reply) Accepted() bool { return r.Stage == StageDot && r.Code/100 == 2 }

// Lost reports whether nobody knows if the server took the mail (RFC 1047).
func (r Reply) Lost() bool { return r.Stage == StageDot && r.Code == 0 }
