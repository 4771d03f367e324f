// A room of mediasoup's demo: one router, peers that join by protoo, broadcasters that
// come by HTTP. Method names and the shapes of data are those of the demo, so that what
// is tested with this server works with that one: here those it had in JavaScript, and in
// dialect.mjs what is otherwise since it is in TypeScript.

export const MEDIA_CODECS = [
  { kind: 'audio', mimeType: 'audio/opus', clockRate: 48000, channels: 2 },
  { kind: 'video', mimeType: 'video/VP8', clockRate: 90000, parameters: { 'x-google-start-bitrate': 1000 } },
  { kind: 'video', mimeType: 'video/VP9', clockRate: 90000, parameters: { 'profile-id': 0, 'x-google-start-bitrate': 1000 } },
  ...['4d0032', '42e01f'].map((level) => ({
    kind: 'video',
    mimeType: 'video/H264',
    clockRate: 90000,
    parameters: {
      'packetization-mode': 1,
      'profile-level-id': level,
      'level-asymmetry-allowed': 1,
      'x-google-start-bitrate': 1000,
    },
  })),
];

const LISTEN = (protocol) => ({ protocol, ip: '127.0.0.1' });

/** What a request is refused with: `status` for HTTP, `message` for protoo. */
export class Refused extends Error {
  constructor(status, reason) {
    super(reason);
    this.status = status;
  }
}

const known = (map, id, what) => {
  const found = map.get(id);
  if (!found) throw new Refused(404, `${what} with id "${id}" not found`);
  return found;
};

export class Room {
  /** `emit` is told what happens: scores, traces, what comes and goes. `words` is a dialect. */
  static async create(id, worker, words, emit) {
    const room = new Room();
    room.id = id;
    room.words = words;
    room.router = await worker.createRouter({ mediaCodecs: MEDIA_CODECS });
    room.members = new Map();
    room.emit = (event, fields) => emit({ event, roomId: id, ...fields });
    return room;
  }

  member(id, peer) {
    const member = {
      id, peer, joined: false, transports: new Map(), producers: new Map(), consumers: new Map(), dataProducers: new Map(),
    };
    this.members.set(id, member);
    return member;
  }

  known(id) {
    return known(this.members, id, 'broadcaster');
  }

  remove(id) {
    const member = this.members.get(id);
    if (!member) return;
    this.members.delete(id);
    for (const transport of member.transports.values()) transport.close();
    if (member.joined) this.notifyOthers(id, 'peerClosed', { peerId: id });
    this.emit('peer-gone', { peerId: id });
  }

  others(id) {
    return [...this.members.values()].filter((member) => member.id !== id && member.joined);
  }

  notifyOthers(id, method, data) {
    for (const other of this.others(id)) other.peer?.notify(method, data).catch(() => {});
  }

  keep(member, transport) {
    member.transports.set(transport.id, transport);
    transport.observer.once('close', () => member.transports.delete(transport.id));
    // As in the demo: who has no path any more is sent away.
    const isOver = (state) => ['disconnected', 'failed', 'closed'].includes(state);
    for (const change of ['icestatechange', 'dtlsstatechange']) {
      transport.on(change, (state) => isOver(state) && member.peer?.close());
    }
    for (const change of ['icestatechange', 'iceselectedtuplechange', 'dtlsstatechange', 'tuple']) {
      transport.on(change, (value) => this.emit(change, { peerId: member.id, transportId: transport.id, value }));
    }
    return transport;
  }

  async produce(member, { transportId, kind, rtpParameters, appData }) {
    const transport = known(member.transports, transportId, 'transport');
    const producer = await transport.produce({ kind, rtpParameters, appData: { ...appData, peerId: member.id } });
    const about = { peerId: member.id, producerId: producer.id, kind };
    member.producers.set(producer.id, producer);
    producer.observer.once('close', () => member.producers.delete(producer.id));
    producer.on('score', (score) => {
      member.peer?.notify('producerScore', { producerId: producer.id, score }).catch(() => {});
      this.emit('score', { ...about, score });
    });
    // SRs and key frames that came, PLI and FIR that went back. (Of NACKs it tells with
    // each PLI; the statistics count them.)
    await producer.enableTraceEvent(['keyframe', 'pli', 'fir', 'sr']);
    producer.on('trace', ({ type, direction, info }) => this.emit('trace', { ...about, type, direction, info }));
    for (const other of this.others(member.id)) this.offer(other, member, producer);
    this.emit('producer', about);
    return { id: producer.id };
  }

  /** Asks a peer to consume; it gets media after its answer, as in the demo. */
  async offer(member, from, producer) {
    const { rtpCapabilities } = member;
    const { router } = this;
    const transport = [...member.transports.values()].find(({ appData }) => appData.consuming);
    if (!rtpCapabilities || !transport || !router.canConsume({ producerId: producer.id, rtpCapabilities })) return;
    try {
      const consumer = await transport.consume({ producerId: producer.id, rtpCapabilities, enableRtx: true, paused: true });
      const about = { peerId: member.id, producerId: producer.id, consumerId: consumer.id, kind: consumer.kind };
      const notify = (method, data) => member.peer.notify(method, { consumerId: consumer.id, ...data }).catch(() => {});
      member.consumers.set(consumer.id, consumer);
      consumer.observer.once('close', () => member.consumers.delete(consumer.id));
      consumer.on('producerclose', () => notify('consumerClosed'));
      consumer.on('producerpause', () => notify('consumerPaused'));
      consumer.on('producerresume', () => notify('consumerResumed'));
      consumer.on('layerschange', (layers) => notify('consumerLayersChanged', layers ?? {}));
      consumer.on('score', (score) => {
        notify('consumerScore', { score });
        this.emit('consumer-score', { ...about, score });
      });
      // What the consumer asked for, and the router passed on or answered itself.
      await consumer.enableTraceEvent(['keyframe', 'pli', 'fir']);
      consumer.on('trace', ({ type, direction, info }) => this.emit('consumer-trace', { ...about, type, direction, info }));
      await member.peer.request('newConsumer', this.words.newConsumer({
        peerId: from.id,
        transportId: transport.id,
        consumerId: consumer.id,
        producerId: producer.id,
        kind: consumer.kind,
        rtpParameters: consumer.rtpParameters,
        type: consumer.type,
        producerPaused: consumer.producerPaused,
        consumerScore: consumer.score,
        appData: producer.appData,
      }));
      await consumer.resume();
      notify('consumerScore', { score: consumer.score });
      this.emit('consumer', about);
    } catch (error) {
      this.emit('consumer-failed', { peerId: member.id, producerId: producer.id, reason: String(error) });
    }
  }

  /** Consumes all there is without a browser, so that key frames can be asked for. */
  async watch() {
    this.watcher ??= await this.router.createDirectTransport();
    this.watched ??= new Map();
    for (const member of this.members.values()) {
      for (const producer of member.producers.values()) {
        if (this.watched.has(producer.id)) continue;
        const consumer = await this.watcher.consume({ producerId: producer.id, rtpCapabilities: this.router.rtpCapabilities });
        const seen = { consumer, kind: producer.kind, packets: 0, octets: 0, marked: 0 };
        this.watched.set(producer.id, seen);
        consumer.observer.once('close', () => this.watched.delete(producer.id));
        consumer.on('rtp', (packet) => {
          seen.packets += 1;
          seen.octets += packet.length;
          seen.marked += packet[1] >> 7;
        });
      }
    }
    return this.seen();
  }

  seen() {
    return [...(this.watched ?? new Map())].map(([producerId, { consumer, ...counts }]) => ({ producerId, ...counts }));
  }

  async requestKeyframe() {
    const ours = [...(this.watched?.values() ?? [])].map(({ consumer }) => consumer);
    const theirs = [...this.members.values()].flatMap((member) => [...member.consumers.values()]);
    const video = [...ours, ...theirs].filter(({ kind }) => kind === 'video');
    await Promise.all(video.map((consumer) => consumer.requestKeyFrame()));
    return { asked: video.length };
  }

  async stats() {
    const each = (map, fields) => Promise.all([...map.values()].map(async (item) => ({
      id: item.id, ...fields(item), stats: await item.getStats(),
    })));
    const peers = await Promise.all([...this.members.values()].map(async (member) => ({
      id: member.id,
      joined: member.joined,
      transports: await each(member.transports, ({ appData, iceState, dtlsState, tuple, iceSelectedTuple }) => (
        { appData, iceState, dtlsState, tuple: tuple ?? iceSelectedTuple })),
      producers: await each(member.producers, ({ kind, score, paused, rtpParameters }) => ({ kind, score, paused, rtpParameters })),
      consumers: await each(member.consumers, ({ kind, score, paused, producerId }) => ({ kind, score, paused, producerId })),
    })));
    return { peers, seen: this.seen() };
  }

  close() {
    for (const id of [...this.members.keys()]) this.remove(id);
    this.router.close();
  }
}

/** What a peer can ask for by protoo. */
export const METHODS = {
  getRouterRtpCapabilities: (room) => room.router.rtpCapabilities,

  async createWebRtcTransport(room, member, { forceTcp, producing, consuming, sctpCapabilities }) {
    const transport = room.keep(member, await room.router.createWebRtcTransport({
      listenInfos: forceTcp ? [LISTEN('tcp')] : [LISTEN('udp'), LISTEN('tcp')],
      enableUdp: !forceTcp,
      enableTcp: true,
      preferUdp: true,
      iceConsentTimeout: 20,
      enableSctp: Boolean(sctpCapabilities),
      numSctpStreams: sctpCapabilities?.numStreams,
      appData: { producing, consuming },
    }));
    const { id, iceParameters, iceCandidates, dtlsParameters, sctpParameters } = transport;
    return { id, iceParameters, iceCandidates, dtlsParameters, sctpParameters };
  },

  join(room, member, { displayName, device, rtpCapabilities, sctpCapabilities }) {
    if (member.joined) throw new Refused(400, 'peer already joined');
    Object.assign(member, { joined: true, displayName, device, rtpCapabilities, sctpCapabilities });
    const others = room.others(member.id);
    // After the answer, as in the demo.
    setImmediate(() => {
      for (const other of others) {
        for (const producer of other.producers.values()) room.offer(member, other, producer);
      }
    });
    room.notifyOthers(member.id, 'newPeer', room.words.newPeer(member));
    room.emit('joined', { peerId: member.id });
    return { peers: others.map(({ id, displayName: name, device: theirs }) => ({ id, displayName: name, device: theirs })) };
  },

  async connectWebRtcTransport(room, member, { transportId, dtlsParameters }) {
    await known(member.transports, transportId, 'transport').connect({ dtlsParameters });
  },

  async restartIce(room, member, { transportId }) {
    return known(member.transports, transportId, 'transport').restartIce();
  },

  produce(room, member, data) {
    if (!member.joined) throw new Refused(400, 'peer not yet joined');
    return room.produce(member, data);
  },

  async produceData(room, member, { transportId, sctpStreamParameters, label, protocol, appData }) {
    const transport = known(member.transports, transportId, 'transport');
    const producer = await transport.produceData({ sctpStreamParameters, label, protocol, appData });
    member.dataProducers.set(producer.id, producer);
    return { id: producer.id };
  },

  async closeProducer(room, member, { producerId }) {
    known(member.producers, producerId, 'producer').close();
  },
  async pauseProducer(room, member, { producerId }) {
    await known(member.producers, producerId, 'producer').pause();
  },
  async resumeProducer(room, member, { producerId }) {
    await known(member.producers, producerId, 'producer').resume();
  },
  async pauseConsumer(room, member, { consumerId }) {
    await known(member.consumers, consumerId, 'consumer').pause();
  },
  async resumeConsumer(room, member, { consumerId }) {
    await known(member.consumers, consumerId, 'consumer').resume();
  },
  async requestConsumerKeyFrame(room, member, { consumerId }) {
    await known(member.consumers, consumerId, 'consumer').requestKeyFrame();
  },
  getTransportStats: (room, member, { transportId }) => known(member.transports, transportId, 'transport').getStats(),
  getProducerStats: (room, member, { producerId }) => known(member.producers, producerId, 'producer').getStats(),
};

/** What a broadcaster can ask for by HTTP: `[method, path below /rooms/:roomId, what]`. */
export const ROUTES = [
  ['GET', [], (room) => room.router.rtpCapabilities],
  ['POST', ['broadcasters'], (room, _, { id, displayName, device, rtpCapabilities }) => {
    if (room.members.has(id)) throw new Refused(400, `broadcaster with id "${id}" already exists`);
    Object.assign(room.member(id), { joined: true, displayName, device, rtpCapabilities });
    room.notifyOthers(id, 'newPeer', room.words.newPeer(room.known(id)));
    room.emit('joined', { peerId: id });
    return { peers: room.others(id).map((other) => ({ id: other.id, displayName: other.displayName })) };
  }],
  ['DELETE', ['broadcasters', ':id'], (room, { id }) => {
    known(room.members, id, 'broadcaster');
    room.remove(id);
    return 'broadcaster deleted';
  }],
  ['POST', ['broadcasters', ':id', 'transports'], async (room, { id }, data) => {
    const member = known(room.members, id, 'broadcaster');
    if (data.type !== 'plain') return METHODS.createWebRtcTransport(room, member, { producing: true, ...data });
    const { comedia, rtcpMux, enableSrtp, srtpCryptoSuite } = data;
    const transport = room.keep(member, await room.router.createPlainTransport({
      listenInfo: LISTEN('udp'), comedia, rtcpMux, enableSrtp, srtpCryptoSuite,
    }));
    const { localAddress, localPort } = transport.tuple;
    return {
      id: transport.id,
      ip: localAddress,
      port: localPort,
      rtcpPort: transport.rtcpTuple?.localPort,
      srtpParameters: transport.srtpParameters,
    };
  }],
  // With comedia a plain transport takes srtpParameters and nothing else.
  ['POST', ['broadcasters', ':id', 'transports', ':transportId', 'connect'], async (room, { id, transportId }, data) => {
    const transport = known(known(room.members, id, 'broadcaster').transports, transportId, 'transport');
    await transport.connect(data);
    return { srtpParameters: transport.srtpParameters };
  }],
  ['POST', ['broadcasters', ':id', 'transports', ':transportId', 'producers'], (room, { id, transportId }, data) =>
    room.produce(known(room.members, id, 'broadcaster'), { transportId, ...data })],
];
