// The TypeScript SDK's v2 client (both eras): node client-v2.mjs TARGET legacy|modern|auto FILE
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { era, run, target } from './drive.mjs';

const seen = { client: `typescript-v2-${era}` };
const where = target();
await run(
  seen,
  async () => {
    const mode = era === 'modern' ? { pin: '2026-07-28' } : era;
    const client = new Client({ name: seen.client, version: '1' }, { versionNegotiation: { mode } });
    const transport = where.url ? new StreamableHTTPClientTransport(where.url) : new StdioClientTransport(where);
    await client.connect(transport);
    seen.era = client.getProtocolEra();
    return client;
  },
  (client, params, options) => client.callTool(params, options),
);
