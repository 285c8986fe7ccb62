package outbox_test

import (
	"strings"
	"testing"

	"zonewire"
	"zonewire/internal/smtptest"
	"zonewire/outbox"
)

// bigMail is a digest of usual size: 50 KB of HTML.
func bigMail() zonewire.Mail {
	m := zhMail()
	m.HTML[0] = strings.Repeat("<p>经济开发区今日举行重点项目集中开工仪式</p>\n", 800) + m.HTML[0]
	m.Text[0] = strings.Repeat("经济开发区今日举行重点项目集中开工仪式\n", 200) + m.Text[0]
	return m
}

// BenchmarkCompose is one copy of a mail that was prepared before.
func BenchmarkCompose(b *testing.B) {
	job, to := digestJob(), zonewire.Address{Wire: "reader@example.net"}
	p, err := composer.Prepare(bigMail())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		e, err := p.Compose(job, to)
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(e.Message)))
	}
}

// BenchmarkPrepare is what a mail costs before its first copy, that copy included.
func BenchmarkPrepare(b *testing.B) {
	m, job, to := bigMail(), digestJob(), zonewire.Address{Wire: "reader@example.net"}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := composer.Compose(m, job, to); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkTransaction is one connection's pace against a server that answers at once.
func BenchmarkTransaction(b *testing.B) {
	s := smtptest.New(b, smtptest.Options{})
	c := mustDial(b, s, nil)
	e := compose(b, bigMail(), digestJob())
	b.SetBytes(int64(len(e.Message)))
	for b.Loop() {
		if r := c.Send(b.Context(), e); !r.Accepted() {
			b.Fatalf("%+v", r)
		}
	}
}

// BenchmarkDrain is the whole way, from claim to outcome, over ten connections; the store is in memory.
func BenchmarkDrain(b *testing.B) {
	s := smtptest.New(b, smtptest.Options{})
	tr, err := outbox.NewSMTP(config(s, outbox.NoTLS))
	if err != nil {
		b.Fatal(err)
	}
	const readers = 500
	for b.Loop() {
		b.StopTimer()
		st := newStore(b, readers)
		st.variants[1] = zonewire.Variant{ID: 1, Mail: bigMail()}
		b.StartTimer()
		counts, err := newAgent(st, tr, outbox.Options{}).Drain(b.Context(), nil)
		if err != nil || counts[zonewire.Accepted] != readers {
			b.Fatal(counts, err)
		}
	}
	b.ReportMetric(float64(readers*b.N)/b.Elapsed().Seconds(), "mails/s")
}
