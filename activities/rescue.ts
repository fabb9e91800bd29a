import type { Difference, Rescued, RowsTask } from '../workflows/model/rescue.ts';
import { failure } from '../workflows/model/failure.ts';
import type { Deps } from './deps.ts';
import type { DifferingRow, RowRescue } from './sources/row-rescue.ts';
import type { SourceUse } from './use-source.ts';
import { useSource } from './use-source.ts';

/** Of a report: so much is held in memory. */
const REPORT_BYTES = 4 << 20;

/** Compares tables of a proven copy with production; the list of every row that differs is kept in the vault. */
export function compareRows(deps: Deps, task: RowsTask): Promise<Difference> {
  return useSource(deps, task.source, async (use) => {
    const list = new RowList(use, task.plan.run);
    const difference = await rowsOf(use).compare(task, (row) => list.add(row));
    return { ...difference, reports: await list.finish() };
  });
}

/** Writes what was approved, once. */
export function writeRows(deps: Deps, task: RowsTask & { hash: string }): Promise<Rescued> {
  return useSource(deps, task.source, (use) => rowsOf(use).write(task));
}

function rowsOf({ name, config, session }: SourceUse): RowRescue {
  if (session.rows) return session.rows;
  throw failure('Unsupported', `source ${name} has no rows that could be taken out of its points`, {
    ...{ place: `source ${name}`, expected: 'a source of kind postgres', found: `kind ${config.kind}` },
    hint: `lifeboat restore ${name} --into-database NAME`,
  });
}

/** Pieces of a list, one JSON object a line. A later look writes over what an earlier one left. */
class RowList {
  readonly #use: SourceUse;
  readonly #run: string;
  readonly #keys: string[] = [];
  #text: string[] = [];
  #bytes = 0;

  constructor(use: SourceUse, run: string) {
    this.#use = use;
    this.#run = run;
  }

  async add(row: DifferingRow): Promise<void> {
    const line = `${JSON.stringify(row)}\n`;
    this.#text.push(line);
    this.#bytes += line.length;
    if (this.#bytes >= REPORT_BYTES) await this.#flush();
  }

  async #flush(): Promise<void> {
    if (this.#bytes === 0) return;
    const name = `rows-${this.#run}-${String(this.#keys.length + 1).padStart(4, '0')}.jsonl`;
    this.#keys.push((await this.#use.vault.putReport(name, Buffer.from(this.#text.join('')))).key);
    this.#text = [];
    this.#bytes = 0;
  }

  async finish(): Promise<string[]> {
    await this.#flush();
    return this.#keys;
  }
}
