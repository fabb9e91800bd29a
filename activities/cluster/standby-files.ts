import { peerSlot } from '../../workflows/model/cluster.ts';
import { settingLine } from '../io/postgres/setting-line.ts';
import { readNodeFile, STANDBY_SIGNAL, writeNodeFile } from './files.ts';
import type { NodeUse } from './node.ts';
import { conninfoOf } from './settings.ts';

const AUTO = 'postgresql.auto.conf';
/** What makes a standby of a server, or what another server was made one by. */
const FOLLOWS = /^\s*(?:primary_conninfo|primary_slot_name|recovery_target\w*|recovery_end_command)\s*[= ]/i;

/** Makes a standby of `upstream` of a server that is down; the signal file first. A repeat writes the same. */
export async function writeStandbyFiles(use: NodeUse, upstream: string): Promise<void> {
  await writeNodeFile(use, STANDBY_SIGNAL, '');
  const lines = ((await readNodeFile(use, AUTO)) ?? '').split('\n');
  const kept = lines.filter((line) => !FOLLOWS.test(line) && line !== '');
  const own = [
    settingLine('primary_conninfo', conninfoOf(use, upstream)),
    settingLine('primary_slot_name', peerSlot(use.name)),
  ];
  await writeNodeFile(use, AUTO, [...kept, ...own, ''].join('\n'));
}
