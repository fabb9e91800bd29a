import { ownRun } from './in-use.ts';
import type { Vault } from './vault/vault.ts';

/** What heartbeats carry; the rest is in the vault. */
const PAGE = 100;

/** For another attempt; JSON safe and small. */
export interface FindingsState<T> {
  page: T[];
  /** Pages that are in the vault. */
  pages: number;
}

/**
 * What a long look finds, however much that is: what fills a page goes into the vault as a report, so that an attempt which
 * dies leaves a small state behind from which the next one goes on.
 */
export class Findings<T> {
  readonly #vault: Vault;
  readonly #prefix: string;
  #page: T[];
  #pages: number;

  /** Reports are called `<what>-<run>-0001.jsonl`, and so on. */
  constructor(vault: Vault, what: string, state: FindingsState<T> = { page: [], pages: 0 }) {
    this.#vault = vault;
    this.#prefix = `${what}-${ownRun().runId}`;
    this.#page = [...state.page];
    this.#pages = state.pages;
  }

  get state(): FindingsState<T> {
    return { page: [...this.#page], pages: this.#pages };
  }

  async add(found: readonly T[]): Promise<void> {
    this.#page.push(...found);
    while (this.#page.length >= PAGE) {
      await this.#write(this.#pages + 1, this.#page.slice(0, PAGE));
      this.#page = this.#page.slice(PAGE);
      this.#pages += 1;
    }
  }

  /** All of them, in the order they came. */
  async all(): Promise<T[]> {
    const all: T[] = [];
    for (let page = 1; page <= this.#pages; page++) {
      const text = (await this.#vault.readReport(this.#name(page))).toString('utf8');
      all.push(...text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as T])));
    }
    return [...all, ...this.#page];
  }

  /** Keys of reports that have all of them; none when `shown` can be told without. */
  async reports(shown: number): Promise<string[]> {
    if (this.#pages === 0 && this.#page.length <= shown) return [];
    const keys: string[] = [];
    const all = await this.all();
    for (let at = 0; at < all.length; at += PAGE)
      keys.push(await this.#write(keys.length + 1, all.slice(at, at + PAGE)));
    return keys;
  }

  #name(page: number): string {
    return `${this.#prefix}-${String(page).padStart(4, '0')}.jsonl`;
  }

  async #write(page: number, found: readonly T[]): Promise<string> {
    const text = found.map((each) => `${JSON.stringify(each)}\n`).join('');
    return (await this.#vault.putReport(this.#name(page), Buffer.from(text))).key;
  }
}
