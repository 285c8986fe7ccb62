package poll

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"zonewire"
	"zonewire/ingest"
	"zonewire/internal/outbound"
	"zonewire/internal/trouble"
)

// Subscriptions keeps how sources stand with their hubs.
type Subscriptions interface {
	// SourceByID gives a source, also one that was removed. [zonewire.ErrNotFound].
	SourceByID(ctx context.Context, id int64) (zonewire.Source, error)
	// DueSubscriptions lists the sources whose hub is to be asked.
	DueSubscriptions(ctx context.Context, now time.Time) ([]zonewire.Source, error)
	SetSubscription(ctx context.Context, id int64, s zonewire.Subscribed) error
	// FinishPush stores what a hub has sent; timers and validators are left alone.
	FinishPush(ctx context.Context, act zonewire.Act, source int64, p zonewire.Poll) ([]zonewire.Stored, error)
}

const (
	leaseFor = 10 * day // what we ask for
	maxLease = 30 * day
	// answerIn is how long a hub has to verify what we have asked; then it is asked again. It must be shorter than
	// renewMin: by that a request that is open differs from a lease that is not yet to be renewed.
	answerIn   = 6 * time.Hour
	renewMin   = 9 * time.Hour // no hub is asked more often, however short its leases
	askAgain   = day           // of a hub that could not be asked
	askDenied  = week
	renewEvery = time.Minute // between two looks for leases that run out
	// callbackPath is followed by the token of a source.
	callbackPath = "/websub/"
)

// callback is where hubs call back, up to the token; empty if nobody outside could reach it, or without a secret.
func (p *Poller) callback() string {
	u, err := url.Parse(p.options.BaseURL)
	if err != nil || u.Host == "" || len(p.options.Secret) == 0 || u.Scheme != "https" && !p.options.AllowPrivate {
		return ""
	}
	return strings.TrimSuffix(p.options.BaseURL, "/") + callbackPath
}

// subscribed takes in the hub that a feed offers, the Link header before the document (WebSub section 4). Another hub or
// topic is asked at once; the same stays as it is.
func subscribed(old zonewire.Subscribed, a answer, doc ingest.FeedDoc, now time.Time) zonewire.Subscribed {
	hub, topic := link(a, "hub"), link(a, "self")
	if hub == "" {
		hub = doc.Hub
	}
	if topic == "" {
		topic = doc.Self
	}
	if topic == "" {
		topic = a.final
	}
	if _, err := outbound.CheckURL(hub); err != nil || len(hub) > 2048 || len(topic) > 2048 {
		return zonewire.Subscribed{}
	}
	if hub == old.Hub && topic == old.Topic {
		return old
	}
	return zonewire.Subscribed{Hub: hub, Topic: topic, Next: now}
}

// open reports whether a request of ours waits for the hub to verify it.
func open(s zonewire.Subscribed, now time.Time) bool {
	return s.Hub != "" && now.Before(s.Next) && !s.Next.After(now.Add(answerIn))
}

// verified takes in a lease that the hub has confirmed; it is renewed when four fifths are over.
func verified(s zonewire.Subscribed, lease time.Duration, now time.Time) zonewire.Subscribed {
	if lease <= 0 {
		lease = leaseFor
	}
	lease = min(lease, maxLease)
	s.Until, s.Next, s.Denied = now.Add(lease), now.Add(max(lease*4/5, renewMin)), ""
	return s
}

// denied takes in that the hub refuses, or ends what it had granted (WebSub section 5.2).
func denied(s zonewire.Subscribed, reason string, now time.Time) zonewire.Subscribed {
	if reason == "" {
		reason = "without a reason"
	}
	s.Until, s.Next, s.Denied = time.Time{}, now.Add(askDenied), zonewire.Shorten(reason, 300)
	return s
}

// renew asks hubs until ctx ends, one at a time.
func (p *Poller) renew(ctx context.Context) {
	asking := trouble.New(p.log, "hubs cannot be asked, and wait", "hubs are asked again")
	for sleep(ctx, renewEvery) == nil {
		if err := p.subscribeDue(ctx); ctx.Err() == nil {
			asking.Is(err)
		}
	}
}

// subscribeDue asks each hub whose time has come. The error is the database's.
func (p *Poller) subscribeDue(ctx context.Context) error {
	due, err := p.store.DueSubscriptions(ctx, time.Now())
	if err != nil {
		return err
	}
	for _, s := range due {
		sub := s.Sub
		// The mark that we have asked stands before the hub hears of it: it may verify before it answers.
		sub.Next, sub.Denied = time.Now().Add(answerIn), ""
		if err := p.store.SetSubscription(ctx, s.ID, sub); err != nil {
			return err
		}
		if reason := p.subscribe(ctx, s); reason != "" && ctx.Err() == nil {
			p.log.Warn("hub not asked", "source", s.ID, "reason", reason)
			sub.Next, sub.Denied = time.Now().Add(askAgain), reason
			if err := p.store.SetSubscription(ctx, s.ID, sub); err != nil {
				return err
			}
		}
	}
	return nil
}

// subscribe asks a hub to push (WebSub section 5.1). reason says why it does not take the request; it promises nothing by taking it.
func (p *Poller) subscribe(ctx context.Context, s zonewire.Source) (reason string) {
	form := url.Values{
		"hub.mode":          {"subscribe"},
		"hub.topic":         {s.Sub.Topic},
		"hub.callback":      {p.callback() + p.options.Secret.Token(zonewire.PurposeWebSub, s.ID)},
		"hub.secret":        {p.options.Secret.HubSecret(s.ID, s.Sub.Topic)},
		"hub.lease_seconds": {strconv.Itoa(int(leaseFor.Seconds()))},
	}
	if _, err := outbound.CheckURL(s.Sub.Hub); err != nil {
		return "its hub may not be asked: " + err.Error()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.Sub.Hub, strings.NewReader(form.Encode()))
	if err != nil {
		return "its hub has no address that can be asked"
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("User-Agent", p.asker(ctx).agent)
	client := *p.client
	client.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		if req.Method != http.MethodPost { // 301 and 302 turn a POST into a GET; 307 and 308 lead to the real hub
			return http.ErrUseLastResponse
		}
		return mayFollow(p.client, req, via)
	}
	resp, err := client.Do(req)
	if err != nil {
		return "its hub: " + outbound.Explain(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		said, _ := outbound.ReadAll(resp.Body, 200) // whatever of it came is enough
		return zonewire.Shorten(fmt.Sprintf("its hub answers %d: %s", resp.StatusCode, strings.Join(strings.Fields(zonewire.CleanText(string(said))), " ")), 300)
	}
	return ""
}
