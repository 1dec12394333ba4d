package cred

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"weir/upstream/egress"
)

// metadata is what an authorization server says about itself (RFC 8414, 2; OpenID Connect Discovery 1.0, 3).
type metadata struct {
	Issuer        string `json:"issuer"`
	TokenEndpoint string `json:"token_endpoint"`

	Authorization string   `json:"authorization_endpoint"`
	Registration  string   `json:"registration_endpoint"`
	Challenges    []string `json:"code_challenge_methods_supported"`
	Documents     bool     `json:"client_id_metadata_document_supported"`
	SendsIssuer   bool     `json:"authorization_response_iss_parameter_supported"`
}

// metadataURLs are the places where the metadata of an issuer may be, in the order in which MCP asks for them (2025-11-25, basic/authorization).
func metadataURLs(issuer string) ([]string, error) {
	u, err := url.Parse(issuer)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("the issuer is no URL")
	}
	origin, path := u.Scheme+"://"+u.Host, strings.TrimSuffix(u.EscapedPath(), "/")
	const oauth, openID = "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"
	all := []string{origin + oauth + path, origin + openID + path, origin + path + openID}
	return slices.Compact(all), nil
}

// metadata finds out about an authorization server.
func (t *tokens) metadata(ctx context.Context, issuer string) (*metadata, error) {
	places, err := metadataURLs(issuer)
	if err != nil {
		return nil, err
	}
	for _, place := range places {
		m := new(metadata)
		status, err := t.read(ctx, place, m)
		switch {
		case err != nil:
			return nil, err
		case status/100 == 4, status == http.StatusOK && m.Issuer == "": // not here: some servers have a page for every path
			continue
		case status != http.StatusOK:
			return nil, fmt.Errorf("the metadata of the issuer cannot be read (status %d)", status)
		case m.Issuer != issuer:
			return nil, errors.New("the metadata of the issuer names another issuer")
		case !secure(m.TokenEndpoint):
			return nil, errors.New("the token endpoint of the issuer is not https")
		}
		return m, nil
	}
	return nil, errors.New("the issuer has no metadata")
}

// read reads one document into found, which stays as it is when that is none.
func (t *tokens) read(ctx context.Context, address string, found any) (int, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, errors.New("the issuer is no URL")
	}
	response, err := t.client.Do(r)
	if errors.Is(err, egress.ErrRefused) {
		return 0, errors.New("the issuer is not at a public address; set credentials.mcp.issuer to it, if it is to be trusted")
	}
	if err != nil {
		return 0, errors.New("the issuer could not be asked")
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(response.Body, maxMetadata))
	if err == nil && response.StatusCode == http.StatusOK {
		_ = json.Unmarshal(data, found) // what is no document says nothing
	}
	return response.StatusCode, nil
}
