package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"zonewire/feed"
	"zonewire/websub"
)

// serving collects what feeds and hub have done since the daemon started. They count by themselves, since a hit may not
// wait for anything.
type serving struct {
	feeds func() feed.Stats
	hub   func() websub.Stats
}

var (
	feedResponsesDesc     = prometheus.NewDesc("zonewire_feed_responses_total", "Answers for feeds by format and status; 226 is a delta.", []string{"format", "status"}, nil)
	feedDocumentsDesc     = prometheus.NewDesc("zonewire_feed_documents_total", "Documents of feeds sent, by coding.", []string{"coding"}, nil)
	feedBytesDesc         = prometheus.NewDesc("zonewire_feed_bytes_total", "Bytes of feeds sent, by coding.", []string{"coding"}, nil)
	feedUnconditionalDesc = prometheus.NewDesc("zonewire_feed_unconditional_total", "Whole feeds sent to readers that named no version they have.", nil, nil)
	feedRenderingsDesc    = prometheus.NewDesc("zonewire_feed_renderings_total", "Renderings of a feed in every format, of an archive, a view or a list.", nil, nil)
	feedRenderingDesc     = prometheus.NewDesc("zonewire_feed_rendering_seconds_total", "Time that renderings took.", nil, nil)
	feedCacheBytesDesc    = prometheus.NewDesc("zonewire_feed_cache_bytes", "Memory of documents that are ready to be served.", nil, nil)
	feedCachedDesc        = prometheus.NewDesc("zonewire_feed_cached", "Feeds, archives, views and deltas that are ready to be served.", nil, nil)
	feedSubscribersDesc   = prometheus.NewDesc("zonewire_feed_subscribers", "People that a reader says it fetches a feed for.", []string{"feed", "reader"}, nil)
	hubRequestsDesc       = prometheus.NewDesc("zonewire_hub_requests_total", "Requests to the hub by outcome.", []string{"outcome"}, nil)
	hubDeliveriesDesc     = prometheus.NewDesc("zonewire_hub_deliveries_total", "Deliveries of the hub by outcome; a failed one is tried again.", []string{"outcome"}, nil)
	hubDeltasDesc         = prometheus.NewDesc("zonewire_hub_deltas_total", "Deliveries taken that held only what was new.", nil, nil)
	hubEndedDesc          = prometheus.NewDesc("zonewire_hub_ended_total", "Subscriptions ended by their subscriber or with their feed.", nil, nil)
	hubWaitingDesc        = prometheus.NewDesc("zonewire_hub_waiting", "Requests to the hub at hand that wait to be verified.", nil, nil)
	hubPingsDesc          = prometheus.NewDesc("zonewire_hub_pings_total", "Hubs elsewhere told of a change, by outcome.", []string{"outcome"}, nil)
)

func (s *serving) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		feedResponsesDesc, feedDocumentsDesc, feedBytesDesc, feedUnconditionalDesc, feedRenderingsDesc, feedRenderingDesc, feedCacheBytesDesc,
		feedCachedDesc, feedSubscribersDesc, hubRequestsDesc, hubDeliveriesDesc, hubDeltasDesc, hubEndedDesc, hubWaitingDesc, hubPingsDesc,
	} {
		out <- d
	}
}

func (s *serving) Collect(out chan<- prometheus.Metric) {
	send := func(kind prometheus.ValueType) func(*prometheus.Desc, float64, ...string) {
		return func(d *prometheus.Desc, v float64, labels ...string) {
			out <- prometheus.MustNewConstMetric(d, kind, v, labels...)
		}
	}
	total, gauge := send(prometheus.CounterValue), send(prometheus.GaugeValue)
	f := s.feeds()
	for _, a := range f.Answers {
		total(feedResponsesDesc, float64(a.Count), a.Format, a.Status)
	}
	for _, c := range f.Codings {
		total(feedDocumentsDesc, float64(c.Count), c.Coding)
		total(feedBytesDesc, float64(c.Bytes), c.Coding)
	}
	total(feedUnconditionalDesc, float64(f.Unconditional))
	total(feedRenderingsDesc, float64(f.Renderings))
	total(feedRenderingDesc, f.Rendering.Seconds())
	gauge(feedCacheBytesDesc, float64(f.CachedBytes))
	gauge(feedCachedDesc, float64(f.Cached))
	for _, c := range f.Claims {
		gauge(feedSubscribersDesc, float64(c.Subscribers), c.Feed, c.Reader)
	}
	h := s.hub()
	for outcome, n := range map[string]int64{"accepted": h.Accepted, "refused": h.Refused, "confirmed": h.Confirmed, "forgotten": h.Forgotten} {
		total(hubRequestsDesc, float64(n), outcome)
	}
	for outcome, n := range map[string]int64{"delivered": h.Delivered, "failed": h.Failed} {
		total(hubDeliveriesDesc, float64(n), outcome)
	}
	for outcome, n := range map[string]int64{"told": h.Pinged, "failed": h.Unpinged} {
		total(hubPingsDesc, float64(n), outcome)
	}
	total(hubDeltasDesc, float64(h.Deltas))
	total(hubEndedDesc, float64(h.Ended))
	gauge(hubWaitingDesc, float64(h.Waiting))
}
