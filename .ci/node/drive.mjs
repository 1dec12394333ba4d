// What one MCP client does with a gateway in front of server-everything (everything), server-filesystem (files) and server-memory
// (memory), naming: prefix. Everything seen is written to stdout as one JSON object; the Go test that started this program judges it.
//
// connect(transport) gives a connected client; call(client, params, options) hides that v1 takes a schema before the options.

const [file] = process.argv.slice(4);

export async function drive(client, call, seen) {
  const names = (items, key) => items.map((item) => item[key]).sort();
  seen.tools = names((await client.listTools()).tools, 'name');
  seen.prompts = names((await client.listPrompts()).prompts, 'name');
  seen.resources = names((await client.listResources()).resources, 'uri');
  seen.templates = names((await client.listResourceTemplates()).resourceTemplates, 'uriTemplate');

  const text = (result) => result.content.map((block) => block.text).join('\n');
  seen.echo = text(await call(client, { name: 'everything__echo', arguments: { message: 'hällo' } }));
  seen.file = text(await call(client, { name: 'files__read_text_file', arguments: { path: file } }));
  const structured = await call(client, { name: 'everything__get-structured-content', arguments: { location: 'Chicago' } });
  seen.structured = structured.structuredContent;
  const entity = { name: seen.client, entityType: 'client', observations: ['went through the gateway'] };
  await call(client, { name: 'memory__create_entities', arguments: { entities: [entity] } });
  const found = await call(client, { name: 'memory__open_nodes', arguments: { names: [seen.client] } });
  seen.memory = found.structuredContent.entities;
  await call(client, { name: 'memory__delete_entities', arguments: { entityNames: [seen.client] } });
  seen.image = (await call(client, { name: 'everything__get-tiny-image', arguments: {} })).content.map((block) => block.type);

  seen.progress = [];
  listen(client, (progress, total) => seen.progress.push([progress, total]));
  const steps = { name: 'everything__trigger-long-running-operation', arguments: { duration: 0.25, steps: 5 } };
  seen.operation = text(await call(client, steps, { onprogress: () => {} }));

  const uri = 'demo://resource/static/document/features.md';
  const { contents } = await client.readResource({ uri });
  seen.resource = contents.map((part) => [part.uri, part.mimeType, part.text.length > 0]);
  const dynamic = await client.readResource({ uri: 'demo://resource/dynamic/text/7' });
  seen.dynamic = dynamic.contents.map((part) => part.uri);

  const prompt = await client.getPrompt({ name: 'everything__args-prompt', arguments: { city: 'Basel', state: 'BS' } });
  seen.prompt = prompt.messages.map((message) => message.content.text);
  const completion = await client.complete({
    ref: { type: 'ref/prompt', name: 'everything__completable-prompt' },
    argument: { name: 'name', value: 'A' },
    context: { arguments: { department: 'Engineering' } },
  });
  seen.completion = completion.completion.values;
}

// listen hears of progress where it arrives. The SDKs' own callback misses what comes in one read with the result (v1: 25 of 40 calls
// of server-everything without a gateway), because they forget it as soon as they see the result.
function listen(client, onProgress) {
  const { transport } = client;
  const deliver = transport.onmessage;
  transport.onmessage = (message, ...rest) => {
    if (message.method === 'notifications/progress') onProgress(message.params.progress, message.params.total);
    deliver(message, ...rest);
  };
}

// run connects, drives and reports; a failure is reported with what was seen before it.
export async function run(seen, connect, call) {
  let client;
  try {
    client = await connect();
    await drive(client, call, seen);
  } catch (error) {
    seen.error = `${error?.stack ?? error}`;
  }
  console.log(JSON.stringify(seen));
  await client?.close();
}

// target is where the gateway is: a URL, or the command line of a stdio server.
export function target() {
  const spec = JSON.parse(process.argv[2]);
  return { url: spec.url && new URL(spec.url), command: spec.command, args: spec.args, stderr: 'inherit' };
}

export const era = process.argv[3];
