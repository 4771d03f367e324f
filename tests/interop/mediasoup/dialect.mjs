// How mediasoup's demo names things: BARE while its server was written in JavaScript, to
// 2024; NAMED since it is in TypeScript. In the first an answer is what was asked for, in the
// second an object that says what is in it; a producer is controlled by requests in the first
// and by notifications in the second; and the second lets in only who says that he comes
// from a page of its own.

import { METHODS, ROUTES, Refused } from './room.mjs';

/** Who does not join within this time is sent away; by the demo after 10 s, in which a browser
 * that starts on a busy machine may not be ready. */
const JOIN_TIMEOUT_MS = 60_000;

const about = ({ id, displayName, device }) => ({ id, displayName, device });

export const BARE = {
  requests: METHODS,
  notifications: {},
  routes: ROUTES,
  newPeer: about,
  newConsumer: ({ transportId, consumerId, consumerScore, ...rest }) => ({ ...rest, id: consumerId }),
  unknown: (method) => new Refused(500, `unknown method "${method}"`),
  begin() {},
  admits: () => true,
  admitsPeer: () => true,
};

const named = ({ id, displayName, device, remoteAddress }) => ({ peerId: id, displayName, device, remoteAddress });

const withId = (name, { id, ...rest }) => ({ [name]: id, ...rest });

const SOURCES = ['audio', 'video', 'screensharing'];

/** What only a server of ours would let pass is refused. */
const produce = async (room, member, data) => {
  const { transportId, kind, rtpParameters, appData: { source } } = data;
  if (!member.joined) throw new Error('Peer not joined');
  if (!SOURCES.includes(source)) throw new TypeError(`invalid source: ${source}`);
  return withId('producerId', await room.produce(member, { transportId, kind, rtpParameters, appData: { source } }));
};

const DIRECTIONS = { producer: { producing: true }, consumer: { consuming: true } };

const direct = (direction) => {
  if (!Object.hasOwn(DIRECTIONS, direction)) throw new TypeError(`invalid transport direction: ${direction}`);
  return DIRECTIONS[direction];
};

/** A method of the first dialect that is told, and not asked for. */
const told = (method) => (room, member, data) => METHODS[method](room, member, data);

/** A route of the first dialect, below `/rooms/:roomId`. */
const route = (method, ...path) => ROUTES.find(([theirs, below]) => theirs === method && below.join() === path.join())[2];

export const NAMED = {
  requests: {
    getRouterRtpCapabilities: (room) => ({ routerRtpCapabilities: room.router.rtpCapabilities }),
    async createWebRtcTransport(room, member, { sctpCapabilities, forceTcp, appData: { direction } }) {
      const wanted = { sctpCapabilities, forceTcp, ...direct(direction) };
      return withId('transportId', await METHODS.createWebRtcTransport(room, member, wanted));
    },
    join(room, member, data) {
      clearTimeout(member.joining);
      METHODS.join(room, member, data);
      return { peers: room.others(member.id).map(named) };
    },
    connectWebRtcTransport: METHODS.connectWebRtcTransport,
    async restartIce(room, member, data) {
      return { iceParameters: await METHODS.restartIce(room, member, data) };
    },
    produce,
    getTransportStats: async (...request) => ({ stats: await METHODS.getTransportStats(...request) }),
    getProducerStats: async (...request) => ({ stats: await METHODS.getProducerStats(...request) }),
  },
  notifications: Object.fromEntries(
    ['closeProducer', 'pauseProducer', 'resumeProducer', 'pauseConsumer', 'resumeConsumer', 'requestConsumerKeyFrame']
      .map((method) => [method, told(method)]),
  ),
  // As the demo's, but that SRTP is passed on: without it, we do not send.
  routes: [
    ['GET', [], (room) => ({ routerRtpCapabilities: room.router.rtpCapabilities })],
    ['POST', ['broadcasters'], (room, _, { peerId, displayName, device }) => {
      room.remove(peerId);
      Object.assign(room.member(peerId), { displayName, device });
      return 'BroadcasterPeer created';
    }],
    ['POST', ['broadcasters', ':id', 'join'], (room, { id }) => {
      const member = room.known(id);
      if (member.joined) throw new Refused(409, 'Peer already joined');
      member.joined = true;
      room.notifyOthers(id, 'newPeer', NAMED.newPeer(member));
      room.emit('joined', { peerId: id });
      return 'BroadcasterPeer joined';
    }],
    ['DELETE', ['broadcasters', ':id'], route('DELETE', 'broadcasters', ':id')],
    ['POST', ['broadcasters', ':id', 'transports'], async (room, path, { direction, ...rest }) => {
      direct(direction);
      return withId('transportId', await route('POST', 'broadcasters', ':id', 'transports')(room, path, { ...rest, type: 'plain' }));
    }],
    ['POST', ['broadcasters', ':id', 'transports', ':transportId', 'connect'],
      route('POST', 'broadcasters', ':id', 'transports', ':transportId', 'connect')],
    ['POST', ['broadcasters', ':id', 'producers'], (room, { id }, data) => produce(room, room.known(id), data)],
  ],
  newPeer: (member) => ({ peer: named(member) }),
  newConsumer: (consumer) => consumer,
  unknown: (method) => new Error(`unknown request method '${method}'`),
  begin(member, version) {
    member.peer.notify('mediasoupVersion', { version }).catch(() => {});
    member.joining = setTimeout(() => member.peer.close(), JOIN_TIMEOUT_MS);
    member.peer.on('close', () => clearTimeout(member.joining));
  },
  /** Of HTTP: from a page of the server's own. */
  admits: (origin, ours) => origin === ours,
  /** Of a WebSocket: from the same host, whatever the port. */
  admitsPeer(origin, ours) {
    const host = (text) => URL.canParse(text) && `${new URL(text).protocol}//${new URL(text).hostname}`;
    return Boolean(host(origin)) && host(origin) === host(ours);
  },
};
