package main

import (
	"strconv"
	"time"

	"zonewire"
	"zonewire/store"
	"zonewire/templates"
)

// A source fails now and then; one that has failed for a day will not mend itself.
const sourceDownFor = 24 * time.Hour

// downSources adds the alarms of sources that bring nothing, and say why.
func (c *clerk) downSources(all []zonewire.Source, now time.Time) {
	for _, s := range all {
		since := s.Since
		switch s.State {
		case zonewire.SourceActive, zonewire.SourcePaused:
			continue
		case zonewire.SourceFailing:
			if since = s.Memory.FailingAt; now.Sub(since) < sourceDownFor {
				continue
			}
		}
		c.raiseSource(zonewire.AlarmSourceDown, s, since, []any{c.say("source." + string(s.State)), quoted(s.Reason)})
	}
}

// silentSources gives the alarms of sources that answer as ever and have had nothing new for too long: their page has
// moved, or its layout is another. arrivals are by source.
func silentSources(all []zonewire.Source, arrivals map[int64]store.Arrivals, set *templates.Set, locale string, now time.Time) ([]matter, error) {
	c := &clerk{set: set, locale: locale}
	for _, s := range all {
		days, gap, silent := silence(arrivals[s.ID], now)
		if silent && s.State == zonewire.SourceActive {
			c.raiseSource(zonewire.AlarmSourceSilent, s, arrivals[s.ID].Last, []any{days, c.days(gap)})
		}
	}
	return c.all, c.err
}

// raiseSource names a source by its title, or by its host.
func (c *clerk) raiseSource(kind zonewire.AlarmKind, s zonewire.Source, since time.Time, args []any) {
	id := strconv.FormatInt(s.ID, 10)
	c.raise(kind, id, since, "source show "+id, []any{quoted(orElse(s.Title, s.Host()))}, args)
}
