package zonewire

import (
	"strings"
	"time"
)

// AlarmKind is what can be wrong with an installation while nothing fails: mostly, that something does not happen.
type AlarmKind string

// The kinds of alarms, each with what stands behind the colon in its name.
const (
	AlarmSendingPaused  AlarmKind = "sending-paused"       // nothing: for over an hour
	AlarmListOverdue    AlarmKind = "list-overdue"         // list: a slot passed and is not planned
	AlarmListComplaints AlarmKind = "list-complaints"      // list: paused, since too many readers call it spam
	AlarmProviderOpen   AlarmKind = "provider-open"        // provider: it refuses us, its mail waits
	AlarmProviderFrozen AlarmKind = "provider-frozen"      // provider: no refusal there suppresses an address
	AlarmExpired        AlarmKind = "deliveries-expired"   // digest: some of its mail was given up
	AlarmUncertain      AlarmKind = "deliveries-uncertain" // digest: of some of its mail nobody knows
	AlarmSourceDown     AlarmKind = "source-down"          // source: failing, blocked, suspended or stopped
	AlarmSourceSilent   AlarmKind = "source-silent"        // source: it answers, and has had nothing new for three times its usual gap
	AlarmZoneSilent     AlarmKind = "zone-silent"          // zone: no news for three times its usual gap
)

// AlarmKinds lists every kind, the gravest first.
func AlarmKinds() []AlarmKind {
	return []AlarmKind{
		AlarmSendingPaused, AlarmListOverdue, AlarmListComplaints, AlarmProviderOpen, AlarmProviderFrozen, AlarmExpired,
		AlarmUncertain, AlarmSourceDown, AlarmSourceSilent, AlarmZoneSilent,
	}
}

// Alarm is something that an operator should know of now. It ends with its cause.
type Alarm struct {
	Name  string    // see [AlarmName]
	Since time.Time // when it began; it stays what it was when the alarm was first seen
	Text  string    // what is the matter, in the operator's locale and without any address
	Told  time.Time // when a notice about it was queued; zero: not yet
}

// AlarmName names an alarm by its kind and what it is about, such as "list-overdue:morning".
func AlarmName(kind AlarmKind, about string) string {
	if about == "" {
		return string(kind)
	}
	return string(kind) + ":" + about
}

// Kind is the kind that the name begins with.
func (a Alarm) Kind() AlarmKind {
	kind, _, _ := strings.Cut(a.Name, ":")
	return AlarmKind(kind)
}

// About is what the name says behind its kind: a slug, a provider, the number of a digest; empty for the whole.
func (a Alarm) About() string {
	_, about, _ := strings.Cut(a.Name, ":")
	return about
}
