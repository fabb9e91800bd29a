import { CancellationScope, condition, isCancellation } from '@temporalio/workflow';
import type { Activities } from '../../activities/index.ts';
import type { AckMessage, Acknowledged, Carried, OpenGroup, Said, Waiting } from '../model/notice.ts';
import { telling } from '../options.ts';
import type { Journal } from './journal.ts';
import { isoNow, nowMs } from './time.ts';

/** How long the end of a run waits for messages on their way; who has not heard by then is told from outside of it. */
const LAST_WAIT = '5s';

/** A notifier that is away is tried again, at first soon; an hour later whoever mends it has noticed. */
const AGAIN_MS = 5 * 60_000;
const AGAIN_LATER_MS = 30 * 60_000;
const SOON_MS = 60 * 60_000;
/** What nobody could be told for so long is history. */
const GIVE_UP_MS = 3 * 86_400_000;

type Answer = Awaited<ReturnType<Activities['notify']>>;

interface Entry extends Waiting {
  isDropped?: true;
  /** It goes out, whatever becomes of what it is about. */
  isDue?: true;
  /** What it says the rest of, also when that is not open any more. */
  of?: OpenGroup;
}

/**
 * Who is told what, and when: messages that are kept back, those on their way, and what is not over. The same in a run
 * and in what it leaves behind. Nothing here makes anybody wait.
 */
export class NoticeDesk {
  readonly #use: { source: string; run: string; journal: Journal };
  #groups: OpenGroup[] = [];
  readonly #waiting = new Set<Entry>();
  /** Of one notifier and one group, so that nobody hears of an end before the beginning. */
  readonly #lines = new Map<string, Promise<void>>();
  #busy = 0;
  readonly #flights = new Set<CancellationScope>();
  readonly #noted = new Set<string>();
  /** Nothing that is kept back is told here any more. */
  #isClosing = false;
  /** Nothing at all is. */
  #isClosed = false;

  constructor(use: { source: string; run: string; journal: Journal }) {
    this.#use = use;
  }

  /** What is not over. */
  get open(): readonly OpenGroup[] {
    return this.#groups;
  }

  get isIdle(): boolean {
    return this.#groups.length === 0 && this.#waiting.size === 0 && this.#busy === 0;
  }

  /** What another one has left. */
  take({ groups, waiting }: Carried): void {
    for (const given of groups) {
      const known = this.#groups.find(({ group }) => group === given.group);
      if (!known) {
        this.#groups.push(given);
        continue;
      }
      known.told.push(...given.told.filter(({ to }) => !isTold(known, to)));
      // It has come again: whoever was at it before is not by that.
      if (given.acknowledged === undefined) delete known.acknowledged;
    }
    for (const each of waiting) if (!each.escalates || !this.isEscalating(each.said.group)) this.send(each);
  }

  /** Opens what a message is about; what is open is open again for those who acknowledge. */
  begin({ group, title, severity }: Said, isLasting: boolean): void {
    const known = this.#groups.find((each) => each.group === group);
    if (known) delete known.acknowledged;
    if (known && isLasting) known.lasting = true;
    if (!known) this.#groups.push({ group, title, severity, told: [], ...(isLasting ? { lasting: true } : {}) });
  }

  isEscalating(group: string): boolean {
    return [...this.#waiting].some(({ said, escalates }) => escalates && said.group === group);
  }

  /** At its time, unless it is dropped by then. */
  send(waiting: Waiting): void {
    const entry: Entry = waiting;
    this.#waiting.add(entry);
    void CancellationScope.nonCancellable(async () => {
      const ms = Date.parse(entry.dueAt) - nowMs();
      const summary = `until ${entry.to} is told: ${entry.said.title}`.slice(0, 100);
      const isEnough = (): boolean => entry.isDropped === true || this.#isClosing;
      const isStopped = ms > 0 && (await condition(isEnough, ms, { summary }));
      if (!isStopped && !entry.isDropped) await this.#inLine(entry);
    });
  }

  /** Nobody else is called; who was told hears that somebody is at it. */
  acknowledge({ by }: AckMessage): Acknowledged {
    const at = isoNow();
    const groups = this.#groups.filter(({ acknowledged }) => !acknowledged);
    for (const each of groups) {
      each.acknowledged = { by, at };
      this.#drop(each.group);
      this.#tellRest(each, { state: 'acknowledged', title: each.title, body: `${by} is at it.` });
    }
    const titles = groups.map(({ title }) => title);
    this.#use.journal.note(`${by} acknowledges: ${titles.join('; ')}`);
    return { by, at, titles };
  }

  /** What is kept back of it is never told; who was told hears that it is over. False: nothing of it is open here. */
  over(group: string, words: { title?: string; body?: string } = {}): boolean {
    const known = this.#groups.find((each) => each.group === group);
    if (!known) return false;
    this.#drop(group);
    this.#groups = this.#groups.filter((each) => each !== known);
    this.#tellRest(known, { state: 'over', title: known.title, body: 'It is over.', ...words });
    return true;
  }

  /** Waits a moment for what is on its way, keeps the rest from going out here, and hands it out. */
  async close(): Promise<Carried> {
    this.#isClosing = true;
    await CancellationScope.nonCancellable(async () => {
      await condition(() => this.#busy === 0, LAST_WAIT);
      this.#isClosed = true;
      for (const flight of this.#flights) flight.cancel();
      await condition(() => this.#busy === 0);
    });
    // Nobody hears of an end before the beginning, which may have been called off last.
    const left = [...this.#waiting].sort((a, b) => (a.said.at < b.said.at ? -1 : a.said.at > b.said.at ? 1 : 0));
    const waiting = left.map(({ to, dueAt, said, escalates, of, thread }) => {
      const known = of?.told.find((each) => each.to === to)?.thread ?? thread;
      return {
        to,
        dueAt,
        said,
        ...(escalates ? { escalates } : {}),
        ...(known === undefined ? {} : { thread: known }),
      };
    });
    return { groups: this.#groups, waiting };
  }

  #drop(group: string): void {
    for (const entry of this.#waiting) {
      if (entry.said.group !== group || entry.said.state !== 'open' || entry.isDue) continue;
      entry.isDropped = true;
      this.#waiting.delete(entry);
    }
  }

  #tellRest(of: OpenGroup, words: Pick<Said, 'state' | 'title' | 'body'>): void {
    const { group, severity } = of;
    const at = isoNow();
    const said: Said = { ...words, severity, group, key: `${this.#use.run} ${group} ${words.state} ${at}`, at };
    const begun = [...this.#lines.keys()].filter((line) => line.startsWith(`${group}\n`));
    const whom = new Set([...of.told.map(({ to }) => to), ...begun.map((line) => line.slice(group.length + 1))]);
    for (const to of whom) {
      const entry: Entry = { to, dueAt: at, said, of };
      this.#waiting.add(entry);
      void CancellationScope.nonCancellable(() => this.#inLine(entry));
    }
  }

  #inLine(entry: Entry): Promise<void> {
    const line = `${entry.said.group}\n${entry.to}`;
    this.#busy += 1;
    entry.isDue = true;
    const next = (this.#lines.get(line) ?? Promise.resolve()).then(async () => {
      try {
        if (!this.#isClosed) await this.#deliver(entry);
      } finally {
        this.#busy -= 1;
      }
    });
    this.#lines.set(line, next);
    return next;
  }

  async #deliver(entry: Entry): Promise<void> {
    const { to, said, of } = entry;
    const { source, run } = this.#use;
    this.#waiting.delete(entry);
    const open = of ?? this.#groups.find(({ group }) => group === said.group);
    // Only who has heard the beginning hears the rest.
    if (entry.isDropped || (of && !isTold(of, to))) return;
    const thread = open?.told.find((each) => each.to === to)?.thread ?? entry.thread;
    const flight = new CancellationScope();
    this.#flights.add(flight);
    try {
      const acts = telling({ summary: `tell ${to}: ${said.title}` });
      const task = { ...said, source, run, to, ...(thread === undefined ? {} : { thread }) };
      this.#answered(entry, open, await flight.run(() => acts.notify(task)));
    } catch (error) {
      // Called off only because the run ends: it is told from outside of it.
      if (isCancellation(error)) this.#waiting.add(entry);
      else this.#again(entry);
    } finally {
      this.#flights.delete(flight);
    }
  }

  /** Later, unless it is over by then; the end of the run does not wait for it, and hands it on. */
  #again({ to, said, ...entry }: Entry): void {
    const open = this.#groups.find(({ group }) => group === said.group);
    // Over, or somebody is at it: then nobody has to hear of the beginning.
    if (said.state === 'open' && (!open || open.acknowledged)) return;
    const agoMs = nowMs() - Date.parse(said.at);
    const title = `${to}: ${said.title}`;
    if (agoMs > GIVE_UP_MS) return this.#use.journal.note(`never told: ${title}`);
    this.#noteOnce(`${said.key} ${to}`, `not told yet: ${title}; it is tried again`);
    const dueAt = new Date(nowMs() + (agoMs < SOON_MS ? AGAIN_MS : AGAIN_LATER_MS)).toISOString();
    const { isDue: _isDue, ...rest } = entry;
    this.send({ ...rest, to, said, dueAt });
  }

  #answered({ to, said }: Entry, open: OpenGroup | undefined, answer: Answer): void {
    const { failed, windows, thread } = answer;
    if (windows !== undefined) this.#noteOnce(said.key, windows);
    if (failed.length > 0) this.#use.journal.note(`not told: ${failed.join(', ')}`);
    else if (open && !isTold(open, to)) open.told.push({ to, ...(thread === undefined ? {} : { thread }) });
  }

  #noteOnce(key: string, text: string): void {
    if (this.#noted.has(key)) return;
    this.#noted.add(key);
    this.#use.journal.note(text);
  }
}

function isTold({ told }: OpenGroup, to: string): boolean {
  return told.some((each) => each.to === to);
}
