package main

import (
	"fmt"
	"math"
	"slices"
	"time"

	"zonewire"
)

// providerView is a provider group's lane as outbox ls --by provider prints it.
type providerView struct {
	Provider string  `json:"provider"`
	Pending  int     `json:"pending"`
	Leased   int     `json:"leased"`
	Deferred int     `json:"deferred"`
	PerHour  float64 `json:"per_hour"` // 0: no limit
	State    string  `json:"state"`    // open: its breaker is, mail waits; slow; ok
	Until    *string `json:"until"`    // when it is tried again
	Frozen   *string `json:"frozen"`   // no refusal there suppresses an address until then
	Reason   string  `json:"reason"`   // the last complaint
}

// viewProviders joins what waits with how each group takes it, groups in trouble first.
func viewProviders(open map[string]zonewire.Counts, paces []zonewire.Provider, now time.Time) []providerView {
	byName := map[string]zonewire.Provider{}
	for _, p := range paces {
		byName[p.Name] = p
	}
	for name := range open {
		if _, known := byName[name]; !known {
			byName[name] = zonewire.Provider{Name: name}
		}
	}
	views := []providerView{}
	for name, p := range byName {
		c := open[name]
		v := providerView{
			Provider: name, Pending: c[zonewire.Pending], Leased: c[zonewire.Leased], Deferred: c[zonewire.Deferred],
			PerHour: math.Round(p.Limit(now)), State: "ok", Reason: p.Reason,
		}
		switch {
		case !p.Opened.IsZero():
			v.State, v.Until = "open", stampOrNull(p.FreeAt(now))
		case v.PerHour > 0:
			v.State = "slow"
		}
		if now.Before(p.Frozen) {
			v.Frozen = stampOrNull(p.Frozen)
		}
		views = append(views, v)
	}
	rank := map[string]int{"open": 0, "slow": 1, "ok": 2}
	slices.SortFunc(views, func(a, b providerView) int {
		if c := rank[a.State] - rank[b.State]; c != 0 {
			return c
		}
		if c := b.waiting() - a.waiting(); c != 0 {
			return c
		}
		if a.Provider < b.Provider {
			return -1
		}
		return 1
	})
	return views
}

func (v providerView) waiting() int { return v.Pending + v.Leased + v.Deferred }

// why says in a few words what the group's mail waits for.
func (v providerView) why() string {
	text := ""
	switch v.State {
	case "open":
		text = "waits until " + *v.Until + ", it refuses us: " + v.Reason
	case "slow":
		text = fmt.Sprintf("at most %.0f an hour, it asked for less: %s", v.PerHour, v.Reason)
	}
	if v.Frozen != nil {
		if text != "" {
			text += "; "
		}
		text += "suppresses nobody until " + *v.Frozen
	}
	return text
}
