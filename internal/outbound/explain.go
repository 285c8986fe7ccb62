package outbound

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"syscall"
)

// Explain says in one line, for an operator, why a request failed. It never repeats the address that was asked, which may
// hold a key.
func Explain(err error) string {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	var name *net.DNSError
	var refused *refusal
	switch {
	case err == nil:
		return ""
	case errors.As(err, &refused):
		return refused.msg
	case errors.Is(err, ErrRedirects):
		return "it leads on more than 5 times"
	case errors.Is(err, ErrTooLarge):
		return "its answer is too large"
	case errors.Is(err, context.Canceled):
		return "the request was broken off"
	case errors.As(err, &name) && name.IsNotFound:
		return "its host name does not exist"
	case errors.As(err, &name):
		return "its host name could not be resolved"
	case Timeout(err):
		return "it takes too long to answer"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "it refuses connections"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "its host cannot be reached from here"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return "it broke the connection off"
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum):
		return "its answer is packed wrongly"
	}
	if why := explainTLS(err); why != "" {
		return why
	}
	text := err.Error()
	switch {
	case strings.Contains(text, "response headers exceeded"):
		return "its headers are too large"
	case strings.Contains(text, "malformed HTTP"), strings.Contains(text, "bad Request"), strings.Contains(text, "invalid header"):
		return "it does not speak HTTP"
	}
	return "it cannot be read: " + strings.Join(strings.Fields(text), " ")
}

// explainTLS says what is wrong with a server's TLS. Portals often leave out the intermediate certificate, which browsers
// fetch by themselves, or offer only what has been unsafe for years.
func explainTLS(err error) string {
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var alert tls.AlertError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &unknown):
		return "its certificate cannot be verified: it is signed by nobody known, or the server leaves out the intermediate certificate"
	case errors.As(err, &host):
		return "its certificate is for another host"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "its certificate has expired, or this machine's clock is wrong"
	case errors.As(err, &invalid):
		return "its certificate is not valid"
	case errors.As(err, &record), strings.Contains(err.Error(), "HTTP response to HTTPS client"):
		return "it does not speak TLS on this port: try http"
	case errors.As(err, &alert), strings.Contains(err.Error(), "unsupported protocol version"), strings.Contains(err.Error(), "handshake failure"):
		return "its TLS is too old: it offers nothing that is safe today (TLS 1.2 with forward secrecy is the least)"
	case strings.Contains(err.Error(), "tls: "):
		return "its TLS is broken"
	}
	return ""
}
