package zonewire

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// Secret is the key under all tokens and hashes of one installation, 32 bytes from a random source.
type Secret []byte

// Purpose is the one thing that a token allows.
type Purpose string

// The purposes.
const (
	PurposeUnsubscribe Purpose = "unsubscribe" // id = subscription
	PurposeConfirm     Purpose = "confirm"     // id = ticket: take the place that was asked for
	PurposeUndo        Purpose = "undo"        // id = ticket: take back having left
	PurposePreferences Purpose = "preferences" // id = ticket: power over the account
	PurposeAddress     Purpose = "address"     // id = ticket: agree to a change of address
	PurposePrivate     Purpose = "private"     // id = list: read its page, digests and archive
	PurposeWebSub      Purpose = "websub"      // id = source: a hub may call back about it
)

var tokenText = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

const macLength = 16 // bytes of HMAC-SHA256 kept: 128 bits

// mac hashes the parts under a key of its own for each use, so that no value of one use serves another.
func (s Secret) mac(use string, parts ...string) []byte {
	h := hmac.New(sha256.New, s)
	fmt.Fprintf(h, "zonewire|%s|%d", use, len(parts))
	for _, p := range parts {
		fmt.Fprintf(h, "|%d|%s", len(p), p)
	}
	return h.Sum(nil)
}

// Token is an opaque text that allows one purpose on one thing, at most 40 characters, safe in a URL path. It holds no
// address.
func (s Secret) Token(p Purpose, id int64) string {
	n := strconv.FormatInt(id, 36)
	return n + "-" + tokenText.EncodeToString(s.mac("token", string(p), n)[:macLength])
}

// HubSecret is what a source's hub signs its pushes with, at most 64 characters (WebSub section 5.1 allows 199 bytes).
func (s Secret) HubSecret(source int64, topic string) string {
	return hex.EncodeToString(s.mac("hub", strconv.FormatInt(source, 10), topic))
}

// OpenToken gives the id that a token of this purpose names; false if it is forged, damaged or of another purpose.
// Some mail gateways change the case of a link, so case does not count.
func (s Secret) OpenToken(p Purpose, token string) (int64, bool) {
	n, _, ok := strings.Cut(strings.ToLower(token), "-")
	if !ok {
		return 0, false
	}
	id, err := strconv.ParseInt(n, 36, 64)
	if err != nil || id < 1 {
		return 0, false
	}
	return id, hmac.Equal([]byte(strings.ToLower(token)), []byte(s.Token(p, id)))
}

// Mark is a text that stands for each reader's token while a digest is rendered. It is not guessable, so an article
// that tries to hold it cannot make a hole.
func (s Secret) Mark(list int64, slot int64) string {
	return "hole-" + hex.EncodeToString(s.mac("hole", strconv.FormatInt(list, 10), strconv.FormatInt(slot, 10))[:16])
}

// MessageID is the same for every try of one mail: RFC 5322 section 3.6.4, without the angle brackets.
func (s Secret) MessageID(job Job, host string) string {
	kind := "d" + strconv.FormatInt(job.Digest, 10)
	if job.Kind == NoticeJob {
		kind = "n"
	}
	id := fmt.Sprintf("%s.s%d.%d", kind, job.Subscriber, job.ID)
	return id + "." + s.messageMac(id) + "@" + host
}

func (s Secret) messageMac(id string) string {
	return tokenText.EncodeToString(s.mac("message-id", id)[:8])
}

// Boundary is the MIME boundary of a mail: a function of its Message-ID, so that a retry is the same bytes.
func (s Secret) Boundary(messageID string) string {
	return "zw-" + hex.EncodeToString(s.mac("boundary", messageID)[:16])
}

// macText is the short form of a mac that stands in an address: 80 bits, lower-case letters and digits.
func (s Secret) macText(use string, parts ...string) string {
	return tokenText.EncodeToString(s.mac(use, parts...)[:10])
}

// Prefixes of the addresses that receive for us. Each is followed by a number in base 36 and a mac.
const (
	bounceMark = "b" // of a delivery: returned digests
	noticeMark = "n" // of a notice
	leaveMark  = "u" // of a subscription: a mail to it leaves the list
)

func (s Secret) localPart(mark string, id int64) string {
	n := strconv.FormatInt(id, 36)
	return mark + "-" + n + "-" + s.macText("address "+mark, n)
}

// ReturnPath is the local part of the envelope sender of a mail (VERP), the same for every try: a report that comes
// back to it names the mail by itself. Some servers change its case, so case does not count.
func (s Secret) ReturnPath(job JobRef) string {
	if job.Kind == NoticeJob {
		return s.localPart(noticeMark, job.ID)
	}
	return s.localPart(bounceMark, job.ID)
}

// LeaveAddress is the local part of the address to which a mail ends one subscription.
func (s Secret) LeaveAddress(subscription int64) string { return s.localPart(leaveMark, subscription) }

// OpenAddress reads the local part of an address that [Secret.ReturnPath] or [Secret.LeaveAddress] made: it gives
// either the mail or the subscription. It answers false for any other.
func (s Secret) OpenAddress(local string) (job JobRef, subscription int64, ok bool) {
	mark, rest, _ := strings.Cut(strings.ToLower(local), "-")
	n, _, _ := strings.Cut(rest, "-")
	id, err := strconv.ParseInt(n, 36, 64)
	if err != nil || id < 1 || !hmac.Equal([]byte(strings.ToLower(local)), []byte(s.localPart(mark, id))) {
		return JobRef{}, 0, false
	}
	switch mark {
	case bounceMark:
		return JobRef{DigestJob, id}, 0, true
	case noticeMark:
		return JobRef{NoticeJob, id}, 0, true
	case leaveMark:
		return JobRef{}, id, true
	}
	return JobRef{}, 0, false
}

// OpenMessageID reads a Message-ID that [Secret.MessageID] made, with or without its angle brackets; false for others.
func (s Secret) OpenMessageID(id string) (JobRef, bool) {
	id = strings.Trim(strings.TrimSpace(id), "<>")
	left, _, _ := strings.Cut(id, "@")
	dot := strings.LastIndexByte(left, '.')
	if dot < 0 {
		return JobRef{}, false
	}
	name, mac := left[:dot], left[dot+1:]
	if !hmac.Equal([]byte(strings.ToLower(mac)), []byte(s.messageMac(strings.ToLower(name)))) {
		return JobRef{}, false
	}
	n, err := strconv.ParseInt(name[strings.LastIndexByte(name, '.')+1:], 10, 64)
	if err != nil {
		return JobRef{}, false
	}
	if name[0] == 'n' || name[0] == 'N' {
		return JobRef{NoticeJob, n}, true
	}
	return JobRef{DigestJob, n}, true
}

// Fingerprint tells two secrets apart and gives nothing of them away.
func (s Secret) Fingerprint() string { return hex.EncodeToString(s.mac("fingerprint")[:8]) }

// AddressHash is the keyed hash of a compared address, under which a suppression outlives the address itself.
func (s Secret) AddressHash(key string) string { return hex.EncodeToString(s.mac("address", key)) }
