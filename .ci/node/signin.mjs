// A client of the TypeScript SDK that knows nothing but the endpoint: it is refused, finds the issuer, registers, signs in as whoever the issuer takes it
// for, and calls a tool. node signin.mjs URL v1|v2 TOOL writes what it saw to stdout as one JSON object.
const [url, version, tool] = process.argv.slice(2);
const redirect = 'http://127.0.0.1:1/callback';
const seen = { asked: [] };

// browse follows redirects as a browser does, with cookies, until it comes back to the client.
async function browse(to) {
  const cookies = new Map();
  for (let hops = 0; hops < 10 && !to.href.startsWith(redirect); hops++) {
    const answer = await fetch(to, { redirect: 'manual', headers: { cookie: [...cookies].map(([k, v]) => `${k}=${v}`).join('; ') } });
    for (const line of answer.headers.getSetCookie()) {
      const [pair] = line.split(';');
      const at = pair.indexOf('=');
      cookies.set(pair.slice(0, at), pair.slice(at + 1));
    }
    if (!answer.headers.get('location')) throw new Error(`${answer.status} at ${to}: ${await answer.text()}`);
    to = new URL(answer.headers.get('location'), to);
  }
  return to.searchParams;
}

const kept = {};
let back;
const provider = {
  redirectUrl: redirect,
  clientMetadata: {
    client_name: `weir test ${version}`, redirect_uris: [redirect], grant_types: ['authorization_code'], response_types: ['code'],
    token_endpoint_auth_method: 'none', application_type: 'native',
  },
  clientInformation: () => kept.client,
  saveClientInformation: (client) => { kept.client = client; },
  tokens: () => kept.tokens,
  saveTokens: (tokens) => { kept.tokens = tokens; },
  codeVerifier: () => kept.verifier,
  saveCodeVerifier: (verifier) => { kept.verifier = verifier; },
  async redirectToAuthorization(to) {
    seen.resource = to.searchParams.get('resource');
    seen.scope = to.searchParams.get('scope');
    back = await browse(to);
  },
};

const sdk = version === 'v2' ? await import('@modelcontextprotocol/client') : {
  ...(await import('@modelcontextprotocol/sdk/client/index.js')), ...(await import('@modelcontextprotocol/sdk/client/streamableHttp.js')),
};
const connect = async () => {
  const client = new sdk.Client({ name: `typescript-${version}`, version: '1' }, version === 'v2' ? { versionNegotiation: { mode: 'auto' } } : {});
  const transport = new sdk.StreamableHTTPClientTransport(new URL(url), { authProvider: provider });
  try {
    await client.connect(transport);
    return client;
  } catch (refused) {
    if (!back) throw refused;
    seen.refused = refused.constructor.name;
    await (version === 'v2' ? transport.finishAuth(back) : transport.finishAuth(back.get('code')));
    back = undefined;
    return undefined;
  }
};

try {
  const client = (await connect()) ?? (await connect());
  seen.tools = (await client.listTools()).tools.map((one) => one.name);
  const result = await client.callTool({ name: tool, arguments: { message: 'hello' } });
  seen.text = result.content.map((block) => block.text).join('');
  await client.close();
} catch (fault) {
  seen.error = String(fault?.stack ?? fault);
}
console.log(JSON.stringify(seen));
process.exit(0);
