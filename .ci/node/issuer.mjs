// A real OpenID provider for tests: node issuer.mjs PORT
// It has resource indicators, dynamic registration, PKCE, introspection, token exchange (RFC 8693), and opaque tokens for resources that end in /opaque.
// Whoever opens the authorization URL is the user ana, and agrees; after {"asks":true} a page asks who it is and whether the client may.
// What stands behind /test is for the test: POST /test {"groups":[…]}, {"asks":true}, {"rotate":true}, {"withdraw":true} or {"away":true}; GET /test
// counts requests by path.
import http from 'node:http';
import { createLocalJWKSet, exportJWK, generateKeyPair, jwtVerify } from 'jose';
import Provider, { interactionPolicy } from 'oidc-provider';

const port = Number(process.argv[2]);
const issuer = `http://127.0.0.1:${port}`;
const scopes = 'mcp:list mcp:call';
const exchange = 'urn:ietf:params:oauth:grant-type:token-exchange';
const state = { keys: [], groups: ['eng'], asks: false, away: false, counts: {}, serve: undefined };

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
    }, {
      client_id: 'weir', client_secret: 'a-secret-of-32-characters-or-more', application_type: 'native', // any port of loopback
      redirect_uris: ['http://127.0.0.1/signin/callback'],
    }, {
      client_id: 'exchanger', client_secret: 'a-secret-of-32-characters-or-more', grant_types: ['client_credentials', exchange],
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
  provider.registerGrantType(exchange, (ctx) => exchanged(ctx, provider), ['audience', 'resource', 'scope', 'subject_token', 'subject_token_type',
    'requested_token_type'], ['audience', 'resource']);
  const answer = provider.callback();
  state.serve = async (req, res) => {
    if (!req.url.startsWith('/interaction/')) return answer(req, res);
    try {
      let accountId = 'ana';
      if (state.asks) {
        if (req.method !== 'POST') return ask(res, await provider.interactionDetails(req, res));
        accountId = new URLSearchParams(await read(req)).get('user');
      }
      await provider.interactionFinished(req, res, { login: { accountId } });
    } catch (fault) {
      res.writeHead(400).end(String(fault));
    }
  };
}

async function read(req) {
  let body = '';
  for await (const chunk of req) body += chunk;
  return body;
}

function ask(res, { params }) {
  res.setHeader('content-type', 'text/html');
  res.end(`<!doctype html><title>Who are you?</title><form method="post"><p>The client ${params.client_id} wants to act for you.</p>
    <input name="user"><button id="agree">I agree</button></form>`);
}

// exchanged makes a token of the same user for another resource out of a token that this issuer gave.
async function exchanged(ctx, provider) {
  const { client, params } = ctx.oidc;
  const { payload } = await jwtVerify(params.subject_token, createLocalJWKSet({ keys: state.keys.map(({ kty, n, e, kid, alg }) => ({ kty, n, e, kid, alg })) }), { issuer });
  const resource = params.resource ?? params.audience;
  const token = new provider.AccessToken({ accountId: payload.sub, client, gty: exchange, scope: 'mcp:call' });
  token.resourceServer = new provider.ResourceServer(resource, { scope: scopes, audience: resource, accessTokenTTL: 60, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'RS256' } } });
  token.extra = { groups: state.groups };
  ctx.oidc.entity('AccessToken', token);
  ctx.body = {
    access_token: await token.save(), issued_token_type: 'urn:ietf:params:oauth:token-type:access_token', token_type: 'Bearer', expires_in: token.expiration, scope: token.scope,
  };
}

async function control(req, res) {
  const body = await read(req);
  const wish = body ? JSON.parse(body) : {};
  if (wish.groups) state.groups = wish.groups;
  if (wish.away !== undefined) state.away = wish.away;
  if (wish.asks !== undefined) state.asks = wish.asks;
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
