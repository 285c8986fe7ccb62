package bounce_test

import (
	"testing"

	"zonewire/bounce"
)

func TestARefusalInPlainWords(t *testing.T) {
	type found struct {
		recipient string
		code      int
		status    string
		text      string
	}
	tests := []struct {
		name, text string
		want       found
	}{
		{"on a line of its own", "a@example.org\n550 5.7.1 Rejected\n", found{"a@example.org", 550, "5.7.1", "5.7.1 Rejected"}},
		{"over several lines", "To: a@example.org\n550-5.7.1 Our system\n550-5.7.1 has found\n550 5.7.1 something\nBye\n",
			found{"a@example.org", 550, "5.7.1", "5.7.1 Our system has found something"}},
		{"with the host before it", "<a@example.org>: host mx.example.org[192.0.2.1] said: 452 4.2.2 Over\n    quota (in reply to RCPT TO command)\n",
			found{"a@example.org", 452, "4.2.2", "4.2.2 Over quota (in reply to RCPT TO command)"}},
		{"with its status behind", "<a@example.org>:\nRemote host said: 550 sorry, no mailbox here (#5.1.1)\n",
			found{"a@example.org", 550, "5.1.1", "sorry, no mailbox here (#5.1.1)"}},
		{"with a status only", "<a@example.org>:\nI have tried for too long. (#4.4.1)\n", found{"a@example.org", 0, "4.4.1", "I have tried for too long. (#4.4.1)"}},
		{"in Chinese, between full-width signs", "收件人：a@example.org，服务器返回：550 用户不存在。\n", found{"a@example.org", 550, "", "用户不存在。"}},
		{"in Chinese, by a label", "收件人：a@example.org\n退信原因：对方邮箱已满\n", found{"a@example.org", 0, "", "对方邮箱已满"}},
		{"in Chinese, in a sentence", "您发给a@example.org的邮件无法投递，收件人不存在\n", found{"a@example.org", 0, "", "您发给a@example.org的邮件无法投递，收件人不存在"}},
		{"not by the number of a host", "a@example.org\n192.0.550.1 is away, 500 others are not, at 4.2.1.7 in 550.5\n", found{"a@example.org", 0, "", "failure notice"}},
		{"not by what the original says", "a@example.org\n\n--- Below this line is a copy of the message.\n\n550 5.1.1 b@example.org\n",
			found{"a@example.org", 0, "", "failure notice"}},
		{"of the reader, not of the daemon or of us", "mailer-daemon@example.org of postmaster@example.org: " + ofDigest + " to a@example.org: 550 no such user\n",
			found{"a@example.org", 550, "", "no such user"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			raw := "From: MAILER-DAEMON@example.org\nSubject: failure notice\nContent-Type: text/plain; charset=utf-8\n\n" + tt.text
			b := bounce.Reader{Secret: secret}.Parse([]byte(raw), ofDigest)
			got := found{code: b.Code, status: b.Status, text: b.Text}
			if len(b.Recipients) == 1 {
				got.recipient = b.Recipients[0]
			}
			if got != tt.want {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}
