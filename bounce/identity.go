package bounce

import (
	"regexp"
	"strings"

	"zonewire"
)

// What may be a text of ours; [zonewire.Secret] tells whether it is. Each stands alone in some text that a server, a
// person or a mail client has quoted.
var (
	anyAddress  = regexp.MustCompile("[A-Za-z0-9_][A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]*@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
	ourSender   = regexp.MustCompile(`(?i)\b([bn]-[0-9a-z]{1,13}-[a-z2-7]{16})@`)
	ourMail     = regexp.MustCompile(`(?i)\b(?:d\d{1,19}|n)\.s\d{1,19}\.\d{1,19}\.[a-z2-7]{13}@`)
	maxSuspects = 1000 // of one text: each costs a hash
)

func firstAddress(s string) string { return anyAddress.FindString(s) }

func localPart(address string) string { return address[:max(0, strings.LastIndexByte(address, '@'))] }

func domainOf(address string) string { return address[strings.LastIndexByte(address, '@')+1:] }

// gathers reports whether a mailbox must exist in every domain (RFC 2142): people write to it, and servers.
func gathers(address string) bool {
	local := localPart(address)
	return strings.EqualFold(local, "postmaster") || strings.EqualFold(local, "abuse")
}

// job names the mail of ours that m is about; zero if nothing proves that it is about any. An envelope that came back
// is stronger than what a text quotes.
func (r Reader) job(m *mail) zonewire.JobRef {
	for _, to := range m.recipients() {
		if job, _, ok := r.Secret.OpenAddress(localPart(to)); ok && job.ID != 0 {
			return job
		}
	}
	if job, ok := r.Secret.OpenMessageID(m.header.get("in-reply-to")); ok {
		return job
	}
	// The original, or its header, is somewhere in the mail, in a part of its own or in the text. Raw comes last: it is
	// all there is of parts beyond the limits.
	var texts []string
	for _, p := range m.all() {
		for _, f := range p.header {
			texts = append(texts, f.value)
		}
		if len(p.body) > 0 {
			texts = append(texts, p.text())
		}
	}
	texts = append(texts, string(m.raw))
	for _, s := range texts {
		for _, found := range ourSender.FindAllStringSubmatch(s, maxSuspects) {
			if job, _, ok := r.Secret.OpenAddress(found[1]); ok {
				return job
			}
		}
	}
	for _, s := range texts {
		for _, id := range ourMail.FindAllString(s, maxSuspects) {
			if job, ok := r.Secret.OpenMessageID(id); ok {
				return job
			}
		}
	}
	return zonewire.JobRef{}
}

// leaveTarget is the subscription to whose leave address m was sent; 0 if it was sent elsewhere.
func (r Reader) leaveTarget(m *mail) int64 {
	for _, to := range m.recipients() {
		if _, subscription, ok := r.Secret.OpenAddress(localPart(to)); ok && subscription != 0 {
			return subscription
		}
	}
	return 0
}

// recipients are the addresses that m was sent to. The header is asked only if nobody knows the envelope, or if that
// names a mailbox that gathers mail for others.
func (m *mail) recipients() []string {
	if m.to != "" && !gathers(m.to) {
		return []string{m.to}
	}
	var all []string
	for _, name := range []string{"delivered-to", "x-original-to", "envelope-to", "x-envelope-to", "to", "cc"} {
		for _, f := range m.header {
			if f.name == name {
				all = append(all, anyAddress.FindAllString(f.value, maxSuspects)...)
			}
		}
	}
	return all
}
