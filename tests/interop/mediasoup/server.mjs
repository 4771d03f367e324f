// A signalling server as mediasoup's demo has it, for tests: protoo over WebSocket, the
// broadcasters' HTTP, and control of what a test wants to see or to break.
//
//   node server.mjs --modules FOLDER --worker FILE [--token TOKEN]
//       [--dialect bare|named] [--chromium FILE] [--scratch FOLDER] [--alone]
//
// FOLDER holds node_modules (make interop-deps). The first line of the output is
// {"port":…}; what happens is written after it, a line of JSON each. Lines on the input
// are requests, {"id":…,"method":…,"data":{…}}, as is HTTP on the same port:
// /control/METHOD. It ends with SIGTERM, and when its input is closed, so that none
// outlives its test; with --alone it does not look at its input.

import { createRequire } from 'node:module';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';

import { Browsers } from './browser.mjs';
import { BARE, NAMED } from './dialect.mjs';
import { Refused, Room } from './room.mjs';

const { values: options } = parseArgs({
  options: {
    modules: { type: 'string' },
    worker: { type: 'string' },
    chromium: { type: 'string', default: 'chromium' },
    scratch: { type: 'string' },
    token: { type: 'string' },
    dialect: { type: 'string', default: 'bare' },
    alone: { type: 'boolean', default: false },
  },
});
// mediasoup reads it when it is loaded.
process.env.MEDIASOUP_WORKER_BIN = options.worker;
const require = createRequire(`${options.modules}/package.json`);
const mediasoup = require('mediasoup');
const protoo = require('protoo-server');

const words = { bare: BARE, named: NAMED }[options.dialect];
const log = [];
const rooms = new Map();
const sockets = new Set();
let worker;

// mediasoup has integers that JSON does not.
const json = (value) => JSON.stringify(value, (_, item) => (typeof item === 'bigint' ? Number(item) : item));
const emit = (event) => process.stdout.write(`${json({ time: Date.now(), ...event })}\n`);

/** A worker that died is replaced when the next room is asked for. */
const theWorker = () => {
  worker ??= mediasoup.createWorker({ logLevel: 'warn' }).then((created) => {
    created.on('died', () => {
      worker = undefined;
      // The demo ends with its worker, and the sockets with it.
      for (const socket of sockets) socket.destroy();
      rooms.clear();
      emit({ event: 'worker-died' });
    });
    return created;
  });
  return worker;
};

/** One room an id, also when two ask at the same time. */
const theRoom = (id) => {
  if (!rooms.has(id)) rooms.set(id, theWorker().then((working) => Room.create(id, working, words, emit)));
  return rooms.get(id);
};

const existingRoom = async (id) => {
  if (!rooms.has(id)) throw new Refused(404, `room with id "${id}" not found`);
  return rooms.get(id);
};

/** Where the server's own page is. */
const origin = () => `http://127.0.0.1:${server.address().port}`;

const isAllowed = (url, headers) => {
  const given = [url.searchParams.get('token'), headers.authorization?.replace(/^Bearer /, '')];
  return options.token === undefined || given.includes(options.token);
};

const browsers = new Browsers({ require, modules: options.modules, program: options.chromium, scratch: options.scratch, emit });

/** What a test can ask for. */
const CONTROL = {
  'create-room': async ({ roomId }) => ({ codecs: (await theRoom(roomId)).router.rtpCapabilities.codecs.length }),
  'close-room': async ({ roomId }) => {
    (await existingRoom(roomId)).close();
    rooms.delete(roomId);
  },
  'close-peer': async ({ roomId, peerId }) => (await existingRoom(roomId)).members.get(peerId)?.peer?.close(),
  stats: async ({ roomId }) => (await existingRoom(roomId)).stats(),
  watch: async ({ roomId }) => (await existingRoom(roomId)).watch(),
  'request-keyframe': async ({ roomId }) => (await existingRoom(roomId)).requestKeyframe(),
  'kill-worker': async () => process.kill((await theWorker()).pid, 'SIGKILL'),
  log: () => log,
  browse: (data) => browsers.open(origin(), data),
  'close-browser': ({ browser }) => browsers.close(browser),
  report: ({ browser, ...report }) => emit({ event: 'report', browser, ...report }),
};

const control = (method, data) => {
  if (!Object.hasOwn(CONTROL, method)) throw new Refused(404, `no such control: ${method}`);
  return CONTROL[method](data);
};

const body = async (request) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  return parts.length ? JSON.parse(Buffer.concat(parts)) : {};
};

/** The parts of a path that a pattern names, or nothing if it is another. */
const match = (pattern, path) => {
  if (pattern.length !== path.length) return undefined;
  const named = {};
  const fits = pattern.every((part, index) => {
    if (part.startsWith(':')) named[part.slice(1)] = path[index];
    return part.startsWith(':') || part === path[index];
  });
  return fits ? named : undefined;
};

const answer = async (request, url) => {
  const [first, ...path] = url.pathname.split('/').filter(Boolean).map(decodeURIComponent);
  const data = { ...Object.fromEntries(url.searchParams), ...(await body(request)) };
  if (first === 'control') return control(path[0], data);
  // The short ways: GET /stats, POST /kill-worker and so on.
  if (first !== 'rooms') return control(first, data);
  if (!words.admits(request.headers.origin, origin())) throw new Refused(403, 'not from here');
  if (!isAllowed(url, request.headers)) throw new Refused(401, 'token is missing or wrong');
  const room = await existingRoom(path[0]);
  for (const [method, pattern, serve] of words.routes) {
    const named = method === request.method && match(pattern, path.slice(1));
    if (named) {
      const response = await serve(room, named, data);
      log.push({ roomId: room.id, http: `${method} /${path.join('/')}`, data, response });
      return response;
    }
  }
  throw new Refused(404, 'no such route');
};

const server = createServer(async (request, response) => {
  const url = new URL(request.url, 'http://127.0.0.1');
  const send = (status, type, content) => response.writeHead(status, { 'content-type': type }).end(content);
  try {
    if (url.pathname === '/page') return send(200, 'text/html', '<!doctype html><script src="/page.js"></script>');
    if (url.pathname === '/page.js') return send(200, 'text/javascript', await browsers.script());
    send(200, 'application/json', json((await answer(request, url)) ?? {}));
  } catch (error) {
    send(error.status ?? 500, 'text/plain', String(error.message ?? error));
  }
});

const webSockets = new protoo.WebSocketServer(server, {
  maxReceivedFrameSize: 960_000,
  maxReceivedMessageSize: 960_000,
  fragmentOutgoingMessages: false,
});

webSockets.on('connectionrequest', async ({ request, socket }, accept, reject) => {
  const url = new URL(request.url, 'http://127.0.0.1');
  const { roomId, peerId } = Object.fromEntries(url.searchParams);
  if (!words.admitsPeer(request.headers.origin, origin())) return reject(403, 'not from here');
  if (!roomId || !peerId) return reject(400, 'connection request without roomId and/or peerId');
  if (!isAllowed(url, request.headers)) return reject(403, 'token is missing or wrong');
  // Before anything is waited for: requests can follow at once.
  const peer = new protoo.Room().createPeer(peerId, accept());
  sockets.add(socket);
  const ready = theRoom(roomId).then((room) => {
    // As in the demo: who comes again takes the place of who was there.
    room.members.get(peerId)?.peer?.close();
    room.remove(peerId);
    const member = room.member(peerId, peer);
    member.remoteAddress = socket.remoteAddress;
    words.begin(member, mediasoup.version);
    return { room, member };
  });
  ready.catch(() => peer.close());
  peer.on('request', async (message, grant, refuse) => {
    const entry = { roomId, peerId, id: message.id, method: message.method, data: message.data };
    log.push(entry);
    try {
      if (!Object.hasOwn(words.requests, message.method)) throw words.unknown(message.method);
      const { room, member } = await ready;
      entry.response = await words.requests[message.method](room, member, message.data ?? {});
      grant(entry.response);
    } catch (error) {
      entry.refused = String(error.message);
      refuse(error.status ?? 500, String(error.message));
    }
    emit({ event: 'request', ...entry });
  });
  peer.on('notification', async (message) => {
    const entry = { roomId, peerId, method: message.method, data: message.data };
    log.push(entry);
    try {
      if (!Object.hasOwn(words.notifications, message.method)) throw words.unknown(message.method);
      const { room, member } = await ready;
      await words.notifications[message.method](room, member, message.data ?? {});
    } catch (error) {
      // Nobody is told, in the demo either.
      entry.refused = String(error.message);
    }
    emit({ event: 'notification', ...entry });
  });
  peer.on('close', async () => {
    sockets.delete(socket);
    const { room, member } = await ready.catch(() => ({}));
    if (room?.members.get(peerId) === member) room?.remove(peerId);
  });
});

const end = async () => {
  await browsers.closeAll();
  // The worker ends when its pipe is closed.
  process.exit(0);
};
process.on('SIGTERM', end);
process.on('SIGINT', end);
if (!options.alone) {
  const lines = createInterface({ input: process.stdin });
  lines.on('close', end);
  lines.on('line', async (line) => {
    const { id, method, data } = JSON.parse(line);
    try {
      emit({ id, response: (await control(method, data ?? {})) ?? null });
    } catch (error) {
      emit({ id, refused: String(error.message ?? error) });
    }
  });
}

await theWorker();
server.listen(0, '127.0.0.1', () => emit({ port: server.address().port }));
