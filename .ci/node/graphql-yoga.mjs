// A library of books on graphql-yoga and graphql-ws, with the schema that is the first argument. The second, which may be left out, is what requests
// must have in Authorization, and sessions of WebSockets in their first message. It prints the port it listens on; GET /ledger tells what reached it
// since the last time and what it gave up.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { GraphQLError } from 'graphql';
import { createSchema, createYoga } from 'graphql-yoga';
import { useServer } from 'graphql-ws/use/ws';
import { WebSocketServer } from 'ws';

const authors = [
  { id: 'a1', name: 'Ursula K. Le Guin', rival: 'a2' },
  { id: 'a2', name: 'Stanisław Lem', rival: 'a1' },
];
const books = [
  { title: 'The Dispossessed', genre: 'FICTION', pages: 341, author: 'a1', review: 'Two worlds.', printed: '9007199254740993', rating: 4.5 },
  { title: 'The Left Hand of Darkness', genre: 'FICTION', pages: 286, author: 'a1', review: 'Winter.', printed: '1000000' },
  { title: 'Solaris', genre: 'FICTION', pages: 204, author: 'a2', printed: '500000' },
  { title: 'Summa Technologiae', genre: 'SCIENCE', author: 'a2', review: 'Ahead of its time.', printed: '20000' },
  { title: 'Words Are My Matter', genre: 'HISTORY', pages: 352, author: 'a1', review: 'On writing.', printed: '30000' },
].map((b, i) => ({ id: `b${i + 1}`, type: 'Book', ...b }));
const magazines = [{ id: 'm1', type: 'Magazine', title: 'The Reader', rating: 3 }];
const fail = (text, code) => { throw new GraphQLError(text, { extensions: { code } }); };
const author = (id) => ({ type: 'Author', ...(authors.find((a) => a.id === id) ?? fail('there is no such author', 'NO_AUTHOR')) });
let ledger = [];
let ended = 0; // slow calls and subscriptions that the caller gave up

const holds = (c, b) =>
  (c.title == null || b.title.includes(c.title)) && (c.genre == null || b.genre === c.genre) && (c.minPages == null || (b.pages ?? 0) >= c.minPages) &&
  (c.all ?? []).every((inner) => holds(inner, b)) && !(c.not && holds(c.not, b));
const kept = async (file, note) => ({ filename: file.name, mimeType: file.type, size: file.size, content: await file.text(), note });

const resolvers = {
  Query: {
    book: (_, { id }) => books.find((b) => b.id === id),
    books(_, { genre, first, after }) {
      if (first == null) fail('you must provide first', 'NO_FIRST');
      const all = books.filter((b) => genre == null || b.genre === genre);
      const from = after ? Number(after.slice(1)) : 0;
      const nodes = all.slice(from, from + first);
      return {
        nodes, edges: nodes.map((node, i) => ({ node, cursor: `c${from + i + 1}` })), totalCount: all.length,
        pageInfo: { hasNextPage: from + nodes.length < all.length, endCursor: nodes.length ? `c${from + nodes.length}` : null },
      };
    },
    search: (_, { text }) => [...books, ...magazines].filter((i) => i.title.includes(text)),
    node: (_, { id }) => [...books, ...magazines].find((i) => i.id === id) ?? (id.startsWith('a') ? author(id) : null),
    matching: (_, { condition, limit }) => books.filter((b) => holds(condition, b)).slice(0, limit),
    echo: (_, { text }) => text,
    number: (_, { value }) => value,
    broken: () => fail('it is broken', 'BROKEN'),
    slow: (_, { milliseconds }, { request }) => new Promise((done) => {
      const timer = setTimeout(() => done('done'), milliseconds);
      request.signal.addEventListener('abort', () => { clearTimeout(timer); ended++; done('late'); });
    }),
    long: (_, { letters }) => 'x'.repeat(letters),
  },
  Mutation: {
    addBook(_, { input }) {
      author(input.author);
      const b = { type: 'Book', review: 'New.', printed: '0', ...input, id: `b${books.length + 1}` };
      books.push(b);
      return b;
    },
    keep: (_, { file, note }) => kept(file, note),
    keepAll: (_, { files }) => Promise.all(files.map((f) => kept(f))),
  },
  Subscription: {
    ticks: {
      async *subscribe(_, { count, milliseconds }) {
        let done = false;
        try {
          for (let i = 1; i <= count; i++) {
            await new Promise((next) => { setTimeout(next, milliseconds ?? 1); });
            yield { ticks: i };
          }
          done = true;
        } finally {
          if (!done) ended++;
        }
      },
    },
    refused: { subscribe: () => fail('nobody may listen', 'REFUSED') },
  },
  Author: { rival: (a) => author(a.rival), books: (a, { genre }) => books.filter((b) => b.author === a.id && b.genre === genre) },
  Book: { author: (b) => author(b.author), review: (b) => b.review ?? fail(`book ${b.id} has no review`, 'NO_REVIEW') },
  Item: { __resolveType: (i) => i.type },
  Node: { __resolveType: (i) => i.type },
};

const key = process.argv[3];
const schema = createSchema({ typeDefs: readFileSync(process.argv[2], 'utf8'), resolvers });
const note = ({ query, operationName, variables, extensions }) => {
  if (query && !query.includes('__schema')) ledger.push({ query, operationName, variables: JSON.parse(JSON.stringify(variables ?? {})), extensions });
};
const yoga = createYoga({ schema, logging: false, plugins: [{ onParams: ({ params }) => note(params) }] });
const server = createServer((request, response) => {
  if (request.url === '/ledger') {
    response.setHeader('Content-Type', 'application/json');
    response.end(JSON.stringify({ requests: ledger, ended }));
    ledger = [];
    return;
  }
  if (key && request.headers.authorization !== key) {
    response.writeHead(401).end('who are you?');
    return;
  }
  yoga(request, response);
});
const onConnect = ({ connectionParams }) => !key || connectionParams?.Authorization === key;
useServer({ schema, onConnect, onSubscribe: (_, __, payload) => { note(payload ?? {}); } }, new WebSocketServer({ server, path: '/graphql' }));
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.stdin.resume();
process.stdin.on('end', () => process.exit(0)); // the one who started it is gone
