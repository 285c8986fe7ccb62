// Package zonewire holds the words of the wire service: zones, articles, lists, subscribers, digests and
// deliveries, as plain values that every room speaks in.
//
// Nothing here reads a clock, a file or a network. Times are [time.Time] values; the zero Time means "not set".
package zonewire

import "time"

// Shanghai is the fixed +08:00 offset that a date without a zone is read in. China keeps no daylight saving time,
// so no zone database is needed.
var Shanghai = time.FixedZone("+08:00", 8*60*60)

// Locales that pages and mails speak, the default first.
const (
	LocaleZH = "zh-CN"
	LocaleEN = "en"
)

// Locales lists every locale, the default first.
func Locales() []string { return []string{LocaleZH, LocaleEN} }

// Act says who changed something and when. Every change by command, API or page carries one into the audit.
type Act struct {
	At time.Time
	By string // "cli", "api:NAME", "page", "daemon"
}

// AuditEntry is one line of the audit: people are named by number, never by address.
type AuditEntry struct {
	ID     int64
	At     time.Time
	By     string
	Action string // "list.add", "subscriber.unsubscribe"
	Target string // "list:morning", "subscriber:12"
	Detail string
}

// Generation counts what readers can see: equal generations mean that nothing visible changed.
type Generation struct {
	Articles int64 // rises with each article filed, changed or withdrawn
	Zones    int64 // rises with each change of a zone
}
