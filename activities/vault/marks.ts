import { failureTypeOf, findFailure, isRetryable } from '../../workflows/model/failure.ts';
import type { PointMarks } from '../../workflows/model/retention.ts';
import type { Artefact, VaultContext } from './context.ts';
import { decodeWith, encodeWith } from './context.ts';
import { asJson, CHECKED_FORMAT, HOLD_FORMAT, seal, unseal } from './manifest/envelope.ts';
import { readSealed } from './manifest/store.ts';

/** What stands beside a point: signed in the same way as its manifest, encrypted, replaced as a whole. */
const KINDS = {
  hold: HOLD_FORMAT,
  checked: CHECKED_FORMAT,
} as const;

type Kind = keyof typeof KINDS;

type Checked = Omit<PointMarks, 'held'>;

/** How a point was found. */
export type CheckedNews = Omit<Checked, 'wrongWal'> & {
  /** Null: it is right now. */
  wrongWal?: Checked['wrongWal'] | null;
};

/** What is known of a point beside its manifest. A hold that cannot be read holds; any other mark that cannot says nothing. */
export async function readMarks(
  vault: VaultContext,
  point: string,
  has: { hold: boolean; checked: boolean } = { hold: true, checked: true },
): Promise<PointMarks> {
  const held = has.hold ? await readHold(vault, point) : undefined;
  const checked = has.checked ? await readMark(vault, point, 'checked').catch(unreadable(() => undefined)) : undefined;
  return { ...checkedOf(checked), ...(held ? { held } : {}) };
}

async function readHold(vault: VaultContext, point: string): Promise<PointMarks['held']> {
  const found = await readMark(vault, point, 'hold').catch(
    unreadable((reason): Record<string, unknown> => ({ reason })),
  );
  if (!found) return undefined;
  const { reason, at } = found;
  return { reason: typeof reason === 'string' ? reason : 'no reason', at: typeof at === 'string' ? at : '' };
}

/** A store that is away must not look like a mark that is damaged, nor like none. */
function unreadable<T>(instead: (reason: string) => T): (error: unknown) => T {
  return (error) => {
    if (isRetryable(error) || failureTypeOf(error) === undefined) throw error;
    return instead(`cannot be read: ${findFailure(error)?.message ?? String(error)}`);
  };
}

function checkedOf(found: Record<string, unknown> | undefined): Checked {
  const { verifiedAt, provenAt } = found ?? {};
  const [wrong, wrongWal] = [wrongOf(found?.['wrong']), wrongOf(found?.['wrongWal'])];
  return {
    ...(typeof verifiedAt === 'string' ? { verifiedAt } : {}),
    ...(typeof provenAt === 'string' ? { provenAt } : {}),
    ...(wrong ? { wrong } : {}),
    ...(wrongWal ? { wrongWal } : {}),
  };
}

function wrongOf(found: unknown): Checked['wrong'] {
  const { at, reason } = (found ?? {}) as Record<string, unknown>;
  return typeof at === 'string' ? { at, reason: String(reason) } : undefined;
}

export async function putHold(
  vault: VaultContext,
  point: string,
  hold: NonNullable<PointMarks['held']>,
): Promise<void> {
  await writeMark(vault, point, { kind: 'hold', content: hold });
}

/** A repeat does nothing. */
export async function removeHold(vault: VaultContext, point: string): Promise<void> {
  await vault.store.remove(vault.layout.hold(point));
}

/**
 * Notes how a point was found. What is right now takes back what was wrong before; what was found in its WAL only who
 * followed that, or brought the point up, takes back.
 */
export async function noteChecked(vault: VaultContext, point: string, news: CheckedNews): Promise<void> {
  const { held: _, wrong, wrongWal, ...before } = await readMarks(vault, point, { hold: false, checked: true });
  const kept = {
    ...(wrong && !news.verifiedAt && !news.provenAt ? { wrong } : {}),
    ...(wrongWal && !news.provenAt ? { wrongWal } : {}),
  };
  const { wrongWal: found, ...content } = { ...before, ...kept, ...news };
  await writeMark(vault, point, { kind: 'checked', content: found ? { ...content, wrongWal: found } : content });
}

async function readMark(vault: VaultContext, point: string, kind: Kind): Promise<Record<string, unknown> | undefined> {
  const place = vault.layout[kind](point);
  const sealed = await readSealed(vault, place);
  if (!sealed) return undefined;
  const { keys, source } = vault.options;
  const { body } = unseal(keys, { source, point, place, formats: [KINDS[kind]] }, sealed);
  const plain = await decodeWith(vault, Buffer.from(body), { place, artefact: artefactOf(kind, point) });
  const content = asJson(plain);
  return typeof content === 'object' && content !== null ? (content as Record<string, unknown>) : {};
}

async function writeMark(
  vault: VaultContext,
  point: string,
  { kind, content }: { kind: Kind; content: object },
): Promise<void> {
  const { keys, source } = vault.options;
  const bytes = Buffer.from(JSON.stringify(content));
  const { bytes: body } = await encodeWith(vault, { bytes, artefact: artefactOf(kind, point) });
  await vault.store.put(vault.layout[kind](point), seal(keys, { source, point }, { format: KINDS[kind], body }));
}

function artefactOf(kind: Kind, point: string): Artefact {
  return { artefact: kind, point };
}
