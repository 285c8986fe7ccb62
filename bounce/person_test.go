package bounce_test

import (
	"testing"

	"zonewire"
	"zonewire/bounce"
)

// answer is a person's reply to delivery 41.
func answer(fields, subject, text string) []byte {
	return []byte("From: lin.yue@example.net\nTo: news@news.example.com\nIn-Reply-To: " + idOfDigest + "\n" + fields +
		"Subject: " + subject + "\nContent-Type: text/plain; charset=utf-8\n\n" + text)
}

func TestAReplyLeaves(t *testing.T) {
	tests := []struct {
		name, subject, text string
		want                zonewire.BounceKind
	}{
		{"by its one word", "Re: 早报", "退订", zonewire.BounceLeave},
		{"in traditional characters", "回覆: 早报", "請取消訂閱", zonewire.BounceLeave},
		{"with a greeting before", "回复：早报", "您好：\n\n我不再订阅了，谢谢！\n\n林悦", zonewire.BounceLeave},
		{"after a complaint", "Re: 早报", "不要再发了 退订", zonewire.BounceLeave},
		{"in English", "RE: news", "Please remove me from this list.", zonewire.BounceLeave},
		{"in capitals", "Re: news", "UNSUBSCRIBE", zonewire.BounceLeave},
		{"by a subject of its own", "unsubscribe", "", zonewire.BounceLeave},
		{"by asking how", "Re: 早报", "怎么退订？", zonewire.BounceLeave},
		{"but not by our subject", "Re: 如何退订", "收到", zonewire.BounceUnknown},
		{"but not by a long letter", "Re: 早报", "贵刊上周提到的那家企业后来是不是搬走了？我们想核实一下，另外请问除了退订之外能不能只看福建的内容呢？多谢费心！", zonewire.BounceUnknown},
		{"but not by the fourth line", "Re: 早报", "一\n二\n三\n退订", zonewire.BounceUnknown},
		{"but not if it wants to stay", "Re: 早报", "请不要退订", zonewire.BounceUnknown},
		{"but not if it came about by mistake", "Re: 早报", "我误点了退订", zonewire.BounceUnknown},
		{"but not if it asks why", "Re: 早报", "为什么给我退订了？", zonewire.BounceUnknown},
		{"but not if it says so in English", "Re: news", "Please do not unsubscribe me!", zonewire.BounceUnknown},
		{"but not by what Outlook quotes", "RE: 早报", "收到。\n\n________________________________\nFrom: 早报\n退订", zonewire.BounceUnknown},
		{"but not by what Outlook in Chinese quotes", "答复: 早报", "收到。\n\n发件人: 早报 <news@news.example.com>\n退订", zonewire.BounceUnknown},
		{"but not by what NetEase quotes", "Re: 早报", "收到\n在 2026-11-23 08:00:00，\"早报\" <news@news.example.com> 写道：\n退订", zonewire.BounceUnknown},
		{"but not by what Gmail quotes", "Re: news", "ok\n\nOn Mon, Nov 23, 2026 at 8:00 AM News <news@news.example.com>\nwrote:\n\nUnsubscribe", zonewire.BounceUnknown},
		{"but not by what a German client quotes", "AW: news", "ok\n\nAm 23.11.2026 um 08:00 schrieb News:\nUnsubscribe", zonewire.BounceUnknown},
		{"but not by a quote at the top", "Re: news", "> Unsubscribe\n\nWhat is this?", zonewire.BounceUnknown},
		{"but not by a signature", "Re: news", "ok\n-- \nunsubscribe", zonewire.BounceUnknown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := bounce.Reader{Secret: secret}.Parse(answer("", tt.subject, tt.text), "")
			if b.Kind != tt.want || b.Job.ID != 41 {
				t.Errorf("kind %q, job %v, want %q", b.Kind, b.Job, tt.want)
			}
		})
	}
}

func TestAMachineWroteIt(t *testing.T) {
	tests := []struct {
		name, fields, subject string
		want                  zonewire.BounceKind
	}{
		{"says RFC 3834", "Auto-Submitted: auto-replied; owner-email=\"a@example.net\"\n", "Re: 早报", zonewire.BounceAuto},
		{"or denies it", "Auto-Submitted: No\n", "Re: 早报", zonewire.BounceLeave},
		{"says Exchange about a reply", "X-Auto-Response-Suppress: OOF\n", "Re: 早报", zonewire.BounceAuto},
		{"says an old header", "Precedence: auto_reply\n", "Re: 早报", zonewire.BounceAuto},
		{"says the header of a list", "Precedence: bulk\n", "Re: 早报", zonewire.BounceAuto},
		{"says a header of its own", "X-Autorespond: 早报\n", "Re: 早报", zonewire.BounceAuto},
		{"says its subject in Chinese", "", "自动回复: 早报", zonewire.BounceAuto},
		{"says its subject in brackets", "", "[Auto-Reply] news", zonewire.BounceAuto},
		{"says its subject in German", "", "Abwesenheitsnotiz: news", zonewire.BounceAuto},
		{"says its subject in Japanese", "", "自動返信：news", zonewire.BounceAuto},
		{"is not said by news of automatic replies", "", "回复: 本区上线自动回复系统", zonewire.BounceLeave},
		{"is not said by a null sender, which only bars it from leaving", "Return-Path: <>\n", "Re: 早报", zonewire.BounceUnknown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := bounce.Reader{Secret: secret}.Parse(answer(tt.fields, tt.subject, "退订"), "")
			if b.Kind != tt.want {
				t.Errorf("kind %q, want %q", b.Kind, tt.want)
			}
		})
	}
}
