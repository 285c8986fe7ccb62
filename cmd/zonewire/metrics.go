package main

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"zonewire"
	"zonewire/internal/trouble"
)

// metrics exposes what the database knows, read at each scrape: the numbers are the ledger's own, so they sum after a
// crash as before it.
func (e *engine) metrics() http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), &ledger{e, trouble.New(e.log, "metrics incomplete", "metrics complete again")},
		&serving{feeds: e.feeds.Stats, hub: e.hubStats})
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{})
}

// ledger collects the metrics that are counts in the database.
type ledger struct {
	e        *engine
	database *trouble.Trouble
}

var (
	deliveriesDesc = prometheus.NewDesc("zonewire_deliveries", "Deliveries by state; they sum to the recipients of all digests.", []string{"state"}, nil)
	recipientsDesc = prometheus.NewDesc("zonewire_recipients", "Recipients of all digests.", nil, nil)
	changeDesc     = prometheus.NewDesc("zonewire_article_changes", "Counter of article filings, changes and withdrawals.", nil, nil)
	overdueDesc    = prometheus.NewDesc("zonewire_lists_overdue", "Lists whose slot passed over a minute ago and is not planned.", nil, nil)
	bouncesDesc    = prometheus.NewDesc("zonewire_bounces", "Returned mail by kind.", []string{"kind"}, nil)
	openDesc       = prometheus.NewDesc("zonewire_provider_open", "1 while a provider refuses us and its mail waits. A provider that never complained has none.", []string{"provider"}, nil)
	perHourDesc    = prometheus.NewDesc("zonewire_provider_per_hour", "Mails an hour that a provider is sent at the most, 0 for no limit.", []string{"provider"}, nil)
	sourcesDesc    = prometheus.NewDesc("zonewire_sources", "Feeds and list pages that are asked for news, by state.", []string{"state"}, nil)
	queuedDesc     = prometheus.NewDesc("zonewire_source_pages_waiting", "Article pages that lists have shown and that are not read yet.", nil, nil)
	alarmsDesc     = prometheus.NewDesc("zonewire_alarms", "Alarms that stand, by kind.", []string{"alarm"}, nil)
	pausedDesc     = prometheus.NewDesc("zonewire_sending_paused", "1 while sending is paused.", nil, nil)
	readyDesc      = prometheus.NewDesc("zonewire_ready", "1 when the feeds are rendered.", nil, nil)
	failedDesc     = prometheus.NewDesc("zonewire_ledger_up", "1 when the database answered this scrape.", nil, nil)
)

func (l *ledger) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{deliveriesDesc, recipientsDesc, changeDesc, overdueDesc, bouncesDesc, openDesc, perHourDesc, sourcesDesc, queuedDesc, alarmsDesc, pausedDesc, readyDesc, failedDesc} {
		out <- d
	}
}

func (l *ledger) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(readyDesc, oneIf(l.e.feeds.Ready()))
	up := l.collect(ctx, gauge)
	l.database.Is(up)
	gauge(failedDesc, oneIf(up == nil))
}

func (l *ledger) collect(ctx context.Context, gauge func(*prometheus.Desc, float64, ...string)) error {
	counts, err := l.e.db.DeliveryCounts(ctx)
	if err != nil {
		return err
	}
	for _, s := range zonewire.DeliveryStates() {
		gauge(deliveriesDesc, float64(counts[s]), s.String())
	}
	recipients, err := l.e.db.Recipients(ctx)
	if err != nil {
		return err
	}
	gauge(recipientsDesc, float64(recipients))
	gen, err := l.e.db.Generation(ctx)
	if err != nil {
		return err
	}
	gauge(changeDesc, float64(gen.Articles))
	overdue, err := l.e.db.DueLists(ctx, time.Now().Add(-time.Minute))
	if err != nil {
		return err
	}
	gauge(overdueDesc, float64(len(overdue)))
	if err := l.collectReturned(ctx, gauge); err != nil {
		return err
	}
	if err := l.collectSources(ctx, gauge); err != nil {
		return err
	}
	alarms, err := l.e.db.Alarms(ctx)
	if err != nil {
		return err
	}
	standing := map[zonewire.AlarmKind]int{}
	for _, a := range alarms {
		standing[a.Kind()]++
	}
	for _, kind := range zonewire.AlarmKinds() {
		gauge(alarmsDesc, float64(standing[kind]), string(kind))
	}
	paused, err := l.e.db.SendingPaused(ctx)
	if err != nil {
		return err
	}
	gauge(pausedDesc, oneIf(paused != ""))
	return nil
}

// collectReturned tells what came back, and what providers have said to us.
func (l *ledger) collectReturned(ctx context.Context, gauge func(*prometheus.Desc, float64, ...string)) error {
	kinds, err := l.e.db.BounceCounts(ctx)
	if err != nil {
		return err
	}
	for _, kind := range zonewire.BounceKinds() {
		gauge(bouncesDesc, float64(kinds[kind]), string(kind))
	}
	providers, err := l.e.db.Providers(ctx)
	if err != nil {
		return err
	}
	now := time.Now()
	for _, p := range providers {
		gauge(openDesc, oneIf(!p.Opened.IsZero()), p.Name)
		gauge(perHourDesc, p.Limit(now), p.Name)
	}
	return nil
}

// collectSources tells how the sources fare.
func (l *ledger) collectSources(ctx context.Context, gauge func(*prometheus.Desc, float64, ...string)) error {
	counts, err := l.e.db.SourceCounts(ctx)
	if err != nil {
		return err
	}
	for _, state := range zonewire.SourceStates() {
		gauge(sourcesDesc, float64(counts[state]), string(state))
	}
	queued, err := l.e.db.PagesQueued(ctx)
	gauge(queuedDesc, float64(queued))
	return err
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
