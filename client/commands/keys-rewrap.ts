import type { Command } from 'commander';
import type { RewrapOrder, RewrapResult } from '../../activities/rewrap-keys.ts';
import { knownSource } from '../sources.ts';
import { Stop } from '../stop.ts';
import type { Call, Handler, Outcome } from '../verb.ts';
import { addExamples } from '../verb.ts';

export function define(command: Command): Handler {
  command
    .argument('[source]', 'a source of lifeboat.yml; without it: all of them')
    .option('--from-root <file>', 'root key that the key files were wrapped for')
    .option('--from-recovery <file>', 'private half of the recovery key, when the root key is lost')
    .option('--dry-run', 'open every key file with the old key, and write nothing')
    .option('--accept-unvouched', 'with --from-recovery: also key files that no signed manifest vouches for');
  addExamples(command, [
    [
      'lifeboat keys rewrap --from-root keys/root.old',
      'after keys/root.key was replaced; docs/format.md, "Another root key"',
    ],
    [
      'lifeboat keys rewrap --from-recovery /media/usb/recovery.key',
      'the root key is lost, keys/root.key is a new one',
    ],
    ['lifeboat keys rewrap shop --from-root keys/root.old --dry-run', 'one source; look first'],
  ]);
  return rewrap;
}

async function rewrap(call: Call): Promise<Outcome> {
  const { host, out } = call;
  const choice = { from: oldKey(call), dryRun: flag(call, 'dryRun'), acceptUnvouched: flag(call, 'acceptUnvouched') };
  const [{ loadConfig }, { rewrapKeys }, { plainRun, silentLog }] = await Promise.all([
    import('../../activities/config/index.ts'),
    import('../../activities/rewrap-keys.ts'),
    import('../../activities/io/run.ts'),
  ]);
  const config = loadConfig({ path: call.configPath, environment: host.environment });
  const [source] = call.args;
  const sources = source === undefined ? Object.keys(config.sources) : [knownSource(config, source)];
  const order: RewrapOrder = { sources, ...choice };
  const log = { ...silentLog, warn: (message: string) => out.remark(message) };
  const run = plainRun({ signal: host.interrupted, log });
  const result = await rewrapKeys(config, order, run).catch((error: unknown) => {
    // By now nothing of it is under way any more.
    throw host.interrupted.aborted
      ? new Stop('Interrupted', 'interrupted', { hint: 'give it again: it goes on' })
      : error;
  });
  return { data: { dryRun: order.dryRun, ...result }, lines: linesOf(result, order) };
}

function oldKey({ options }: Call): RewrapOrder['from'] {
  const root = options['fromRoot'] as string | undefined;
  const recovery = options['fromRecovery'] as string | undefined;
  const hint = 'lifeboat keys rewrap --help';
  if (root !== undefined && recovery === undefined && options['acceptUnvouched'] === true)
    throw new Stop('Usage', '--accept-unvouched needs --from-recovery: a root key vouches for what it opens', { hint });
  if (root !== undefined && recovery === undefined) return { root };
  if (recovery !== undefined && root === undefined) return { recovery };
  const given = root === undefined ? 'neither was given' : 'not both';
  throw new Stop('Usage', `the old key is --from-root FILE or --from-recovery FILE, ${given}`, { hint });
}

function flag({ options }: Call, name: string): boolean {
  return options[name] === true;
}

function linesOf(result: RewrapResult, order: RewrapOrder): string[] {
  const { wrappedFor, sources } = result;
  const did = order.dryRun ? 'to wrap' : 'wrapped';
  const counts = sources.map(
    ({ source, store, wrapped, already }) =>
      `${source} in ${store}: ${keyFiles(wrapped.length)} ${did} for ${wrappedFor.join(' and ')}, ${already.length} were already`,
  );
  const unvouched = sources
    .flatMap((each) => each.unvouched)
    .map((key) => `${key}: no signed manifest vouches for it; WAL under it is no more authentic than the store`);
  const next = order.dryRun
    ? ['nothing was written; next: the same command without --dry-run']
    : nextLines(result, order);
  return [...counts, ...unvouched, ...next];
}

/** A WAL stream keeps the keys it began with: next month it would wrap a new key file for the old root. */
function nextLines({ from, wrappedFor, sources }: RewrapResult, order: RewrapOrder): string[] {
  const source = sources[0]?.source ?? 'SOURCE';
  const look = [`  lifeboat list ${source}, and lifeboat verify POINT`];
  const workers = 'put these root and recovery keys on every host of a worker and restart the workers; then';
  if ('recovery' in order.from) return [`next: ${workers}`, ...look, `  take ${order.from.recovery} offline again`];
  if (wrappedFor.includes(from))
    return [`next: ${workers}`, ...look, `  keep ${order.from.root}: it is still the root key`];
  return [
    `next: ${workers}`,
    ...look,
    '  this command once more, for what a worker wrapped with the old key meanwhile',
    `  destroy ${order.from.root} when no copy of the vault needs it any more`,
  ];
}

function keyFiles(count: number): string {
  return count === 1 ? '1 key file' : `${count} key files`;
}
