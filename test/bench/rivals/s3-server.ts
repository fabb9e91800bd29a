import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { ensureTools } from '../../../workers/dev/setup/index.ts';
import { selfSigned } from '../../support/certificate.ts';
import { freePort } from '../../../activities/io/free-port.ts';
import type { Place } from './place.ts';

const HOST = '127.0.0.1';
const [ACCESS_KEY, SECRET_KEY] = ['bench-access', 'bench-secret'];

/** versitygw with TLS, because pgBackRest speaks nothing else to S3, on a folder beside the other stores; connections stay, as in S3. */
export async function withS3<T>(dir: string, use: (place: Place) => Promise<T>): Promise<T> {
  const { versitygw } = await ensureTools(['versitygw'], { log: (line) => console.error(line) });
  const data = join(dir, 's3');
  await mkdir(data, { mode: 0o755 });
  const { cert, key } = selfSigned(HOST);
  const [certFile, keyFile] = [join(dir, 's3.crt'), join(dir, 's3.key')];
  await writeFile(certFile, cert);
  await writeFile(keyFile, key, { mode: 0o600 });
  // Every process of ours reads it at its start.
  process.env['NODE_EXTRA_CA_CERTS'] = certFile;
  const port = await freePort();
  const args = [
    '--quiet',
    '--keep-alive',
    '--port',
    `${HOST}:${port}`,
    '--cert',
    certFile,
    '--key',
    keyFile,
    'posix',
    data,
  ];
  const env = { ...process.env, ROOT_ACCESS_KEY: ACCESS_KEY, ROOT_SECRET_KEY: SECRET_KEY };
  const server = spawn(versitygw, args, { env, stdio: ['ignore', 'ignore', 'inherit'] });
  const exited = once(server, 'exit');
  // Interrupted, we are gone at once.
  const kill = (): boolean => server.kill('SIGKILL');
  process.once('exit', kill);
  try {
    while (!(await answers(port))) {
      if (server.exitCode !== null) throw new Error(`versitygw ended with ${server.exitCode}`);
      await new Promise((wait) => setTimeout(wait, 20));
    }
    return await use({
      spot: async (name) => {
        // A folder at its top is a bucket.
        const bucket = `bench-${name}`;
        await mkdir(join(data, bucket), { recursive: true });
        const access = { host: HOST, port, bucket, region: 'us-east-1', accessKey: ACCESS_KEY, secretKey: SECRET_KEY };
        return { folder: join(data, bucket), s3: { ...access, caFile: certFile } };
      },
    });
  } finally {
    process.off('exit', kill);
    kill();
    await exited;
  }
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, HOST);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
