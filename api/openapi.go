package api

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"net/http"
)

//go:embed openapi.json
var openapiDocument []byte

// document is the OpenAPI document of one site. It is written for an example site of an unnamed version.
func document(cfg Config) []byte {
	doc := openapiDocument
	for example, value := range map[string]string{"https://news.example.com/api/v1": cfg.BaseURL + prefix, "0.0.0-example": cfg.Version} {
		quoted, err := json.Marshal(value)
		if err != nil { // a string can always be written
			continue
		}
		doc = bytes.ReplaceAll(doc, []byte(`"`+example+`"`), quoted)
	}
	return doc
}

// openapi gives the description of all this, for whoever asks.
func (h *handler) openapi(*call) (answer, error) {
	return answer{status: http.StatusOK, kind: jsonType, body: h.doc, header: http.Header{"Cache-Control": {"no-cache"}}}, nil
}
