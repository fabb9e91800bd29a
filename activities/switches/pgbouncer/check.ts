import { isRetryable } from '../../../workflows/model/failure.ts';
import { addressText } from '../../../workflows/model/traffic.ts';
import type { Run } from '../../io/run.ts';
import type { SwitchCheck } from '../switch.ts';
import { askWho } from './confirm.ts';
import type { Live } from './console.ts';
import { Console } from './console.ts';
import { checkWritable, readEntries } from './file.ts';
import type { Use } from './options.ts';
import { isHeld } from './state.ts';

/** Rights in the console and on the file, whether both are of one mind, and whether a query comes through. Changes nothing. */
export async function checkPooler(use: Use, run: Run): Promise<SwitchCheck[]> {
  const path = await checkWritable(use);
  const { targets } = await readEntries(use);
  await using console = await Console.open(use, run);
  const live = await console.live();
  const settings = new Map((await console.ask('SHOW CONFIG')).map(({ key, value }) => [String(key), String(value)]));
  const apart = live.filter((each, index) => !isSame(each, targets[index]));
  return [
    { name: 'file of the entries', ok: true, found: `${path} can be replaced` },
    rightsCheck(use, settings.get('admin_users') ?? ''),
    {
      ...{ name: 'the pooler follows the file', ok: apart.length === 0 },
      found: apart.length === 0 ? 'every entry leads where the file says' : apart.map(leadText).join(', '),
      ...(apart.length === 0 ? {} : { hint: `write %include ${path} into pgbouncer.ini; then RELOAD in its console` }),
    },
    waitCheck(settings.get('query_wait_timeout') ?? '0'),
    ...(await Promise.all(live.filter((each) => !isHeld(each)).map((each) => throughCheck(use, each, run)))),
  ];
}

function isSame({ host, port }: Live, target: { host: string; port: number } | undefined): boolean {
  return target?.host === host && target.port === port;
}

function leadText({ database, host, port }: Live): string {
  return `${database} leads to ${addressText({ host, port })}`;
}

/** Who may only look is told so at the first command that changes something: too late. */
function rightsCheck({ options }: Use, adminUsers: string): SwitchCheck {
  const { user, host } = options.console;
  // Its own user, over its socket, is always let in.
  const isOwn = user === 'pgbouncer' && host.startsWith('/');
  const ok = isOwn || adminUsers.split(/[\s,]+/).includes(user);
  const found = `admin_users = ${adminUsers === '' ? 'nobody' : adminUsers}`;
  return {
    ...{ name: `${user} may pause and reload`, ok, found },
    ...(ok ? {} : { hint: `add ${user} to admin_users of pgbouncer.ini, and reload it` }),
  };
}

function waitCheck(seconds: string): SwitchCheck {
  const isEndless = Number(seconds) === 0;
  return {
    ...{ name: 'clients wait while traffic is stopped', ok: true, found: `query_wait_timeout = ${seconds}` },
    ...(isEndless ? {} : { hint: `after ${seconds} s they are sent away with an error: set query_wait_timeout = 0` }),
  };
}

/** A server that does not answer is what traffic is moved away from; who is not let in would never be confirmed. */
async function throughCheck(use: Use, { database, host, port }: Live, run: Run): Promise<SwitchCheck> {
  const { ok, found, error } = await askWho(use, { database, wanted: addressText({ host, port }) }, run);
  const name = `${database} through the pooler`;
  if (ok) return { name, ok, found };
  const isAway = error !== undefined && isRetryable(error);
  const hint = isAway ? 'see whether the server is up' : 'correct `through`: a move is confirmed by such a query';
  return { name, ok: isAway, found, hint };
}
