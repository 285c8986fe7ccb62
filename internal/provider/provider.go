// Package provider knows the mailbox providers: whose a domain is, how much each of them takes at once, and what they
// mean when they refuse a mail.
package provider

import (
	"strings"

	"zonewire"
)

// Names of the groups that have rules of their own. Any other domain is a group by itself, named by the domain.
const (
	QQ      = "qq"
	NetEase = "netease"
	Gmail   = "gmail"
	Outlook = "outlook"
	Yahoo   = "yahoo"
)

// Stage is what a refusal answers.
type Stage int

// The stages of a mail's way.
const (
	Connect Stage = iota // up to the login: about the host
	Mail                 // MAIL FROM: about us
	Rcpt                 // RCPT TO: about the recipient
	Data                 // DATA and the message
	Dot                  // the final dot
	Report               // a report that came back: nobody knows the stage
)

// Refusal is what a server said.
type Refusal struct {
	Provider string // the group of the recipient's domain, see [Group]
	Stage    Stage
	Code     int    // SMTP reply code; 0 if there was no reply
	Enhanced string // RFC 3463 code, or empty
	Text     string // the words, in any case, possibly several lines
	Address  string // the recipient: in the text it means nothing
}

// Limits is how a group is met until it asks for something else.
type Limits struct {
	Connections        int // transactions at once; 0 = as many as there are connections
	MailsPerConnection int // 0 = no limit
}

// Group names the provider group of a domain in lower-case ASCII.
func Group(domain string) string { return strings.TrimSuffix(domain, ".") }

// LimitsOf gives the limits of a group.
func LimitsOf(group string) Limits { return Limits{} }

// Judge says what a refusal means.
func Judge(r Refusal) zonewire.Judgement { return zonewire.Judgement{Verdict: zonewire.VerdictNetwork} }

// Enhanced reads the RFC 3463 code at the start of a reply's text.
func Enhanced(code int, text string) string { return "" }
