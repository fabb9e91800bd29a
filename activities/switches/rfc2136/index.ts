import { failure } from '../../../workflows/model/failure.ts';
import type { Move } from '../../../workflows/model/traffic.ts';
import type { Run } from '../../io/run.ts';
import { stillToDo } from '../compare.ts';
import { defineSwitch } from '../switch.ts';
import { Authority } from './authority.ts';
import { checkRecord } from './check.ts';
import type { Options } from './options.ts';
import { schema } from './options.ts';
import type { Form } from './records.ts';
import { recordsFor } from './records.ts';
import { askResolvers, confirmationOf } from './resolvers.ts';
import { changeFrom, snapshotOf } from './state.ts';

const TIMES = 3;

/**
 * A DNS record that leads clients to the database, moved by dynamic updates (RFC 2136) signed with TSIG (RFC 8945). The
 * token stands in a TXT record beside it. Both are compared and set by the server in one update, so that a run that is over
 * cannot move anything any more, however late its message comes.
 */
export const rfc2136Switch = defineSwitch<Options>({
  kind: 'rfc2136',
  schema,
  describe: ({ name, type, server }) => `${name} ${type} at ${server.host}`,
  weighted: () => false,
  words: ({ name, parked }) => ({
    stopped: parked === undefined ? `${name} is taken away` : `${name} says ${parked}`,
  }),
  open: (name, options, run) => {
    const form: Form = { name, options };
    const authority = new Authority(form, run);
    return {
      where: async () => {
        const { traffic, token } = await snapshotOf(form, authority);
        return { traffic, token };
      },
      move: (order) => move(form, authority, { order, run }),
      confirm: async (to) => confirmationOf(await askResolvers(form, run), to),
      check: () => checkRecord(form, authority, run),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  },
});

async function move(form: Form, authority: Authority, { order, run }: { order: Move; run: Run }): Promise<void> {
  const { name, options } = form;
  const { to, token } = order;
  const records = recordsFor(form, to);
  for (let time = 0; time < TIMES; time++) {
    run.progress({ phase: `move of switch ${name}` });
    const seen = await snapshotOf(form, authority);
    const todo = stillToDo(name, seen, order);
    if (todo === 'nothing') return;
    if (await authority.update(changeFrom(form, seen, { token, ...(todo === 'move' ? { records } : {}) }))) return;
  }
  throw failure('Busy', `switch ${name}: ${options.name} is changed by others again and again`, {
    ...{ place: options.name, expected: 'a record that stays for a moment', found: `${TIMES} changes` },
    hint: 'it is tried again by itself',
  });
}
