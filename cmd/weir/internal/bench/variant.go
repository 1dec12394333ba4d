package bench

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// ruledTools is the number of tools, and of rules, in a case of kind Rules.
const ruledTools = 1000

// issuer signs the tokens of guarded gateways; nobody is there, its keys are in a file.
const issuer = "https://issuer.example"

// guard makes callers sign in with the token that it returns, and rules decide.
func guard(config map[string]any, dir string) (token string, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	keys, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "1", Algorithm: string(jose.ES256), Use: "sig"}}})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "jwks.json")
	if err := os.WriteFile(path, keys, 0o600); err != nil {
		return "", err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "1"}}, (&jose.SignerOptions{}).WithType("at+jwt"))
	if err != nil {
		return "", err
	}
	config["auth"] = map[string]any{"oidc": map[string]any{"issuer": issuer, "audience": "weir", "jwksFile": path}}
	rules := []string{"up/" + echoTool, "up/" + eventsTool}
	for i := range ruledTools {
		rule := fmt.Sprintf("up/tool_%05d", i)
		if i%10 == 0 {
			rule += " when small"
		}
		rules = append(rules, rule)
	}
	config["policy"] = map[string]any{
		"conditions": map[string]any{"small": "args.page < 100"},
		"roles":      map[string]any{"bench": rules}, "grants": map[string]any{"group:bench": []string{"bench"}},
	}
	now := time.Now()
	return jwt.Signed(signer).Claims(map[string]any{
		"iss": issuer, "aud": "weir", "sub": "ana", "client_id": "bench", "groups": []string{"bench", "staff"}, "scope": "mcp",
		"iat": now.Unix(), "exp": now.Add(24 * time.Hour).Unix(), "jti": "1",
	}).Serialize()
}

// recordEverything switches on all that is remembered of a request. Nobody takes the traces.
func recordEverything(config map[string]any, dir string) {
	config["telemetry"] = map[string]any{
		"traces": map[string]any{"otlp": "http://127.0.0.1:9", "sample": 0.01}, "metrics": map[string]any{"prometheus": "127.0.0.1:0"},
	}
	config["audit"] = map[string]any{"dir": filepath.Join(dir, "audit")}
	config["requestLog"] = map[string]any{"database": filepath.Join(dir, "requests.db")}
}
