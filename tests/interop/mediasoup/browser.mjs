// Chromium with a page of ours. It is told to end by the pipe that its developers' tools
// would use: when that closes, whoever held the other end, it goes.

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-dev-shm-usage',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-extensions',
  '--mute-audio',
  // A page that nobody looks at is slowed down otherwise.
  '--disable-background-timer-throttling',
  '--disable-backgrounding-occluded-windows',
  '--disable-renderer-backgrounding',
  '--autoplay-policy=no-user-gesture-required',
  '--use-fake-device-for-media-stream',
  '--use-fake-ui-for-media-stream',
  '--disable-features=WebRtcHideLocalIpsWithMdns',
  '--allow-loopback-in-peer-connection',
  '--remote-debugging-pipe',
];

/** Ours: it needs a tenth of a second. */
const PATIENCE_MS = 3_000;

export class Browsers {
  constructor({ require, modules, program, scratch, emit }) {
    Object.assign(this, { require, modules, program, scratch: scratch ?? tmpdir(), emit, opened: 0, running: new Map() });
  }

  /** The page's script with all it needs, made once. */
  script() {
    this.bundle ??= this.require('esbuild').build({
      entryPoints: [fileURLToPath(new URL('./page.mjs', import.meta.url))],
      bundle: true,
      write: false,
      format: 'iife',
      platform: 'browser',
      define: { global: 'globalThis' },
      nodePaths: [join(this.modules, 'node_modules')],
      logLevel: 'error',
    }).then(({ outputFiles }) => outputFiles[0].contents);
    return this.bundle;
  }

  /** Opens the page; its parameters are what it is to do (page.mjs). */
  open(origin, parameters) {
    this.opened += 1;
    const browser = `browser-${this.opened}`;
    const profile = mkdtempSync(join(this.scratch, 'paceline-chromium-'));
    const query = new URLSearchParams({ ...parameters, browser });
    const child = spawn(this.program, [...FLAGS, `--user-data-dir=${profile}`, `${origin}/page?${query}`], {
      stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
    });
    // Read, so that it never waits for room.
    child.stdio[4].resume();
    for (const pipe of [child.stdio[3], child.stdio[4]]) pipe.on('error', () => {});
    const over = new Promise((done) => child.on('close', done)).then(() => {
      this.running.delete(browser);
      // Its children end a little later, and may write until then.
      rmSync(profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
    }).catch((error) => console.error(String(error)));
    child.on('error', (error) => this.emit({ event: 'browser-failed', browser, reason: String(error) }));
    child.on('exit', (code, signal) => this.emit({ event: 'browser-over', browser, code, signal }));
    this.running.set(browser, { child, over });
    return { browser };
  }

  async close(browser) {
    const { child, over } = this.running.get(browser) ?? {};
    // Asked, it waits for its children; they would be nobody's otherwise.
    child?.stdio[3].write('{"id":1,"method":"Browser.close"}\0');
    const patience = setTimeout(() => child?.kill('SIGKILL'), PATIENCE_MS);
    await over;
    clearTimeout(patience);
  }

  closeAll() {
    return Promise.all([...this.running.keys()].map((browser) => this.close(browser)));
  }
}
