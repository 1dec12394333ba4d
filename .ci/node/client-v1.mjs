// The TypeScript SDK's v1 client (handshake revisions only): node client-v1.mjs TARGET legacy FILE
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { run, target } from './drive.mjs';

const seen = { client: 'typescript-v1' };
const where = target();
await run(
  seen,
  async () => {
    const client = new Client({ name: seen.client, version: '1' });
    const transport = where.url ? new StreamableHTTPClientTransport(where.url) : new StdioClientTransport(where);
    await client.connect(transport);
    seen.era = 'legacy';
    return client;
  },
  (client, params, options) => client.callTool(params, undefined, options),
);
