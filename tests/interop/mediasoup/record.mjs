// Records what mediasoup-client in Chromium asks for when it sends, into the goldens of crates/publish.
//
//   node record.mjs --modules FOLDER --worker FILE [--chromium FILE]

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

for (const video of ['H264', 'VP8', 'VP9']) {
  const server = spawn(process.execPath, [here('server.mjs'), ...process.argv.slice(2)], { stdio: ['pipe', 'pipe', 'inherit'] });
  const exchanges = [];
  let produced = 0;
  for await (const line of createInterface({ input: server.stdout })) {
    const { port, event, failed, method, data, response, refused } = JSON.parse(line);
    if (failed ?? refused) throw new Error(failed ?? refused);
    if (port) {
      const parameters = { role: 'produce', roomId: 'golden', peerId: 'browser', video, audio: '1', ...(video === 'H264' && { profile: '42e01f' }) };
      server.stdin.write(`${JSON.stringify({ id: 1, method: 'browse', data: parameters })}\n`);
    }
    if (event !== 'request') continue;
    exchanges.push({ method, data, response });
    // Picture and sound.
    if (method === 'produce') produced += 1;
    if (produced === 2) break;
  }
  server.stdin.end();
  const file = here(`../../../crates/publish/tests/goldens/${video.toLowerCase()}.json`);
  writeFileSync(file, `${JSON.stringify(exchanges, null, 2)}\n`);
  console.log(`${file}: ${exchanges.map(({ method }) => method).join(', ')}`);
}
