package provider_test

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"

	"zonewire"
	"zonewire/internal/provider"
)

// reader is who the refusals of these tests are about.
const reader = "reader@example.net"

// What a refusal can mean.
var (
	sure    = zonewire.Judgement{Verdict: zonewire.VerdictHard, Sure: true}
	hard    = zonewire.Judgement{Verdict: zonewire.VerdictHard}
	mailbox = zonewire.Judgement{Verdict: zonewire.VerdictMailbox}
	policy  = zonewire.Judgement{Verdict: zonewire.VerdictPolicy}
	rate    = zonewire.Judgement{Verdict: zonewire.VerdictRate}
	network = zonewire.Judgement{Verdict: zonewire.VerdictNetwork}
)

func after(j zonewire.Judgement, wait time.Duration) zonewire.Judgement {
	j.Wait = wait
	return j
}

type judgeTest struct {
	name  string
	stage provider.Stage
	code  int
	text  string
	want  zonewire.Judgement
}

// testJudge judges as the outbox does: the status is read from the start of the text.
func testJudge(t *testing.T, group string, tests []judgeTest) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := provider.Refusal{
				Provider: group, Stage: tt.stage, Code: tt.code, Enhanced: provider.Enhanced(tt.code, tt.text), Text: tt.text, Address: reader,
			}
			if got := provider.Judge(r); got != tt.want {
				t.Errorf("%+v is %+v, want %+v", r, got, tt.want)
			}
		})
	}
}

func TestJudgeQQ(t *testing.T) {
	testJudge(t, provider.QQ, []judgeTest{
		{"our host is too busy", provider.Rcpt, 550, "Ip frequency limited. http://service.mail.qq.com/cgi-bin/help?subtype=1&&id=20022&&no=1000725", rate},
		{"our domain is too busy", provider.Rcpt, 550, "Domain frequency limited", rate},
		{"our sender is too busy", provider.Mail, 550, "Sender frequency limited", rate},
		{"we connect too often", provider.Connect, 550, "Connection frequency limited", rate},
		{"the limit may come after the message", provider.Dot, 550, "Ip frequency limited [MP/abc= IP: 192.0.2.1]", rate},
		{"a reader who got too much mail just now", provider.Rcpt, 550, "Mailbox unavailable or access denied", rate},
		{"content", provider.Dot, 550, "Mail content denied. http://service.mail.qq.com/cgi-bin/help?subtype=1&&id=20022&&no=1000726", policy},
		{"suspected spam", provider.Dot, 550, "Suspected spam", policy},
		{"suspected address of a host", provider.Rcpt, 550, "Suspected spam ip", policy},
		{"connection denied", provider.Connect, 550, "Connection denied", policy},
		{"SPF", provider.Dot, 550, "SPF check failed", policy},
		{"DMARC", provider.Dot, 550, "DMARC check failed", policy},
		{"the reader's own filter", provider.Dot, 550, "Mail is rejected by recipients", policy},
		{"the reader's own filter at RCPT", provider.Rcpt, 550, "Mail is rejected by recipients", policy},
		{"nobody there", provider.Rcpt, 550, "Mailbox not found. http://service.mail.qq.com/cgi-bin/help?subtype=1&&id=20022&&no=1000728", sure},
		{"nobody there, said after the message", provider.Dot, 550, "Mailbox not found", hard},
		{"nobody there, in a report", provider.Report, 550, "host mx3.qq.com[203.205.160.43] said: 550 Mailbox not found (in reply to RCPT TO command)", sure},
		{"nobody there, for MAIL", provider.Mail, 550, "Mailbox not found", policy},
		{"bad syntax", provider.Rcpt, 501, "Bad address syntax", hard},
		{"a deactivated mailbox", provider.Rcpt, 550, "reader is a deactivated mailbox", mailbox},
		{"a report of the frequency limit with status 5.0.0", provider.Report, 550, "smtp; 550 Connection frequency limited", rate},
	})
}

func TestJudgeNetEase(t *testing.T) {
	testJudge(t, provider.NetEase, []judgeTest{
		{"unknown readers", provider.Connect, 421, "HL:REP 163 mx10,abc== please see http://mail.163.com/help/help_spam_16.htm", rate},
		{"too many connections", provider.Connect, 421, "HL:ICC", rate},
		{"too much mail", provider.Connect, 421, "HL:IFC", rate},
		{"forged domains", provider.Connect, 421, "HL:MEP", rate},
		{"a host in its bad books, by another number", provider.Connect, 554, "5.7.3 HL:ICC", rate},
		{"too many bad commands", provider.Rcpt, 450, "MI:CEL", rate},
		{"mails of a connection", provider.Mail, 450, "MI:DMC", rate},
		{"mails of a connection, by another number", provider.Mail, 451, "MI:DMC", rate},
		{"recipients of a connection", provider.Rcpt, 450, "4.5.3 RP:DRC", rate},
		{"a block list", provider.Rcpt, 450, "DT:RBL 163 mx", policy},
		{"spam, come again", provider.Dot, 451, "DT:SPM ,please try again", after(rate, 2*time.Minute)},
		{"spam, come again when it says", provider.Dot, 451, "DT:SPM, please try again in 10 minutes", after(rate, 10*time.Minute)},
		{"sender's quota", provider.Mail, 451, "MI:SFQ 163 smtp1", after(rate, 15*time.Minute)},
		{"a day's recipients", provider.Rcpt, 550, "RP:ORQ", rate},
		{"a day's connections", provider.Connect, 554, "HL:ITC", rate},
		{"spam", provider.Dot, 554, "DT:SPM 163 smtp10,D8CowAB,please see http://mail.163.com/help/help_spam_16.htm?ip=192.0.2.1", policy},
		{"not on its list", provider.Connect, 554, "HL:IPB", policy},
		{"SPF", provider.Mail, 550, "MI:SPF", policy},
		{"a code of tomorrow, temporary", provider.Rcpt, 450, "MI:XYZ", rate},
		{"a code of tomorrow, permanent", provider.Rcpt, 550, "MI:XYZ", policy},
		{"nobody there", provider.Rcpt, 550, "User not found: reader@example.net", sure},
		{"nobody there, with a link to its page about spam", provider.Rcpt, 550, "User not found, please see http://mail.163.com/help/help_spam_16.htm", sure},
		{"nobody there, said after the message", provider.Dot, 550, "User not found", hard},
		{"a suspended user", provider.Rcpt, 550, "User suspended", mailbox},
		{"a locked user", provider.Rcpt, 550, "user is locked", mailbox},
	})
}

func TestJudgeGmail(t *testing.T) {
	testJudge(t, provider.Gmail, []judgeTest{
		{"nobody there", provider.Rcpt, 550, "5.1.1 The email account that you tried to reach does not exist. Please try\n" +
			"5.1.1 double-checking the recipient's email address for typos or\n5.1.1 unnecessary spaces. For more information, go to\n" +
			"5.1.1  https://support.google.com/mail/?p=NoSuchUser d2e1a72-20020a62 - gsmtp", sure},
		{"nobody there, broken within the words, in a report", provider.Report, 550,
			"smtp; 550-5.1.1 The email account that you tried to reach does 550-5.1.1 not exist. Please try 550 5.1.1 double-checking the recipient's email address - gsmtp", sure},
		{"full by code and a word that could be about us", provider.Rcpt, 552, "5.2.2 quota", mailbox},
		{"disabled", provider.Rcpt, 550, "5.2.1 The email account that you tried to reach is disabled. For more information, go to\n" +
			"5.2.1 https://support.google.com/mail/?p=DisabledUser x - gsmtp", mailbox},
		{"inactive", provider.Rcpt, 550, "5.2.1 The email account that you tried to reach is inactive. - gsmtp", mailbox},
		{"full", provider.Rcpt, 452, "4.2.2 The email account that you tried to reach is over quota. - gsmtp", mailbox},
		{"full for long", provider.Rcpt, 552, "5.2.2 The email account that you tried to reach is over quota. Please direct the recipient to\n" +
			"5.2.2  https://support.google.com/mail/?p=OverQuotaPerm - gsmtp", mailbox},
		{"full, in newer words", provider.Rcpt, 452, "4.2.2 The recipient's inbox is out of storage space. - gsmtp", mailbox},
		{"a reader who gets mail too quickly", provider.Rcpt, 450, "4.2.1 The user you are trying to contact is receiving mail too quickly. Please resend your message at a later time.", rate},
		{"a reader who gets too much", provider.Rcpt, 450, "4.2.1 no", rate},
		{"a reader who gets mail at a rate", provider.Rcpt, 450, "4.2.1 The user you are trying to contact is receiving mail at a rate that prevents additional messages from being delivered.", rate},
		{"unusual rate", provider.Connect, 421, "4.7.0 Our system has detected an unusual rate of unsolicited mail originating from your IP address.", rate},
		{"volume", provider.Dot, 421, "4.7.28 Gmail has detected this message is suspicious due to the volume", rate},
		{"volume, permanently", provider.Dot, 550, "5.7.28 Gmail has detected an unusual volume", rate},
		{"no SPF", provider.Dot, 421, "4.7.27 Your email has been rate limited because SPF authentication didn't pass", policy},
		{"no SPF, permanently", provider.Dot, 550, "5.7.27 Your email has been blocked because SPF authentication did not pass", policy},
		{"no DKIM", provider.Dot, 421, "4.7.30 Your email has been rate limited because DKIM authentication didn't pass", policy},
		{"no DMARC", provider.Dot, 421, "4.7.40 rate limited because of DMARC", policy},
		{"no DMARC, permanently", provider.Dot, 550, "5.7.40 no DMARC policy", policy},
		{"no DMARC, by an older number", provider.Dot, 421, "4.7.31 rate limited", policy},
		{"not aligned", provider.Dot, 421, "4.7.32 rate limited: From is not aligned", policy},
		{"no PTR", provider.Connect, 421, "4.7.23 rate limited: no PTR", policy},
		{"no PTR, permanently", provider.Connect, 550, "5.7.25 The IP address sending this message does not have a PTR record setup", policy},
		{"no TLS", provider.Mail, 421, "4.7.29 rate limited: not sent over TLS", policy},
		{"unauthenticated", provider.Dot, 550, "5.7.26 This mail has been blocked because the sender is unauthenticated. - gsmtp", policy},
		{"unsolicited", provider.Dot, 550, "5.7.1 Our system has detected that this message is likely unsolicited mail.", policy},
		{"a day's mails of a user", provider.Mail, 550, "5.4.5 Daily user sending limit exceeded.", rate},
		{"later", provider.Connect, 421, "4.7.0 Try again later, closing connection.", network},
		{"a problem of its own", provider.Rcpt, 451, "4.3.0 Mail server temporarily rejected message. - gsmtp", network},
	})
}

func TestJudgeYahoo(t *testing.T) {
	testJudge(t, provider.Yahoo, []judgeTest{
		{"mails of a connection", provider.Mail, 421, "Max message per connection reached, closing transmission channel", rate},
		{"deferred for volume or complaints", provider.Connect, 421, "4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or user complaints - 4.16.55.1; see https://postmaster.yahooinc.com/error-codes", rate},
		{"deferred for ever", provider.Connect, 553, "5.7.2 [TSS09] All messages from 192.0.2.1 will be permanently deferred; Retrying will NOT succeed.", policy},
		{"deferred for ever, without a code", provider.Rcpt, 553, "[TSS11] All messages will be permanently deferred", policy},
		{"a reader who gets mail too quickly", provider.Rcpt, 450, "User is receiving mail too quickly", rate},
		{"busy", provider.Rcpt, 451, "Resources temporarily not available - Please try again later [#4.16.5].", network},
		{"nobody there, said after the message", provider.Dot, 554, "delivery error: dd This user doesn't have a yahoo.com account (reader@example.net) [0] - mta4.yahoo.com", hard},
		{"nobody there", provider.Rcpt, 554, "delivery error: dd This user doesn't have a yahoo.com account (reader@example.net) [-5]", sure},
		{"nobody there, in a report with a curly apostrophe", provider.Report, 554, "delivery error: dd This user doesn’t have a yahoo.com account (reader@example.net)", sure},
		{"nobody there, in a report that tells of the dot", provider.Report, 554, "host mta5.am0.yahoodns.net said: 554 delivery error: dd This user doesn't have a yahoo.com account (in reply to end of DATA command)", hard},
		{"disabled", provider.Dot, 554, "30 Sorry, your message to reader@example.net cannot be delivered. This mailbox is disabled (554.30).", mailbox},
		{"policy", provider.Dot, 554, "5.7.9 Message not accepted for policy reasons. See https://postmaster.yahooinc.com/error-codes", policy},
		{"nothing but the code of policy", provider.Dot, 554, "5.7.9 no", policy},
		{"not allowed", provider.Dot, 554, "Message not allowed - [PH01] Email not accepted for policy reasons.", policy},
	})
}

func TestJudgeOutlook(t *testing.T) {
	testJudge(t, provider.Outlook, []judgeTest{
		{"not authenticated", provider.Dot, 550, "5.7.515 Access denied, sending domain example.com does not meet the required authentication level.", policy},
		{"rate of our host", provider.Connect, 451, "4.7.650 The mail server [192.0.2.1] has been temporarily rate limited due to IP reputation.", rate},
		{"rate of our host, later numbers", provider.Rcpt, 451, "4.7.652 The mail server [192.0.2.1] has exceeded the maximum number of connections. (S3115)", rate},
		{"busy with us", provider.Rcpt, 451, "4.7.500 Server busy. Please try again later from [192.0.2.1]. (S77719)", rate},
		{"block list", provider.Mail, 550, "5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Please contact your Internet service provider since part of their network is on our block list (S3150).", policy},
		{"block list, by the other number", provider.Rcpt, 550, "5.7.1 Unfortunately, messages weren't sent (S3140)", policy},
		{"nobody there, perhaps", provider.Rcpt, 550, "5.5.0 Requested action not taken: mailbox unavailable (S2017062302). [BN3PEPF0000B36D.namprd21.prod.outlook.com 2026-02-12T17:42:55.527Z 08DE657A58651558]", hard},
		{"nobody there, perhaps, said after the message", provider.Dot, 550, "5.5.0 Requested action not taken: mailbox unavailable (S2017062302).", hard},
		{"nobody there", provider.Rcpt, 550, "5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient reader@example.net not found by SMTP address lookup", sure},
		{"nobody there, in a report", provider.Report, 550, "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup", sure},
		{"nobody there, rarely false", provider.Rcpt, 550, "5.4.1 Recipient address rejected: Access denied. AS(201806281) [DM6NAM12FT003.eop-nam12.prod.protection.outlook.com]", hard},
		{"access denied without the recipient", provider.Rcpt, 550, "5.7.1 Access denied", policy},
		{"full", provider.Report, 554, "5.2.2 mailbox full; STOREDRV.Deliver.Exception:QuotaExceededException", mailbox},
		{"bad sender", provider.Dot, 550, "5.1.8 Access denied, bad outbound sender", policy},
		{"too many recipients", provider.Rcpt, 452, "4.5.3 Too many recipients (AS780090)", rate},
		{"a hop too many", provider.Report, 554, "5.4.14 Hop count exceeded - possible mail loop ATTR34", network},
	})
}

func TestJudgeSohu(t *testing.T) {
	testJudge(t, "sohu.com", []judgeTest{
		{"nobody there, or long away", provider.Rcpt, 550, "5.1.1 <reader@example.net>: Recipient address rejected: User unknown in local recipient table", hard},
		{"our host", provider.Mail, 553, "5.7.0 IP REJECT", policy},
		{"our host, in a report", provider.Report, 553, "553 5.7.0 IP REJECT", policy},
		{"our host, without a code", provider.Rcpt, 553, "IP REJECT", policy},
	})
}

// What a provider says for a domain that it hosts, or through a relay that does not name it.
func TestJudgeKnowsProvidersByTheirWords(t *testing.T) {
	testJudge(t, "example.net", []judgeTest{
		{"QQ's frequency limit", provider.Rcpt, 550, "Ip frequency limited", rate},
		{"QQ's reader who got too much", provider.Rcpt, 550, "Mailbox unavailable or access denied", rate},
		{"QQ, by its link", provider.Rcpt, 550, "Mailbox not found. http://service.exmail.qq.com/cgi-bin/help?subtype=1&&id=20022&&no=1000728", sure},
		{"QQ, by the name of its host", provider.Report, 550, "host mx1.qq.com said: 550 Mailbox not found", sure},
		{"mailbox not found, by whom?", provider.Rcpt, 550, "Mailbox not found", hard},
		{"NetEase's spam", provider.Dot, 554, "DT:SPM", policy},
		{"NetEase's spam in a report", provider.Report, 554, "host mx said: 554 DT:SPM", policy},
		{"NetEase does not take us", provider.Rcpt, 550, "WM:BLI", policy},
		{"NetEase's spam, come again", provider.Dot, 451, "DT:SPM", after(rate, 2*time.Minute)},
		{"NetEase's quota in a report", provider.Report, 451, "host mx said: 451 MI:SFQ", after(rate, 15*time.Minute)},
		{"Gmail's volume, by its last word", provider.Dot, 550, "5.7.28 this message d9443c01 - gsmtp", rate},
		{"Outlook's block list", provider.Rcpt, 550, "not delivered (S3150)", policy},
		{"Outlook's rate", provider.Rcpt, 451, "4.7.651 no", rate},
		{"Yahoo's account of another domain", provider.Rcpt, 554, "delivery error: dd This user doesn't have a att.net account (reader@example.net)", sure},
		{"letters that only look like NetEase's", provider.Rcpt, 550, "5.1.1 user unknown rp:abc", sure},
	})
}

func TestJudgeAnyServer(t *testing.T) {
	testJudge(t, "example.net", []judgeTest{
		// No reply, no stage, no reader.
		{"connection lost at RCPT", provider.Rcpt, 0, "read: connection reset by peer", network},
		{"connection lost in the message", provider.Data, 0, "broken pipe", network},
		{"no reply to the dot", provider.Dot, 0, "EOF", network},
		{"no reply, whatever the error says", provider.Rcpt, 0, "user unknown, mailbox full, blocked, try again in 5 minutes", network},
		{"the login is the relay's affair", provider.Connect, 535, "5.7.8 Error: authentication failed", network},
		{"the greeting names a block list", provider.Connect, 554, "blocked by zen.spamhaus.org", policy},
		{"the greeting says nothing", provider.Connect, 554, "no", network},
		{"hanging up for too many connections", provider.Mail, 421, "4.7.0 too many connections", rate},
		{"hanging up for policy", provider.Rcpt, 421, "4.7.1 Client host blocked", policy},
		{"hanging up", provider.Rcpt, 421, "4.3.2 Service shutting down", network},
		{"hanging up over a full mailbox is no word about it", provider.Rcpt, 421, "4.2.2 mailbox full", network},
		{"250 before the dot is no refusal", provider.Data, 250, "ok", network},
		{"the sender is refused", provider.Mail, 550, "5.1.8 no such sender", policy},
		{"an address code at MAIL is about us", provider.Mail, 550, "5.1.1 user unknown", policy},
		{"a full mailbox at MAIL is not the reader's", provider.Mail, 552, "5.2.2 mailbox full", policy},
		{"550 at MAIL that says nothing", provider.Mail, 550, "no", policy},
		{"450 at MAIL that says nothing", provider.Mail, 450, "no", network},
		{"a full disk at MAIL", provider.Mail, 452, "4.3.1 Insufficient system storage", network},
		{"the sender's domain does not exist", provider.Rcpt, 450, "4.1.8 <b-1@bounce.example.com>: Sender address rejected: Domain not found", policy},
		{"the sender's address at RCPT", provider.Rcpt, 550, "5.1.8 bad sender address", policy},
		{"the sender is unknown", provider.Rcpt, 550, "unknown sender", policy},
		{"the sender by code", provider.Rcpt, 550, "5.1.8 no", policy},
		{"out of step", provider.Rcpt, 503, "5.5.1 MAIL first", network},
		{"out of step in the message", provider.Data, 503, "no valid recipients", network},

		// Nobody lives there.
		{"unknown user", provider.Rcpt, 550, "5.1.1 <reader@example.net>: Recipient address rejected: User unknown", sure},
		{"unknown user, upper case", provider.Rcpt, 550, "5.1.1 <READER@EXAMPLE.NET> USER UNKNOWN", sure},
		{"unknown user of a relay's table", provider.Rcpt, 550, "5.1.1 <reader@example.net>: Recipient address rejected: User unknown in relay recipient table", sure},
		{"unknown user of a virtual table", provider.Rcpt, 550, "5.1.1 <reader@example.net>: Recipient address rejected: User unknown in virtual mailbox table", sure},
		{"unknown user after a relay's name", provider.Report, 550, "host relay.example.net said: 550 5.1.1 <reader@example.net> user unknown", sure},
		{"unknown user without a code", provider.Rcpt, 550, "User not found: reader@example.net", hard},
		{"no such user here, as qmail says it", provider.Rcpt, 550, "sorry, no mailbox here by that name. (#5.1.1)", sure},
		{"an account that does not exist", provider.Rcpt, 550, "5.1.1 The account reader@example.net does not exist", sure},
		{"an invalid recipient", provider.Rcpt, 550, "5.1.1 Invalid recipient: <reader@example.net>", sure},
		{"no such user", provider.Rcpt, 553, "5.1.3 no such user", sure},
		{"moved", provider.Rcpt, 551, "5.1.6 recipient no longer exists", sure},
		{"code and words agree after the dot", provider.Dot, 550, "5.1.1 user unknown", hard},
		{"words of an address, code of policy", provider.Rcpt, 550, "5.7.1 unknown or illegal user", hard},
		{"words of an address, code of a mailbox", provider.Rcpt, 550, "5.2.1 no such user", hard},
		{"an address code alone", provider.Rcpt, 550, "5.1.1 no", hard},
		{"an address code alone after the dot", provider.Dot, 550, "5.1.1 no", hard},
		{"a report whose status was lost behind a relay", provider.Report, 550, "smtp; 550 5.1.1 <reader@example.net>: user unknown", sure},
		{"a report of MAIL is about us", provider.Report, 550, "host mx said: 550 5.1.1 user unknown (in reply to MAIL FROM command)", policy},
		{"a report of the dot that says nothing", provider.Report, 550, "host mx said: 550 no (in reply to end of DATA command)", policy},
		{"Exim's report of RCPT", provider.Report, 550, "SMTP error from remote mail server after RCPT TO:<reader@example.net>: 550 5.1.1 user unknown", sure},
		{"550 that says nothing", provider.Rcpt, 550, "no", hard},
		{"550 that says nothing, in a report", provider.Report, 550, "no", hard},
		{"550 in the words of RFC 5321", provider.Rcpt, 550, "Requested action not taken: mailbox unavailable", hard},
		{"553 in the words of RFC 5321", provider.Rcpt, 553, "Requested action not taken: mailbox name not allowed", hard},
		{"551 that says nothing", provider.Rcpt, 551, "5.5.0 no", hard},
		{"554 that says nothing", provider.Rcpt, 554, "Transaction failed", network},
		{"554 that says nothing, in a report", provider.Report, 554, "Transaction failed", network},
		{"bad syntax", provider.Rcpt, 501, "Bad address syntax", hard},
		{"bad syntax by code", provider.Rcpt, 501, "5.1.3 no", hard},
		{"bad syntax, in a report", provider.Report, 501, "501 Bad recipient address syntax", hard},
		{"bad syntax of a command", provider.Rcpt, 501, "5.5.4 Invalid arguments", network},
		{"no such host", provider.Rcpt, 550, "5.1.2 no such domain", hard},
		{"a domain that is not found is never sure", provider.Rcpt, 550, "5.1.2 <reader@example.net>: Recipient address rejected: Domain not found", hard},
		{"no route", provider.Report, 550, "5.4.4 Host or domain name not found. Name service error", network},
		{"null MX", provider.Rcpt, 556, "5.1.10 domain takes no mail", hard},
		{"unknown mailbox, but for now", provider.Rcpt, 450, "4.1.1 <reader@example.net>: Recipient address rejected: unverified address: user unknown", network},
		{"unknown user, but later", provider.Rcpt, 550, "5.1.1 user unknown, please try again later", network},
		{"a service that is out of order", provider.Rcpt, 550, "Service unavailable", network},
		{"a verification that failed", provider.Rcpt, 550, "5.1.1 temporary lookup failure", network},

		// The mailbox.
		{"full mailbox", provider.Rcpt, 552, "5.2.2 mailbox full", mailbox},
		{"full mailbox for now", provider.Rcpt, 452, "4.2.2 <reader@example.net> mailbox is full, try again later", mailbox},
		{"full mailbox without a code", provider.Rcpt, 550, "Mailbox is full / Blocks limit exceeded / Inode limit exceeded", mailbox},
		{"mailbox of a user is full", provider.Dot, 550, "mailbox for user is full", mailbox},
		{"over quota", provider.Dot, 552, "user is over quota", mailbox},
		{"mailbox quota exceeded", provider.Rcpt, 550, "recipient's mailbox has exceeded its quota limit", mailbox},
		{"quota exceeded", provider.Rcpt, 552, "Quota exceeded (mailbox for user is full)", mailbox},
		{"552 in the words of RFC 5321", provider.Rcpt, 552, "Requested mail action aborted: exceeded storage allocation", mailbox},
		{"552 that says nothing", provider.Rcpt, 552, "no", mailbox},
		{"552 after the message that says nothing", provider.Dot, 552, "no", policy},
		{"full by code", provider.Rcpt, 452, "4.2.2 no", mailbox},
		{"full by code and a word that could be about us", provider.Rcpt, 552, "5.2.2 quota", mailbox},
		{"disabled", provider.Rcpt, 550, "5.2.1 The email account that you tried to reach is disabled", mailbox},
		{"disabled by code", provider.Rcpt, 550, "5.2.1 no", mailbox},
		{"suspended for a time", provider.Rcpt, 550, "This account has been temporarily suspended", mailbox},
		{"blocked, but for inactivity", provider.Rcpt, 550, "5.2.1 This mailbox has been blocked due to inactivity (UserSearch)", mailbox},
		{"inactive with an address code", provider.Rcpt, 550, "5.1.1 inactive user", mailbox},
		{"unknown or disabled: the milder", provider.Rcpt, 550, "5.1.1 user unknown or mailbox disabled", mailbox},
		{"a full disk of the server", provider.Rcpt, 452, "4.3.1 Insufficient system storage", network},
		{"a full disk without a code", provider.Rcpt, 452, "Requested action not taken: insufficient system storage", network},
		{"a full disk that calls itself permanent", provider.Rcpt, 552, "insufficient system storage", network},

		// Us: too much, too fast.
		{"the sender's quota", provider.Rcpt, 550, "sending quota exceeded", rate},
		{"mails an hour", provider.Rcpt, 550, "quota exceeded: 100 messages per hour", rate},
		{"messages a day of a user", provider.Rcpt, 550, "5.2.2 user has exceeded the daily sending quota", rate},
		{"an address code with a rate", provider.Rcpt, 550, "5.1.1 rate limit reached, user unknown", rate},
		{"throttled", provider.Rcpt, 450, "4.7.1 throttled", rate},
		{"too frequent connects", provider.Rcpt, 450, "too frequent connects from 192.0.2.1, please try again later. (throttled)", rate},
		{"a number that is no wait", provider.Rcpt, 450, "too many mails in 10 minutes", rate},

		{"connections", provider.Rcpt, 550, "connection quota exceeded", rate},
		{"a full mailbox that tells the sender", provider.Rcpt, 550, "mailbox quota exceeded, sender notified", mailbox},

		// Us: what it is, who we are.
		{"the return address", provider.Rcpt, 550, "return address does not exist", policy},
		{"the address of our host is none of the reader's", provider.Rcpt, 550, "IP address not found", policy},
		{"an address code with a policy text", provider.Rcpt, 550, "5.1.1 rejected due to poor reputation", policy},
		{"relaying denied", provider.Rcpt, 550, "5.7.1 Relaying denied", policy},
		{"relay access denied", provider.Rcpt, 554, "5.7.1 <reader@example.net>: Relay access denied", policy},
		{"blocked", provider.Rcpt, 550, "5.7.1 Service unavailable, client host blocked", policy},
		{"blocked, with the user in doubt", provider.Rcpt, 550, "5.7.1 user unknown? blocked", policy},
		{"a block list's name", provider.Rcpt, 550, "rejected, see https://www.spamhaus.org/query/ip/192.0.2.1", policy},
		{"content after the dot", provider.Dot, 550, "Mail content denied", policy},
		{"550 after the dot that says nothing", provider.Dot, 550, "no", policy},
		{"554 after DATA that says nothing", provider.Data, 554, "no", policy},
		{"DMARC", provider.Dot, 550, "5.7.1 rejected by DMARC policy", policy},
		{"no reverse name", provider.Rcpt, 450, "4.7.1 Client host rejected: cannot find your reverse hostname", policy},
		{"too big", provider.Mail, 552, "5.3.4 message too big", policy},
		{"too big by code", provider.Rcpt, 552, "5.3.4 no", policy},
		{"too big for a limit is no quota", provider.Dot, 552, "message size exceeds fixed maximum message size limit", policy},
		{"our account is suspended", provider.Rcpt, 550, "your account has been suspended", policy},
		{"the reader wants none from us", provider.Rcpt, 550, "5.7.1 recipient refuses mail from you", policy},
		{"a policy code that says nothing", provider.Rcpt, 550, "5.7.1 no", policy},

		// Waits.
		{"greylisted", provider.Rcpt, 450, "4.2.0 Greylisted, try again in 300 seconds", after(network, 5*time.Minute)},
		{"greylisted with a policy code", provider.Rcpt, 451, "4.7.1 Greylisting in action, please come back in 00:04:59", after(network, 4*time.Minute+59*time.Second)},
		{"greylisted for minutes", provider.Rcpt, 450, "4.7.1 Greylisted for 5 minutes", after(network, 5*time.Minute)},
		{"greylisting that calls itself a policy", provider.Rcpt, 450, "blocked by greylist policy", network},
		{"later with a policy code", provider.Rcpt, 451, "4.7.1 please try again later", network},
		{"minutes asked for", provider.Rcpt, 450, "please retry after 15 minutes", after(network, 15*time.Minute)},
		{"an hour asked for", provider.Rcpt, 450, "Try again in 1 hour", after(network, time.Hour)},
		{"short form", provider.Rcpt, 450, "greylisted 90s", after(network, 90*time.Second)},
		{"seconds without the word", provider.Rcpt, 450, "retry after 300", after(network, 5*time.Minute)},
		{"a date is no wait", provider.Rcpt, 450, "retry after 2026-03-02", network},
		{"nothing asked for is not now", provider.Rcpt, 450, "try again in 0 seconds", after(network, 10*time.Second)},
		{"a week asked for is too long", provider.Rcpt, 450, "try again in 99999 minutes", after(network, 12*time.Hour)},
		{"a wait of a rate limit", provider.Rcpt, 450, "4.7.1 rate limited, try again in 10 minutes", after(rate, 10*time.Minute)},
		{"a wait that a refused address does not get", provider.Rcpt, 550, "5.1.1 user unknown (waited 5 s)", sure},
	})
}

func TestJudgeReadsChinese(t *testing.T) {
	tests := []judgeTest{
		{"nobody there", provider.Rcpt, 550, "5.1.1 用户不存在", sure},
		{"nobody there, with the address in between", provider.Rcpt, 550, "5.1.1 收件人reader@example.net不存在", sure},
		{"no such mailbox, without a code", provider.Rcpt, 550, "邮箱不存在", hard},
		{"rejected, for nobody is there", provider.Rcpt, 550, "邮件被拒绝：用户不存在", hard},
		{"rejected", provider.Rcpt, 550, "对方拒绝接收", policy},
		{"full", provider.Rcpt, 552, "收件人邮箱已满", mailbox},
		{"closed down", provider.Rcpt, 550, "该帐号被停用", mailbox},
		{"too often", provider.Rcpt, 550, "发信频率超过限制", rate},
		{"too often, come again", provider.Rcpt, 450, "发送频率过快，请5分钟后重试", after(rate, 5*time.Minute)},
		{"spam", provider.Dot, 550, "疑似垃圾邮件", policy},
		{"black list", provider.Rcpt, 550, "发信IP在黑名单中", policy},
		{"the sender does not exist", provider.Rcpt, 550, "发件人地址不存在", policy},
		{"for now", provider.Rcpt, 550, "系统暂时繁忙", network},
	}
	testJudge(t, "example.net", tests)
	for i, tt := range tests {
		gbk, err := simplifiedchinese.GBK.NewEncoder().String(tt.text)
		if err != nil {
			t.Fatal(err)
		}
		tests[i].name, tests[i].text = tt.name+", in GBK", gbk
	}
	testJudge(t, "example.net", append(tests,
		judgeTest{"GBK that says nothing", provider.Rcpt, 550, "\xc4\xfa\xb5\xc4\xd3\xca\xbc\xfe", hard}))
}

func TestJudgeIgnoresAddresses(t *testing.T) {
	tests := []struct {
		name    string
		address string
		text    string
		want    zonewire.Judgement
	}{
		{"tricky words in the reader's own", "Block.Rate@spam-limit.example", "5.1.1 <block.rate@spam-limit.example>: user unknown", sure},
		{"the reader is called spam-quota", "spam-quota@example.net", "5.1.1 spam-quota@example.net: user unknown", sure},
		{"the reader is called full", "full@example.net", "5.1.1 <full@example.net> user unknown", sure},
		{"the reader is called unknown", "user.unknown@example.net", "5.7.1 <user.unknown@example.net> blocked", policy},
		{"the reader is called unknown, and nothing else is said", "user.unknown@example.net", "<user.unknown@example.net>", hard},
		{"quoted with a space", `"mailbox full"@example.net`, `5.1.1 <"mailbox full"@example.net> user unknown`, sure},
		{"another address proves less", reader, "5.1.1 <full@example.com> user unknown", hard},
		{"tricky words in another address", reader, "5.1.1 no such user spam-limit@example.net", hard},
		{"another beside the reader's", reader, "5.1.1 <reader@example.net> to <old@example.org>: user unknown", sure},
		{"an address in a link", reader, "5.1.1 user unknown, see https://mx.example.net/spam?to=reader@example.net", sure},
		{"no address is known", "", "5.1.1 user unknown", sure},
		{"an address that is none", "e", "5.1.1 user unknown", sure},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := provider.Refusal{Stage: provider.Rcpt, Code: 550, Enhanced: provider.Enhanced(550, tt.text), Text: tt.text, Address: tt.address}
			if got := provider.Judge(r); got != tt.want {
				t.Errorf("%+v is %+v, want %+v", r, got, tt.want)
			}
		})
	}
}

func TestJudgeReports(t *testing.T) {
	tests := []struct {
		name string
		r    provider.Refusal
		want zonewire.Judgement
	}{
		{"the words beat the status of the relay", provider.Refusal{Provider: provider.QQ, Code: 550, Enhanced: "5.0.0", Text: "550 Mail content denied"}, policy},
		{"the status of the text beats a vague one", provider.Refusal{Code: 550, Enhanced: "5.0.0", Text: "smtp; 550 5.2.2 no"}, mailbox},
		{"the status alone", provider.Refusal{Code: 550, Enhanced: "5.1.1"}, hard},
		{"the queue gave up", provider.Refusal{Code: 450, Enhanced: "4.4.7", Text: "delivery time expired"}, network},
		{"the queue gave up, with the class of failure", provider.Refusal{Code: 550, Enhanced: "5.4.7", Text: "delivery time expired"}, network},
		{"without a code nobody is dead", provider.Refusal{Enhanced: "5.1.1", Text: "user unknown"}, network},
		{"without a code a mailbox can be full", provider.Refusal{Enhanced: "5.2.2", Text: "mailbox full"}, mailbox},
		{"without a code spam is spam", provider.Refusal{Text: "rejected as spam"}, policy},
		{"nothing at all", provider.Refusal{}, network},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.r.Stage, tt.r.Address = provider.Report, reader
			if got := provider.Judge(tt.r); got != tt.want {
				t.Errorf("%+v is %+v, want %+v", tt.r, got, tt.want)
			}
		})
	}
}

func TestJudgeReadsTheBeginningOfALongText(t *testing.T) {
	long := "5.1.1 user unknown " + strings.Repeat("界", 1<<16) + " blocked"
	r := provider.Refusal{Stage: provider.Rcpt, Code: 550, Enhanced: "5.1.1", Text: long}
	if got := provider.Judge(r); got != sure {
		t.Errorf("got %+v, want %+v", got, sure)
	}
}

func TestEnhanced(t *testing.T) {
	tests := []struct {
		code int
		text string
		want string
	}{
		{550, "5.1.1 user unknown", "5.1.1"},
		{550, "5.7.515\nsecond line", "5.7.515"},
		{450, "4.7.0", "4.7.0"},
		{550, "4.7.0 of another class", ""},
		{550, "5.1 too short", ""},
		{550, "5.1.1.1 an address", ""},
		{550, "5.x.1 letters", ""},
		{550, "5.1.1234 too long", ""},
		{550, "", ""},
		{0, "EOF", ""},
	}
	for _, tt := range tests {
		if got := provider.Enhanced(tt.code, tt.text); got != tt.want {
			t.Errorf("%d %q: %q, want %q", tt.code, tt.text, got, tt.want)
		}
	}
}

func TestRedact(t *testing.T) {
	tests := []struct {
		name    string
		text    string
		address string
		want    string
	}{
		{"the address in any case", "550 <Reader@Example.NET>: unknown", reader, "550 <(address)>: unknown"},
		{"another address", "550 old@example.org unknown.", reader, "550 (address) unknown."},
		{"the end of a sentence stays", "write to a@example.org.", reader, "write to (address)."},
		{"within Chinese", "收件人reader@example.net不存在", reader, "收件人(address)不存在"},
		{"of Chinese", "不存在 用户@例子.公司 的", "", "不存在 (address) 的"},
		{"with a domain in Chinese", "to reader@例子.公司", "", "to (address)"},
		{"quoted", `to "a b"@example.net!`, "", "to (address)!"},
		{"quoted oddly", `to a\ b@example.net`, `a\ b@example.net`, `to a\ (address)`},
		{"a name that no pattern sees", "to (x) y@@z end", "(x) y@@z", "to (address) end"},
		{"of a host by number", "to root@[192.0.2.1]", "", "to (address)"},
		{"a VERP sender names the reader too", "b-reader=example.net@lists.example", "", "(address)"},
		{"in a link", "see https://example.com/?q=reader%40example.net now", "", "see https:(address) now"},
		{"none", "421 4.7.0 busy @ noon", reader, "421 4.7.0 busy @ noon"},
		{"empty", "", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := provider.Redact(tt.text, tt.address); got != tt.want {
				t.Errorf("%q without %q: %q, want %q", tt.text, tt.address, got, tt.want)
			}
		})
	}
}

// FuzzJudge holds what must be true of any refusal.
func FuzzJudge(f *testing.F) {
	f.Add(int(provider.Rcpt), 550, "5.1.1", "<a@b> user unknown; try again in 5 minutes", "a@b", provider.QQ)
	f.Add(int(provider.Mail), 552, "", "mailbox full", "", "")
	f.Add(int(provider.Report), 0, "5.1.1", "550 5.1.1 no such user (in reply to MAIL FROM command)", reader, provider.Gmail)
	f.Add(int(provider.Dot), 450, "4.2.2", "\xc4\xfa\xb5\xc4\xd3\xca\xbc\xfe 频率 \x00", "@", provider.NetEase)
	f.Fuzz(func(t *testing.T, stage, code int, enhanced, text, address, group string) {
		r := provider.Refusal{
			Provider: group, Stage: provider.Stage(uint(stage) % 6), Code: code, Enhanced: enhanced, Text: text, Address: address,
		}
		got := provider.Judge(r)
		switch got.Verdict {
		case zonewire.VerdictHard:
			if code/100 != 5 || r.Stage == provider.Mail || r.Stage == provider.Connect {
				t.Errorf("%+v is hard", r)
			}
			if got.Sure && r.Stage != provider.Rcpt && r.Stage != provider.Report {
				t.Errorf("%+v is sure", r)
			}
		case zonewire.VerdictMailbox:
			if r.Stage == provider.Mail || r.Stage == provider.Connect || code == 421 {
				t.Errorf("%+v is a mailbox's", r)
			}
		case zonewire.VerdictPolicy, zonewire.VerdictRate, zonewire.VerdictNetwork:
		default:
			t.Errorf("%+v is %q", r, got.Verdict)
		}
		if got.Sure && got.Verdict != zonewire.VerdictHard {
			t.Errorf("%+v is sure of %q", r, got.Verdict)
		}
		if got.Wait != 0 && (got.Wait < 10*time.Second || got.Wait > 12*time.Hour) {
			t.Errorf("%+v waits %v", r, got.Wait)
		}
		if shown := provider.Redact(text, address); len(address) > 2 && strings.Contains(address, "@") && !strings.ContainsAny(address, "()") && strings.Contains(shown, address) {
			t.Errorf("%q without %q: %q", text, address, shown)
		}
	})
}
