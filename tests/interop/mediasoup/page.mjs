// What Chromium runs: mediasoup-client and protoo-client as a page would use them.
//
// role=consume   takes what the room has, and reports once a second what came of it
// role=produce   sends the fake camera and microphone; video=H264|VP8|VP9, audio=1,
//                profile=42e01f (of H.264; else the first that both have)

import { Device } from 'mediasoup-client';
import { Peer, WebSocketTransport } from 'protoo-client';

const parameters = Object.fromEntries(new URLSearchParams(location.search));
const { browser, role, roomId, peerId = browser, token } = parameters;
const begun = performance.now();

const report = (what) =>
  fetch('/control/report', { method: 'POST', body: JSON.stringify({ browser, role, ...what }) }).catch(() => {});

const fail = (error) => report({ failed: String(error?.stack ?? error) });
addEventListener('error', ({ error }) => fail(error));
addEventListener('unhandledrejection', ({ reason }) => fail(reason));

const query = new URLSearchParams({ roomId, peerId, ...(token ? { token } : {}) });
const peer = new Peer(new WebSocketTransport(`ws://${location.host}/?${query}`));
const device = new Device({ handlerName: 'Chrome111' });
const consumers = [];

/** Whether the server names what is in its answers (dialect.mjs); its first one shows. */
let named;

const transportFor = async (direction) => {
  const way = direction === 'send' ? 'producer' : 'consumer';
  const { transportId, ...rest } = await peer.request('createWebRtcTransport', {
    forceTcp: Boolean(parameters.tcp),
    ...(named ? { appData: { direction: way } } : { producing: way === 'producer', consuming: way === 'consumer' }),
    sctpCapabilities: parameters.sctp ? device.sctpCapabilities : undefined,
  });
  const options = named ? { ...rest, id: transportId } : rest;
  const transport = direction === 'send' ? device.createSendTransport(options) : device.createRecvTransport(options);
  transport.on('connect', ({ dtlsParameters }, done, failed) => {
    peer.request('connectWebRtcTransport', { transportId: transport.id, dtlsParameters }).then(done, failed);
  });
  transport.on('produce', ({ kind, rtpParameters, appData }, done, failed) => {
    const asked = { transportId: transport.id, kind, rtpParameters, appData: named ? { source: kind } : appData };
    peer.request('produce', asked).then(({ id, producerId }) => done({ id: named ? producerId : id }), failed);
  });
  transport.on('connectionstatechange', (state) => report({ direction, state }));
  return transport;
};

let receiving;

const consume = async ({ id, consumerId, producerId, kind, rtpParameters, peerId: from }) => {
  const asked = performance.now();
  const consumer = await receiving.consume({ id: named ? consumerId : id, producerId, kind, rtpParameters });
  const entry = { consumer, from };
  consumers.push(entry);
  consumer.observer.once('close', () => consumers.splice(consumers.indexOf(entry), 1));
  const element = document.createElement(kind);
  Object.assign(element, { autoplay: true, muted: kind === 'video', playsInline: true });
  element.srcObject = new MediaStream([consumer.track]);
  document.body.append(element);
  if (kind === 'video') {
    element.requestVideoFrameCallback((now, { width, height }) => {
      entry.first_frame_ms = now - asked;
      report({ first_frame: { producerId, from, after_ms: now - asked, at: performance.timeOrigin + now, width, height } });
    });
  }
};

peer.on('request', ({ method, data }, accept, reject) => {
  if (method !== 'newConsumer') return reject(403, `no ${method} here`);
  // Accepted when the transceiver stands: media follows the answer.
  return consume(data).then(() => accept(), (error) => {
    fail(error);
    reject(500, String(error));
  });
});
peer.on('notification', ({ method, data }) => {
  if (method !== 'consumerClosed') return;
  consumers.find(({ consumer }) => consumer.id === data.consumerId)?.consumer.close();
});
peer.on('disconnected', () => report({ state: 'disconnected' }));

const COUNTED = [
  'bytesReceived', 'concealedSamples', 'decoderImplementation', 'firCount', 'frameHeight', 'frameWidth', 'framesDecoded',
  'framesDropped', 'framesPerSecond', 'framesReceived', 'freezeCount', 'jitter', 'jitterBufferDelay', 'jitterBufferEmittedCount',
  'keyFramesDecoded', 'nackCount', 'packetsLost', 'packetsReceived', 'pauseCount', 'pliCount', 'retransmittedPacketsReceived',
  'silentConcealedSamples', 'totalAudioEnergy', 'totalFreezesDuration', 'totalSamplesReceived', 'totalDecodeTime',
];

const received = async ({ consumer, from, first_frame_ms }) => {
  const stats = [...(await consumer.getStats()).values()];
  const inbound = stats.find(({ type }) => type === 'inbound-rtp') ?? {};
  const codec = stats.find(({ id }) => id === inbound.codecId);
  const counts = Object.fromEntries(COUNTED.filter((name) => name in inbound).map((name) => [name, inbound[name]]));
  const { producerId, kind } = consumer;
  return { producerId, from, kind, codec: codec?.mimeType, first_frame_ms, ...counts };
};

const sent = async (producer) => {
  const stats = [...(await producer.getStats()).values()];
  const { framesEncoded, framesSent, keyFramesEncoded, packetsSent, pliCount, nackCount } =
    stats.find(({ type }) => type === 'outbound-rtp') ?? {};
  return { kind: producer.kind, producerId: producer.id, framesEncoded, framesSent, keyFramesEncoded, packetsSent, pliCount, nackCount };
};

const start = async () => {
  const capabilities = await peer.request('getRouterRtpCapabilities');
  named = 'routerRtpCapabilities' in capabilities;
  await device.load({ routerRtpCapabilities: named ? capabilities.routerRtpCapabilities : capabilities });
  const sending = role === 'produce' ? await transportFor('send') : undefined;
  receiving = role === 'consume' ? await transportFor('recv') : undefined;
  await peer.request('join', {
    displayName: role,
    device: { flag: 'chrome', name: 'Chrome', version: navigator.userAgent.match(/Chrome\/(\d+)/)?.[1] },
    rtpCapabilities: device.rtpCapabilities,
    sctpCapabilities: parameters.sctp ? device.sctpCapabilities : undefined,
  });
  const producers = [];
  if (sending) {
    const media = await navigator.mediaDevices.getUserMedia({
      audio: Boolean(parameters.audio),
      video: parameters.video ? { width: 640, height: 360, frameRate: 30 } : false,
    });
    for (const track of media.getTracks()) {
      const mime = track.kind === 'audio' ? 'audio/opus' : `video/${parameters.video}`;
      const { profile } = parameters;
      const codec = device.rtpCapabilities.codecs.find(({ mimeType, parameters: theirs }) =>
        mimeType.toLowerCase() === mime.toLowerCase()
        && (track.kind === 'audio' || !profile || theirs['profile-level-id'] === profile));
      if (!codec) throw new Error(`${mime} is not among what browser and router have`);
      producers.push(await sending.produce({ track, codec }));
    }
  }
  await report({ ready: true, after_ms: performance.now() - begun });
  setInterval(async () => {
    const streams = await Promise.all(consumers.map(received));
    report({ streams, sent: await Promise.all(producers.map(sent)) });
  }, 1000);
};

peer.on('open', () => start().catch(fail));
