package guard

import "bytes"

// token is a kind of secret that its maker made recognisable: one of a few prefixes, and then so many characters of an alphabet.
type token struct {
	id       string
	prefixes []string
	alphabet string // of those after the prefix; a-z stands for a range
	min, max int    // how many; max 0 for no bound
}

// Alphabets.
const (
	hex    = "0-9a-f"
	alnum  = "0-9A-Za-z"
	word   = "0-9A-Za-z_\\-"
	dotted = "0-9A-Za-z_.=\\-"
	base64 = "0-9A-Za-z+/="
)

// tokens are the kinds that are known, by what their makers document. Where no length is documented it is that of those seen, and no upper bound.
func tokens() []token {
	return []token{
		{"age-secret-key", []string{"AGE-SECRET-KEY-1"}, "0-9A-Z", 58, 58},

		{"anthropic-key", []string{"sk-ant-"}, word, 80, 0},
		{"artifactory-token", []string{"cmVmdGtu"}, alnum, 56, 56},
		{"atlassian-token", []string{"ATATT3", "ATCTT3", "ATBB"}, dotted, 28, 0},
		{"aws-access-key-id", []string{"AKIA", "ASIA", "ABIA", "ACCA"}, "A-Z2-7", 16, 16},
		{"azure-storage-key", []string{"AccountKey="}, base64, 86, 88},
		{"brevo-key", []string{"xkeysib-"}, hex + "A-Za-z\\-", 81, 81},
		{"buildkite-token", []string{"bkua_"}, hex, 40, 40},
		{"circleci-token", []string{"CCIPAT_", "CCIPRJ_"}, alnum + "_", 40, 0},
		{"clojars-token", []string{"CLOJARS_"}, "0-9a-z", 60, 60},
		{"databricks-token", []string{"dapi"}, hex + "\\-", 32, 34},
		{"digitalocean-token", []string{"dop_v1_", "doo_v1_", "dor_v1_"}, hex, 64, 64},
		{"docker-token", []string{"dckr_pat_", "dckr_oat_"}, word, 27, 0},
		{"doppler-token", []string{"dp.pt.", "dp.st.", "dp.ct.", "dp.sa."}, alnum + ".", 40, 0},
		{"dynatrace-token", []string{"dt0c01.", "dt0s16."}, "0-9A-Z.", 89, 89},
		{"figma-token", []string{"figd_"}, word, 40, 0},
		{"flyio-token", []string{"fm1r_", "fm1a_", "fm2_", "fo1_"}, word + "+/=", 40, 0},
		{"github-token", []string{"ghp_", "gho_", "ghu_", "ghs_", "ghr_"}, alnum, 36, 0},
		{"github-fine-grained-token", []string{"github_pat_"}, alnum + "_", 82, 82},
		{"gitlab-token", []string{"glpat-", "glptt-", "gldt-", "glrt-", "glcbt-", "glsoat-", "glft-", "glimt-", "glagent-", "gloas-"}, word + ".", 20, 0},
		{"google-api-key", []string{"AIza"}, word, 35, 35},
		{"google-oauth-secret", []string{"GOCSPX-"}, word, 28, 28},
		{"google-oauth-token", []string{"ya29."}, word, 40, 0},
		{"grafana-token", []string{"glsa_", "glc_"}, alnum + "_+/=", 40, 0},
		{"groq-key", []string{"gsk_"}, alnum, 52, 52},
		{"heroku-key", []string{"HRKU-"}, word, 36, 0},
		{"huggingface-token", []string{"hf_", "api_org_"}, "A-Za-z", 34, 34},
		{"linear-key", []string{"lin_api_", "lin_oauth_"}, alnum, 40, 0},
		{"netlify-token", []string{"nfp_"}, alnum, 36, 0},
		{"newrelic-key", []string{"NRAK-"}, "0-9A-Z", 27, 27},
		{"notion-token", []string{"ntn_"}, alnum, 46, 46},
		{"npm-token", []string{"npm_"}, alnum, 36, 36},
		{"nuget-key", []string{"oy2"}, "0-9a-z", 43, 43},
		{"openai-key", []string{"sk-proj-", "sk-svcacct-", "sk-admin-"}, word, 40, 0},
		{"openrouter-key", []string{"sk-or-v1-"}, hex, 64, 64},
		{"perplexity-key", []string{"pplx-"}, alnum, 40, 0},
		{"planetscale-token", []string{"pscale_tkn_", "pscale_pw_", "pscale_oauth_"}, dotted, 32, 64},
		{"postman-key", []string{"PMAK-"}, hex + "\\-", 59, 59},
		{"prefect-key", []string{"pnu_"}, "0-9A-Za-z", 36, 36},
		{"pulumi-token", []string{"pul-"}, hex, 40, 40},
		{"pypi-token", []string{"pypi-AgEIcHlwaS5vcmc", "pypi-AgENdGVzdC5weXBpLm9yZw"}, word, 50, 0},
		{"replicate-token", []string{"r8_"}, alnum, 37, 37},
		{"rubygems-key", []string{"rubygems_"}, hex, 48, 48},
		{"sendgrid-key", []string{"SG."}, dotted, 66, 66},
		{"sentry-token", []string{"sntryu_", "sntrys_"}, word + "+/=", 64, 0},
		{"shopify-token", []string{"shpat_", "shpca_", "shppa_", "shpss_"}, hex + "A-F", 32, 32},
		{"slack-token", []string{"xoxb-", "xoxp-", "xoxa-", "xoxo-", "xoxr-", "xoxs-", "xoxe-", "xapp-"}, alnum + "\\-", 24, 0},
		{"slack-webhook", []string{"hooks.slack.com/services/", "hooks.slack.com/workflows/"}, alnum + "/", 40, 0},
		{"square-token", []string{"sq0atp-", "sq0csp-", "EAAAl"}, word, 22, 0},
		{"stripe-key", []string{"sk_live_", "rk_live_", "sk_test_", "rk_test_", "sk_org_"}, alnum, 20, 0},
		{"stripe-webhook-secret", []string{"whsec_"}, base64, 32, 0},
		{"supabase-token", []string{"sbp_", "sb_secret_"}, word, 36, 0},
		{"tailscale-key", []string{"tskey-auth-", "tskey-api-", "tskey-client-", "tskey-scim-", "tskey-webhook-"}, alnum + "\\-", 24, 0},
		{"twilio-key", []string{"SK"}, hex, 32, 32},
		{"typeform-token", []string{"tfp_"}, dotted, 59, 0},
		{"vault-token", []string{"hvs.", "hvb.", "hvr."}, word, 24, 0},
		{"xai-key", []string{"xai-"}, alnum, 80, 80},
	}
}

// variety is of how many different characters a secret has to consist: those in examples are xxxx.
const variety = 7

// alphabetOf reads an alphabet.
func alphabetOf(s string) (set [256]bool) {
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\':
			i++
			set[s[i]] = true
		case i+2 < len(s) && s[i+1] == '-':
			for c := s[i]; c <= s[i+2]; c++ {
				set[c] = true
			}
			i += 2
		default:
			set[s[i]] = true
		}
	}
	return set
}

// rule makes the rule of a token. It holds for what stands alone: no letter, digit or underscore before, none of the alphabet after.
func (t token) rule() rule {
	set := alphabetOf(t.alphabet)
	return rule{id: t.id, words: t.prefixes, find: func(text []byte, at int) (from, to int, ok bool) {
		if at > 0 && isWord(text[at-1]) {
			return at, at, false
		}
		begin := at + len(prefixAt(text[at:], t.prefixes))
		end := begin
		for end < len(text) && set[text[end]] && (t.max == 0 || end-begin <= t.max) {
			end++
		}
		switch n := end - begin; {
		case t.max > 0 && n > t.max:
			return at, begin, false
		case n < t.min || example(text[begin:end]):
			return at, end, false // nor is any part of it
		}
		return at, end, true
	}}
}

// prefixAt is the longest of the prefixes that text begins with.
func prefixAt(text []byte, prefixes []string) (longest string) {
	for _, p := range prefixes {
		if len(p) > len(longest) && len(p) <= len(text) && string(text[:len(p)]) == p {
			longest = p
		}
	}
	return longest
}

func isWord(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || c == '_'
}

// example reports whether a text is too plain to be a secret, or says itself that it is none.
func example(s []byte) bool {
	var seen [256]bool
	n := 0
	for _, c := range s {
		if !seen[c] {
			seen[c] = true
			n++
		}
	}
	return n < variety || bytes.HasSuffix(s, []byte("EXAMPLE")) || bytes.HasSuffix(s, []byte("EXAMPLEKEY"))
}
