package websub

import "net/http"

// Via sends all requests through another transport, which judges no address.
func (h *Hub) Via(rt http.RoundTripper) { h.guarded.Transport, h.trusted.Transport = rt, rt }
