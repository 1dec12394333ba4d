// A real OpenID provider for tests: node issuer.mjs PORT
// It has resource indicators, dynamic registration, PKCE, introspection, and opaque tokens for resources that end in /opaque. Whoever opens the
// authorization URL is the user ana, and agrees. What stands behind /test is for the test: POST /test {"groups":[…]}, {"rotate":true},
// {"withdraw":true} or {"away":true}; GET /test counts requests by path.
import http from 'node:http';
import { exportJWK, generateKeyPair } from 'jose';
import Provider, { interactionPolicy } from 'oidc-provider';

const port = Number(process.argv[2]);
const issuer = `http://127.0.0.1:${port}`;
const scopes = 'mcp:list mcp:call';
const state = { keys: [], groups: ['eng'], away: false, counts: {}, serve: undefined };

async function addKey() {
  const { privateKey } = await generateKeyPair('RS256', { extractable: true });
  const kid = `k${state.keys.length + 1}-${Date.now()}`;
  state.keys.unshift({ ...(await exportJWK(privateKey)), kid, alg: 'RS256', use: 'sig' });
}

// Whoever has signed in agrees.
const policy = interactionPolicy.base();
policy.remove('consent');

function provide() {
  const provider = new Provider(issuer, {
    jwks: { keys: state.keys },
    cookies: { keys: ['only a test'] },
    clients: [{
      client_id: 'agent', client_secret: 'a-secret-of-32-characters-or-more', grant_types: ['client_credentials'],
      redirect_uris: [], response_types: [],
    }],
    scopes: ['openid', 'offline_access', ...scopes.split(' ')],
    claims: { openid: ['sub', 'groups'] },
    findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id, groups: state.groups }) }),
    extraTokenClaims: (ctx, token) => ({ groups: token.accountId ? state.groups : undefined }),
    interactions: { policy, url: (ctx, interaction) => `/interaction/${interaction.uid}` },
    async loadExistingGrant(ctx) {
      const { client, session, params, requestParamScopes } = ctx.oidc;
      const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
      grant.addOIDCScope([...requestParamScopes].join(' '));
      for (const resource of [params.resource ?? []].flat()) grant.addResourceScope(resource, scopes);
      await grant.save();
      return grant;
    },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      revocation: { enabled: true, allowedPolicy: () => true },
      registration: { enabled: true },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        defaultResource: () => undefined,
        getResourceServerInfo: (ctx, resource) => ({
          scope: scopes, audience: resource, accessTokenTTL: 60,
          accessTokenFormat: resource.endsWith('/opaque') ? 'opaque' : 'jwt', jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
  });
  const answer = provider.callback();
  state.serve = async (req, res) => {
    if (!req.url.startsWith('/interaction/')) return answer(req, res);
    try {
      await provider.interactionFinished(req, res, { login: { accountId: 'ana' } });
    } catch (fault) {
      res.writeHead(400).end(String(fault));
    }
  };
}

async function control(req, res) {
  let body = '';
  for await (const chunk of req) body += chunk;
  const wish = body ? JSON.parse(body) : {};
  if (wish.groups) state.groups = wish.groups;
  if (wish.away !== undefined) state.away = wish.away;
  if (wish.rotate) await addKey();
  if (wish.withdraw) state.keys.splice(1);
  if (wish.rotate || wish.withdraw) provide();
  res.setHeader('content-type', 'application/json');
  res.end(JSON.stringify(state.counts));
}

await addKey();
provide();
http.createServer(async (req, res) => {
  const path = req.url.split('?')[0];
  if (path === '/test') return control(req, res);
  state.counts[path] = (state.counts[path] ?? 0) + 1;
  if (state.away) return req.socket.destroy();
  return state.serve(req, res);
}).listen(port, '127.0.0.1', () => console.log(`issuer ${issuer}`));
