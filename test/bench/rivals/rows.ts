import { SMALL_FILE_BYTES } from '../engine-job.ts';
import { endSegment, flushLsn, WriteLoad, writeWal } from '../cluster.ts';
import { changeRows, makeSmallRelations, refuseSpoilt, spoil } from './changes.ts';
import type { Able, Contestant, Work, Works } from './contestant.ts';
import { isAble, unable } from './contestant.ts';
import { withArchiving, withFolder } from './grounds.ts';
import type { RowName } from './options.ts';
import { startOfSegment } from './segments.ts';
import { measureShipping } from './shipping.ts';
import type { Field } from './turns.ts';
import { takeTurns, withEveryone } from './turns.ts';

const CHAIN = 3;
const MANY_FILES = 1_000_000;

/** Names of the lines of the table. */
export const LINE = {
  full: 'full backup',
  restoreFiles: 'restore of a full backup: files on the disk',
  restoreOpened: 'restore of a full backup: opened',
  delta: 'restore in place, 5 % differs',
  changed: 'incremental, 1 % of rows changed',
  unchanged: 'incremental, nothing changed',
  chainFiles: `restore of a full and ${CHAIN} incrementals: files on the disk`,
  chainOpened: `restore of a full and ${CHAIN} incrementals: opened`,
  ship: 'WAL under full write load',
  replay: 'recovery from the store: replay to opened',
  verify: 'verify everything stored',
  small: 'full backup of many small relations',
  smallFiles: 'restore of many small relations: files on the disk',
  smallOpened: 'restore of many small relations: opened',
  hugeQuarter: 'backup of one huge relation, made up: its first quarter',
  huge: 'backup of one huge relation, made up',
  manyQuarter: 'backup of a million files, made up: their first quarter',
  many: 'backup of a million files, made up, and what a restore asks of its list',
} as const;

/** Each measures with everyone and leaves everyone with a whole backup. */
export const MEASURE: Readonly<Record<RowName, (field: Field) => Promise<void>>> = {
  full: measureFull,
  restore: (field) => measureRestore(field, { files: LINE.restoreFiles, opened: LINE.restoreOpened }),
  delta: measureDelta,
  incremental: measureIncremental,
  ship: measureShip,
  replay: measureReplay,
  verify: (field) =>
    takeTurns(field, { lines: [LINE.verify], pick: (one) => standing(field, one, asLine(LINE.verify, one.verify)) }),
  small: measureSmall,
  huge: (field) => measureSimulated(field, { quarter: LINE.hugeQuarter, all: LINE.huge }, [field.options.hugeBytes]),
  many: (field) =>
    measureSimulated(field, { quarter: LINE.manyQuarter, all: LINE.many }, [MANY_FILES * SMALL_FILE_BYTES, MANY_FILES]),
};

/** Everyone has a backup of what is there now, unmeasured. */
export async function backUpEveryone(field: Field): Promise<void> {
  field.fallen.clear();
  await keeping(field, () =>
    withEveryone(field, 'full backup', async ({ full }) => (isAble(full) ? await full() : undefined)),
  );
}

async function measureFull(field: Field): Promise<void> {
  await keeping(field, () => takeTurns(field, { lines: [LINE.full], pick: (one) => asLine(LINE.full, one.full) }));
}

async function measureRestore(field: Field, names: { files: string; opened: string }): Promise<void> {
  await takeTurns(field, {
    lines: [names.files, names.opened],
    pick: (one) => {
      const { restore } = one;
      if (!isAble(restore)) return restore;
      return standing(field, one, () =>
        withFolder(field.grounds, async (into) => {
          const { files, opened } = await restore(into);
          return { [names.files]: files, [names.opened]: opened };
        }),
      );
    },
  });
}

async function measureDelta(field: Field): Promise<void> {
  await takeTurns(field, {
    lines: [LINE.delta],
    pick: (one) => {
      const { delta } = one;
      if (!isAble(delta)) return delta;
      return standing(field, one, () =>
        withFolder(field.grounds, async (into) => {
          const work = await delta(into, () => spoil(into));
          await refuseSpoilt(into);
          return { [LINE.delta]: work };
        }),
      );
    },
  });
}

async function measureIncremental(field: Field): Promise<void> {
  const { server } = field.grounds.cluster;
  const pick = (line: string) => (one: Contestant) => standing(field, one, asLine(line, one.incremental));
  const change = (turn: number): Promise<void> => changeRows(server, turn);
  await takeTurns(field, { lines: [LINE.changed], pick: pick(LINE.changed), before: change });
  await takeTurns(field, { lines: [LINE.unchanged], pick: pick(LINE.unchanged) });
  await backUpEveryone(field);
  await keeping(field, async () => {
    for (let turn = 1; turn <= CHAIN; turn++) {
      await change(field.options.runs + turn);
      await withEveryone(field, 'incremental backup', async ({ incremental }) =>
        isAble(incremental) ? await incremental() : undefined,
      );
    }
  });
  const chained = field.contestants.map((one) =>
    isAble(one.incremental) ? one : { ...one, restore: one.incremental },
  );
  await measureRestore({ ...field, contestants: chained }, { files: LINE.chainFiles, opened: LINE.chainOpened });
}

async function measureShip(field: Field): Promise<void> {
  const { grounds, options } = field;
  const pick = ({ ship }: Contestant): Able<() => Promise<Works>> => {
    if (!isAble(ship)) return ship;
    return async () => {
      await WriteLoad.prepare(grounds.cluster.server);
      await catchUp(field);
      return { [LINE.ship]: await measureShipping(grounds, await ship(), options.walBytes) };
    };
  };
  await withArchiving(grounds, () => takeTurns(field, { lines: [LINE.ship], pick }));
  await grounds.cluster.server.sql('drop table if exists bench_sink, bench_rows');
  await catchUp(field);
}

async function measureReplay(field: Field): Promise<void> {
  const { grounds, options } = field;
  await WriteLoad.prepare(grounds.cluster.server);
  await backUpEveryone(field);
  await keeping(field, () => writeWal(grounds.cluster.server, options.walBytes));
  await takeTurns(field, {
    lines: [LINE.replay],
    pick: (one) => {
      const { replay } = one;
      if (!isAble(replay)) return replay;
      return standing(field, one, () =>
        withFolder(grounds, async (into) => ({
          [LINE.replay]: { ...(await replay(into)), walBytes: options.walBytes },
        })),
      );
    },
  });
  await grounds.cluster.server.sql('drop table if exists bench_sink, bench_rows');
}

async function measureSmall(field: Field): Promise<void> {
  await makeSmallRelations(field.grounds.cluster.server, field.options.smallRelations);
  await catchUp(field);
  await keeping(field, () => takeTurns(field, { lines: [LINE.small], pick: (one) => asLine(LINE.small, one.full) }));
  await measureRestore(field, { files: LINE.smallFiles, opened: LINE.smallOpened });
}

/** Memory is what it is about: after a quarter it should be what it is at the end, or grow with the list of files alone. */
async function measureSimulated(
  field: Field,
  names: { quarter: string; all: string },
  [bytes, files]: [bytes: number, files?: number],
): Promise<void> {
  await takeTurns(field, {
    lines: [names.quarter, names.all],
    pick: ({ simulated }) => {
      if (!isAble(simulated)) return simulated;
      return async () => {
        const { quarter, all } = await simulated(bytes, files);
        return { [names.quarter]: quarter, [names.all]: all };
      };
    },
  });
}

function asLine(line: string, able: Able<() => Promise<Work>>): Able<() => Promise<Works>> {
  return isAble(able) ? async () => ({ [line]: await able() }) : able;
}

function standing<Do extends object>(field: Field, { name }: Contestant, able: Able<Do>): Able<Do> {
  const why = field.fallen.get(name);
  return why === undefined ? able : unable(why);
}

/** Does something, and hands all WAL of it to everyone. */
async function keeping(field: Field, work: () => Promise<unknown>): Promise<void> {
  const { server } = field.grounds.cluster;
  const fromLsn = startOfSegment(await flushLsn(server));
  await work();
  const toLsn = await endSpan(field);
  await withEveryone(field, 'keeping WAL', (one) => one.keepWal({ fromLsn, toLsn }));
}

/** Ours holds a slot: what the others made the server write is not to be part of what is measured of it. */
export async function catchUp(field: Field): Promise<void> {
  const toLsn = await endSpan(field);
  await withEveryone(field, 'keeping WAL', async (one) => {
    if (one.ours) await one.keepWal({ fromLsn: toLsn, toLsn });
  });
}

/** A record, so that there is something to keep, and the end of its segment. */
async function endSpan({ grounds }: Field): Promise<string> {
  const { server } = grounds.cluster;
  await server.sql(`select pg_create_restore_point('bench')`);
  return endSegment(server);
}
