import { constants } from 'node:fs';
import { access, readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { failure } from '../../../workflows/model/failure.ts';
import type { RunAs } from '../run-command.ts';
import { runCommand } from '../run-command.ts';

/** What the restoring host offers. */
export interface Host {
  /** Folder with `postgres` of the right major version. */
  binaries: string;
  /** Set when we are root: who runs the server and owns its files. */
  as?: RunAs;
}

/** Where a source's `restore` says that recovered servers come from. */
export interface HostOptions {
  /** Folder with postgres of the right major version; absent: looked for in the usual places. */
  binaries?: string | undefined;
  runAs?: string | undefined;
}

/** The programs of one major version, and who runs them. Unsupported when this host has none. */
export async function findHost(options: HostOptions, serverVersion: number): Promise<Host> {
  const as = await findUser(options.runAs);
  const binaries = await findBinaries(options.binaries, Math.floor(serverVersion / 10_000));
  return { binaries, ...(as ? { as } : {}) };
}

/** PostgreSQL refuses to run as root, so root has to name somebody else. */
export async function findUser(name: string | undefined): Promise<RunAs | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  if (name === undefined) {
    throw failure('Precondition', 'restore would run PostgreSQL as root, which it refuses', {
      place: 'restore.runAs',
      expected: 'an unprivileged user',
      found: 'root',
      hint: 'run the worker as the user that is to own the cluster, or set restore.runAs: postgres',
    });
  }
  const entry = (await readFile('/etc/passwd', 'utf8')).split('\n').find((line) => line.startsWith(`${name}:`));
  const [, , uid, gid] = entry?.split(':') ?? [];
  if (uid !== undefined && gid !== undefined) return { uid: Number(uid), gid: Number(gid) };
  throw failure('ConfigInvalid', `restore.runAs names no user of this host`, {
    place: 'restore.runAs',
    expected: 'a local user',
    found: name,
    hint: 'useradd it, or name another',
  });
}

async function findBinaries(wanted: string | undefined, major: number): Promise<string> {
  const path = ['/usr/local/bin', '/usr/bin'];
  const usual = [`/usr/lib/postgresql/${major}/bin`, `/usr/pgsql-${major}/bin`, `/usr/local/pgsql/bin`, ...path];
  const looked: string[] = [];
  for (const folder of wanted === undefined ? usual : [wanted]) {
    const version = await versionIn(folder);
    looked.push(`${folder}: ${version ?? 'no postgres'}`);
    if (version === String(major)) return folder;
  }
  throw failure('Unsupported', `PostgreSQL ${major} is not installed on this host`, {
    place: 'restore.binaries',
    expected: `a folder with postgres ${major}`,
    found: looked.join('; '),
    hint: `install PostgreSQL ${major}, or set restore.binaries to its bin folder`,
  });
}

async function versionIn(folder: string): Promise<string | undefined> {
  const program = join(folder, 'postgres');
  try {
    await access(program, constants.X_OK);
  } catch {
    return undefined;
  }
  const { stdout } = await runCommand(program, ['--version']);
  return /PostgreSQL\) (\d+)/.exec(stdout)?.[1];
}

/** Precondition when somebody listens there already. */
export async function checkPortFree(port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      const place = `127.0.0.1:${port}`;
      reject(
        failure('Precondition', `port ${port} is taken`, {
          place,
          expected: 'a free port',
          found: error.code ?? 'in use',
          hint: 'choose another with --port',
        }),
      );
    });
    server.listen(port, '127.0.0.1', () => server.close(() => resolve()));
  });
}
