package outbox

import (
	"zonewire"
)

// Prepared is a mail from which each reader's copy is made. It is safe for concurrent use.
type Prepared struct {
	composer Composer
	mail     zonewire.Mail
	unfit    error // why the mail cannot be sent to anyone
}

// Prepare does what is the same for all readers of a mail. It fails if the mail cannot be sent to anyone.
func (c Composer) Prepare(m zonewire.Mail) (*Prepared, error) {
	return &Prepared{composer: c, mail: m}, nil
}

// Compose fills the mail's holes for the job's reader and makes the complete message. It is pure: the same values give
// the same bytes, so that a retry is the same message. It fails with [ErrAddress] if the address has no form that SMTP
// can take, and with another error if the mail itself cannot be sent to anyone.
func (p *Prepared) Compose(job zonewire.Job, to zonewire.Address) (Envelope, error) {
	if p.unfit != nil {
		return Envelope{}, p.unfit
	}
	return p.composer.compose(p.mail, job, to)
}

// size is what the mail weighs in memory, in bytes.
func (p *Prepared) size() int {
	n := 1000 // the rest
	for _, chunks := range [][]string{p.mail.HTML, p.mail.Text} {
		for _, chunk := range chunks {
			n += len(chunk)
		}
	}
	return n
}
