package provider

import (
	"regexp"
	"time"

	"zonewire"
)

// rule is one thing that is known about refusals. A field left empty is not asked for. The first rule that fits decides,
// among those whose verdict the stage and the code admit.
type rule struct {
	group   string         // the provider
	code    string         // how the reply code begins
	status  *regexp.Regexp // the code of RFC 3463
	text    *regexp.Regexp // the words, in lower case, see words
	verdict zonewire.Verdict
	sure    certainty     // of VerdictHard
	wait    time.Duration // that the provider's help page asks for
}

// certainty says what it takes to believe a hard refusal at once.
type certainty int

const (
	never  certainty = iota
	agreed           // the code must be one of an address, too
	plain            // the words are this provider's own and mean one thing
)

const (
	hard    = zonewire.VerdictHard
	mailbox = zonewire.VerdictMailbox
	policy  = zonewire.VerdictPolicy
	rate    = zonewire.VerdictRate
	network = zonewire.VerdictNetwork
)

// re compiles the pattern of a rule.
func re(pattern string) *regexp.Regexp { return regexp.MustCompile(pattern) }

// rules is all that is known, in the order of the package's policy.
var rules = [][]rule{providerRules, ourRules, mailboxRules, addressRules, statusRules}

// providerRules are the words and codes of single providers. Those that nobody else uses name no group: the providers
// host other domains, too, and a report may come from a relay between. What the general rules below get right stands
// there alone, such as QQ's "frequency limited" and "check failed", or Outlook's 5.7.515.
var providerRules = []rule{
	// QQ, "Why was my mail returned?" (service.mail.qq.com, help 20022). All of it is 550 but the syntax.
	{text: re(`mailbox unavailable or access denied`), verdict: rate}, // this reader got too much mail just now
	{text: re(`mail content denied|suspected spam|suspected bounce attack|spam is embedded|connection denied`), verdict: policy},
	{text: re(`mail is rejected by recipients`), verdict: policy}, // the reader's own filter: no reason to doubt the address
	{group: QQ, code: "5", text: re(`mailbox not found`), verdict: hard, sure: plain},

	// NetEase, "Return codes" (mail.163.com/help, help_spam_16). The letters count: the numbers vary over the years.
	{code: "4", text: re(`\bdt:spm\b`), verdict: rate, wait: 2 * time.Minute}, // "keep the queue, again in two minutes"
	{code: "5", text: re(`\bdt:spm\b`), verdict: policy},
	{text: re(`\bdt:rbl\b`), verdict: policy},
	{text: re(`\bmi:sfq\b`), verdict: rate, wait: 15 * time.Minute}, // mails of a sender in 15 minutes
	{text: re(`\bhl:(rep|icc|ifc|ifq|mep|itc)\b`), verdict: rate},
	{text: re(`\b(mi|rp):(cel|ccl|dmc|drc|stc|stq|trc|qrc|rcl|orq)\b`), verdict: rate},
	{text: re(`\b(hl:(ipb|ihu)|mi:(spf|spb|imf|nhd)|wm:bl[iu])\b`), verdict: policy},
	{group: NetEase, code: "4", text: re(`\b(hl|mi|rp|dt|wm):[a-z]{3}\b`), verdict: rate},
	{group: NetEase, code: "5", text: re(`\b(hl|mi|rp|dt|wm):[a-z]{3}\b`), verdict: policy},
	{group: NetEase, code: "5", text: re(`\buser not found`), verdict: hard, sure: plain},

	// Sohu, second-hand: it says the same of readers who were long away, and those may come back.
	{text: re(`\bip reject\b`), verdict: policy},
	{group: "sohu.com", code: "5", text: re(`\buser unknown`), verdict: hard},

	// Gmail, "Gmail SMTP errors and codes" and "Email sender guidelines".
	{group: Gmail, status: re(`^[45]\.7\.28$`), verdict: rate},
	{group: Gmail, status: re(`^4\.2\.1$`), verdict: rate}, // this reader gets mail too quickly
	{group: Gmail, status: re(`^[45]\.7\.(2[3-79]|3[0-2]|40)$`), verdict: policy},

	// Outlook, "Non-delivery report codes in Exchange Online" and the Outlook.com postmaster page.
	{text: re(`\bs31[45]0\b`), verdict: policy},
	{group: Outlook, status: re(`^4\.7\.(5|6)\d\d$`), verdict: rate},
	{status: re(`^4\.7\.65\d$`), verdict: rate},
	// Neither is always true: whether the first is ever a block in disguise is disputed.
	{code: "5", text: re(`\bs2017062302\b`), verdict: hard},
	{code: "5", status: re(`^5\.4\.1$`), text: re(`recipient address rejected: access denied`), verdict: hard},

	// Yahoo and AOL, "SMTP error codes" (postmaster.yahooinc.com).
	{code: "4", text: re(`\btss\d\d\b|\bmax(imum)? messages? per connection`), verdict: rate},
	{code: "5", text: re(`\btss\d\d\b`), verdict: policy},
	{code: "5", text: re(`\bdd this user doesn't have an? (\S+ )?account`), verdict: hard, sure: plain},
}

// ourRules find texts about the sender. They stand before all that could count against a reader.
var ourRules = []rule{
	{text: re(`gr[ae]y[- ]?list|灰名单`), verdict: network}, // must neither slow a provider down nor open its breaker
	{text: re(`\btoo many hops\b|\bhop count\b|\b(mail|routing|forwarding) loop\b|\bloops? back\b`), verdict: network},
	{text: re(`\binsufficient (system|disk|server) (storage|space|resources)\b`), verdict: network}, // of the server

	// A quota of who sends, as against one of the mailbox.
	{text: re(`\b(` + sending + `)\b[^.,;]{0,60}\b(quota|limits?|limited|exceed(s|ed|ing)?)\b`), verdict: rate},
	{text: re(`\b(quota|limits?|exceed(s|ed|ing)?|maximum)\b[^.,;]{0,60}\b(` + sending + `)\b`), verdict: rate},
	{text: full, verdict: mailbox},
	{status: re(`^[45]\.2\.2$`), text: re(`quota|exceed|limit|storage|space`), verdict: mailbox},
	{text: re(`\b(blocked|disabled|locked|closed|suspended) (due to|for|because of) inactivity\b`), verdict: mailbox},

	{text: re(`\b(message|mail|size)\b[^.;]{0,40}\b(too (large|big|long)|exceed(s|ed)?)\b[^.;]{0,40}\bsize\b|` +
		`\b(message|mail) (is |was )?too (large|big|long)\b|\bsize (limit|exceed)|过大`), verdict: policy},
	{text: re(`\b(rate|frequency|frequently|throttl(ed|ing)|rate[- ]?limit(ed|ing|s)?|` +
		`too (many|much|fast|quick|quickly|frequent|frequently|rapidly)|limit(s|ed)?|exceed(s|ed)?|quota)\b|` +
		`频率|频繁|过快|过多|超过.{0,12}(限制|上限)|并发`), verdict: rate},

	{text: re(`\b(spam|junk|unsolicited|bulk|block(s|ed|ing)?|block ?list(s|ed)?|black ?list(s|ed)?|deny ?list(s|ed)?|banned|` +
		`reputation|suspected|suspicious|complaints?|phishing|virus|malware|content|polic(y|ies)|prohibit(ed|ion)|forbidden|whitelist(ed)?|` +
		`spf|dkim|dmarc|rdns|ptr|helo|ehlo|starttls|tls required|reverse (dns|lookup|host ?name)|` +
		`authenticat(ed|ion)|unauthenticated|not authori[sz]ed|not permitted|access denied)\b|` +
		`\b(rbl|dnsbl)\b|spamhaus|spamcop|barracuda|uceprotect|cloudmark|\bsorbs\b|` +
		`\brelay(ing)?([^\w.-]|\.?$|\. )|` + // not the name of a host
		`垃圾|黑名单|屏蔽|病毒|内容|策略|认证失败|验证失败`), verdict: policy},
	{text: re(`\bsender\b[^.;]{0,30}\b(address|domain|reject(ed)?|denied|refused|unknown|not|invalid|verif(y|ied|ication)|failed)\b|` +
		`\b(unknown|invalid|bad|unverified|illegal|forged|fake)( \S+)? sender\b|` +
		`\byour (ip|domain|host|server|account|network|address|system)\b|\bip address\b|\b(return|from) address\b|` +
		`\b(accept|accepting|reject|rejecting|refuse|refusing) (any )?(e-?mail|messages?) from\b|` +
		`\b(you|host|sending|messages?|mail) (\S+ ){0,3}not (be )?allowed\b|` +
		`发[件信](人|方|域)`), verdict: policy},
}

// sending are the words that tell a sender's quota from a mailbox's.
const sending = `senders?|sender's|sending|outbound|outgoing|hourly|daily|(per|each|an?|in one) (hour|day|minute|second|connection|session)|` +
	`rate|connections?|relay`

// full finds texts that say that a mailbox takes no more.
var full = re(`\b(mail ?box|inbox|account|user|recipient|mail ?dir|mail ?folder|mail ?drop|address)(( quota)? full|( [^\s.;,]+){0,4} (is|was|has) (\w+ )?full)\b|` +
	`\bfull (mail ?box|inbox)\b|` +
	`\b(mail ?box|inbox)( [^\s.;,]+){0,4} (quota|limit|exceed(s|ed)?|too large|too many messages)\b|` +
	`\bover ?-?(its |the |their |his )?(disk |storage )?quota\b|\bquota (is |has been |was )?(exceeded|full|violation)\b|` +
	`\bexceed(s|ed|ing)? ([^\s.;,]+ ){0,5}(quota|storage)\b|\bout of storage\b|\bdisk quota\b|` +
	`已满|[邮信]箱满|空间不足|容量不足|超[出过].{0,12}(容量|配额|空间)`)

// mailboxRules find texts about a mailbox that exists.
var mailboxRules = []rule{{text: disabled, verdict: mailbox}}

var disabled = re(`\b(mail ?box|account|user|recipient|address|e-?mail)( [^\s.;,:]+){0,6} ` +
	`(disabled|suspended|deactivated|inactive|locked|frozen|terminated|closed|expired|on hold|not (active|enabled|activated)|no longer active)\b|` +
	`\b(disabled|suspended|deactivated|inactive|locked|frozen|closed|expired) (mail ?box|account|user|recipient|e-?mail|address)\b|` +
	`\b(mail ?box|account|user|recipient)( [^\s.;,:]+){0,3} not accept(ing)? (any )?(mail|messages)\b|` +
	`停用|禁用|冻结|凍結|注销|锁定|未激活|长期未(登录|使用)`)

// addressRules find texts that say that nobody lives there.
var addressRules = []rule{
	{code: "5", text: nobody, verdict: hard, sure: agreed},
	{code: "5", text: re(`\bbad (\S+ ){0,2}address syntax\b`), verdict: hard},
	{text: re(`拒绝|拒收`), verdict: policy}, // "rejected" goes with any reason: weaker than all of them
}

var nobody = re(`\b(user|mail ?box|recipient|account|address|addressee|customer|person|alias)( name)?( [^\s.;,:]+){0,6} ` +
	`(unknown|not found|(does|do|did) not exist|(doesn't|don't|didn't) exist|not exists?|not known|no longer (exists?|valid|in use|available)|is invalid)\b|` +
	`\b(user|mail ?box|recipient|account|address)[:,]? (unknown|not found|invalid)\b|` +
	`\b(unknown|no such|invalid|illegal|non-?existent|not a (known|valid)) (\S+ )?(user|mail ?box|recipient|account|address|addressee|local ?part|person|alias)\b|` +
	`\b(does not|doesn't) have an? (\S+ )?(account|mail ?box)\b|\bno mail ?box (here )?by that name\b|\bnot our customer\b|` +
	`\brecipientnotfound\b|\bunrout(e)?able (mail )?address\b|\bnot listed in (public name|domino)|` +
	`(用户|用戶|使用者|邮箱|信箱|收件[人者]|[帐账帳][号户號戶]|地址)[^。；，,;.]{0,8}不存在|` +
	`不存在(该|此|这个)?(用户|邮箱|收件人|[帐账]号)|(无|無|没有|查无)(此|该|这个)(用户|用戶|人|邮箱|[帐账]号)|未开通.{0,4}邮箱`)

// statusRules read the codes of RFC 3463 (section 3.x for x.y.*), RFC 7505 (5.1.10) and RFC 7372 (5.7.2x).
var statusRules = []rule{
	{code: "5", status: re(`^5\.1\.([1236]|10)$`), verdict: hard}, // 5.1.4, ambiguous, and 5.1.5, valid, are not among them
	{status: re(`^[45]\.1\.[78]$`), verdict: policy},              // of the sender
	{status: re(`^[45]\.2\.[12]$`), verdict: mailbox},             // disabled, full
	{status: re(`^[45]\.(2\.3|3\.4|6\.\d+)$`), verdict: policy},   // too long, too big, conversion
	{status: re(`^4\.7\.\d+$`), text: excuse, verdict: network},   // "try again later" is greylisting without the word
	{status: re(`^[45]\.7\.\d+$`), verdict: policy},
}

// excuse finds what speaks of now: it lets nothing count against an address, nor against us by code alone.
var excuse = re(`\b(temporar(y|ily)|try (\S+ ){0,3}(again|later)|later|come back|retry|busy|time(d)? ?out|` +
	`(service|server|system)( is)?( currently)? (unavailable|not available)|(system|internal|local|server|database) (\S+ )?(error|problem|failure))\b|` +
	`稍[后候後]|[暂暫][时時]|重试|再试|系统错误`)
