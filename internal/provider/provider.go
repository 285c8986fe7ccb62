// Package provider knows the mailbox providers: whose a domain is, how much each of them takes at once, and what they
// mean when they refuse a mail.
//
// # Policy
//
// A refusal counts against a reader only if it speaks of the reader. A reply code alone proves little: QQ answers 550 to
// a rate limit, Outlook to a block list, and most servers to content. So [Judge] reads, in this order:
//
//   - where and how: no reply, 421 and anything before MAIL is the network, unless the text says more. MAIL names no
//     recipient, so nothing said there is about one. Only 5xx can say that nobody lives at an address.
//   - what this provider is known to mean by these very words;
//   - words about us: too much, too fast; spam, block lists, authentication, reputation, relaying, content;
//   - words about the mailbox: full, disabled, suspended;
//   - words that nobody lives there;
//   - the code of RFC 3463, and at last the reply code.
//
// The first that says something decides; so a text about us overrules an address code. A text that asks to come again
// lets nothing count against the address. What nobody understands is the network's: the mail is tried again.
//
// One refusal proves that an address is dead only if code and text agree on it at RCPT, or in a report; and never if the
// text names another address than the reader's, or speaks of the whole domain, whose owner may have slipped in the DNS.
//
// Addresses say nothing: they are taken out of a text before it is read, and with them what looks like one.
package provider

import "strings"

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
	Report               // a report that came back: nobody knows the stage, unless the text tells it
)

// Refusal is what a server said.
type Refusal struct {
	Provider string // the group of the recipient's domain, see [Group]; empty if unknown
	Stage    Stage
	Code     int    // SMTP reply code; 0 if there was no reply
	Enhanced string // RFC 3463 code, or empty
	Text     string // the words, in any case, possibly several lines, possibly GBK
	Address  string // the recipient: in the text it means nothing
}

// Limits is how a group is met until it asks for something else.
type Limits struct {
	Connections        int // transactions at once; 0 = as many as there are connections
	MailsPerConnection int // 0 = no limit
}

// groups gives the group of each domain that shares one. The first migration with providers
// (store/migrations/*/0002_delivery.sql) names the same.
var groups = map[string]string{
	"qq.com": QQ, "foxmail.com": QQ, "vip.qq.com": QQ,

	"163.com": NetEase, "126.com": NetEase, "yeah.net": NetEase, "vip.163.com": NetEase, "vip.126.com": NetEase,
	"188.com": NetEase,

	"gmail.com": Gmail, "googlemail.com": Gmail,

	"outlook.com": Outlook, "hotmail.com": Outlook, "live.com": Outlook, "msn.com": Outlook, "live.cn": Outlook,
	"hotmail.co.uk": Outlook, "passport.com": Outlook,

	"yahoo.com": Yahoo, "ymail.com": Yahoo, "rocketmail.com": Yahoo, "aol.com": Yahoo, "yahoo.co.uk": Yahoo,
	"yahoo.com.hk": Yahoo, "yahoo.com.tw": Yahoo, "yahoo.com.sg": Yahoo,
}

// limits has what the providers, or those who mail much to them, call harmless to begin with. Only Yahoo publishes its
// number, 20 mails a connection; those of QQ and NetEase are the community's.
var limits = map[string]Limits{
	QQ:      {Connections: 4, MailsPerConnection: 8},
	NetEase: {Connections: 4, MailsPerConnection: 7},
	Gmail:   {Connections: 5, MailsPerConnection: 50},
	Outlook: {Connections: 5, MailsPerConnection: 50},
	Yahoo:   {Connections: 5, MailsPerConnection: 20},
}

// Group names the provider group of a domain in lower-case ASCII.
func Group(domain string) string {
	domain = strings.TrimSuffix(domain, ".")
	if group, ok := groups[domain]; ok {
		return group
	}
	return domain
}

// LimitsOf gives the limits of a group; a group without any has none.
func LimitsOf(group string) Limits { return limits[group] }
