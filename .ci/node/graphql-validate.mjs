// Judges operations by graphql-js. Reads one JSON text per line: {"schema": SDL or introspection} first, then {"key", "text"}; prints one line for each
// operation with a fault, and {"checked": n} at the end.
import { createInterface } from 'node:readline';
import { buildClientSchema, buildSchema, parse, validate } from 'graphql';

let schema;
let checked = 0;
for await (const line of createInterface({ input: process.stdin })) {
  const { schema: text, key, text: operation } = JSON.parse(line);
  if (text !== undefined) {
    const first = text.trimStart();
    if (first.startsWith('{')) {
      const v = JSON.parse(first);
      schema = buildClientSchema(v.data ?? v, { assumeValid: true });
    } else {
      schema = buildSchema(text, { assumeValid: true, assumeValidSDL: true, noLocation: true });
    }
    continue;
  }
  checked++;
  let faults;
  try {
    faults = validate(schema, parse(operation), undefined, { maxErrors: 3 }).map((e) => e.message);
  } catch (e) {
    faults = [e.message];
  }
  if (faults.length) console.log(JSON.stringify({ key, faults }));
}
console.log(JSON.stringify({ checked }));
