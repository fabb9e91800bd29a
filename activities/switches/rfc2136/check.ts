import { failure, isFailure } from '../../../workflows/model/failure.ts';
import type { DnsRecord } from '../../io/dns/message.ts';
import { CLASS, TYPE } from '../../io/dns/message.ts';
import { negativeTtlS, textData } from '../../io/dns/rdata.ts';
import type { Run } from '../../io/run.ts';
import type { SwitchCheck } from '../switch.ts';
import type { Authority } from './authority.ts';
import { txtNameOf } from './options.ts';
import type { Form } from './records.ts';
import { absentData, TYPE_OF } from './records.ts';
import { askResolvers, enoughAnswer } from './resolvers.ts';
import type { Snapshot } from './state.ts';
import { snapshotOf, unchanged } from './state.ts';

/** How long clients may stay behind, whether this key may update, and whether the resolvers answer. */
export async function checkRecord(form: Form, authority: Authority, run: Run): Promise<SwitchCheck[]> {
  const seen = await snapshotOf(form, authority);
  const ttls = [ttlCheck(form, seen), await negativeTtlCheck(form, authority)].filter((check) => check !== undefined);
  return [...ttls, await rightToUpdate(form, authority, seen), await resolversCheck(form, run)];
}

function ttlCheck({ options }: Form, { records }: Snapshot): SwitchCheck | undefined {
  if (records.length === 0) return undefined;
  const ttlS = Math.max(...records.map(({ ttl }) => ttl));
  const hint = `lower the TTL of ${options.name} and wait for the old one to run out, or raise maxTtl`;
  return within(options.maxTtl, ttlS, { name: 'time to live', hint });
}

/** While it is stopped, resolvers remember that there is no record. */
async function negativeTtlCheck({ options }: Form, authority: Authority): Promise<SwitchCheck | undefined> {
  if (options.parked !== undefined) return undefined;
  const { answers } = await authority.ask(options.zone, TYPE.SOA);
  const soa = answers.find(({ type }) => type === TYPE.SOA);
  if (!soa) return undefined;
  const hint = `lower the last number of the SOA record of ${options.zone}, set \`parked\`, or raise maxTtl`;
  return within(options.maxTtl, negativeTtlS(soa), { name: 'time to live of "there is none"', hint });
}

function within(limitMs: number, ttlS: number, { name, hint }: { name: string; hint: string }): SwitchCheck {
  const limitS = limitMs / 1000;
  const ok = ttlS <= limitS;
  return { name: `${name} of at most ${limitS} s`, ok, found: `${ttlS} s`, ...(ok ? {} : { hint }) };
}

/**
 * Takes away what is not there, on condition that all is as it was seen: the server looks at the rights as for any update,
 * and changes nothing (RFC 2136, 3.4.2.4).
 */
async function rightToUpdate(form: Form, authority: Authority, seen: Snapshot): Promise<SwitchCheck> {
  const { options } = form;
  const absent = (name: string, type: number, data: Buffer): DnsRecord => ({
    ...{ name, type, class: CLASS.NONE, ttl: 0, data },
  });
  const updates = [
    absent(options.name, TYPE_OF[options.type], absentData(options.type, seen.records)),
    absent(txtNameOf(options), TYPE.TXT, textData('lifeboat: whether it may be changed')),
  ];
  const isAllowed = await authority
    .update({ prerequisites: unchanged(form, seen), updates })
    .catch((error: unknown) => {
      if (!isFailure(error, 'OutcomeUnknown')) throw error;
      // It would have changed nothing, whatever came of it. No cause: the innermost failure is the one that is read.
      throw failure('Unavailable', `switch ${form.name}: no answer whether key ${options.key.name} may update`, {
        ...{ place: options.name, expected: 'an answer', found: 'none', hint: 'it is tried again by itself' },
      });
    });
  if (isAllowed)
    return { name: 'right to update', ok: true, found: `key ${options.key.name} may change ${options.name}` };
  throw failure('Busy', `switch ${form.name}: ${options.name} changes while it is looked at`, {
    ...{ place: options.name, expected: 'a record that stays for a moment', found: 'another one' },
    hint: 'it is tried again by itself',
  });
}

async function resolversCheck(form: Form, run: Run): Promise<SwitchCheck> {
  const told = await askResolvers(form, run);
  const silent = told.filter(({ traffic }) => traffic === undefined);
  const found = silent.map(({ resolver, reason }) => `${resolver}: ${reason ?? 'no answer'}`);
  return {
    ...{ name: 'resolvers answer', ok: enoughAnswer(told) },
    found: [`${told.length - silent.length} of ${told.length}`, ...found].join('; '),
    ...(silent.length === 0
      ? {}
      : { hint: 'a move is confirmed by `resolvers`, half of them at least: mend what is silent' }),
  };
}
