import { promisify } from 'node:util';
import { deflateRaw, inflateRawSync } from 'node:zlib';
import type { ContentsPage, ListedFile } from '../workflows/model/contents.ts';
import type { InspectOrder } from '../workflows/model/orders.ts';
import { openChained } from './chained.ts';
import type { Deps } from './deps.ts';
import { filesOf } from './extract.ts';
import type { SourceUse } from './use-source.ts';

export type ContentsOrder = InspectOrder & { what: 'contents' };

/** Text of one page: a message of Temporal may have two million bytes. */
const PAGE_LETTERS = 800_000;
/** Lists that are kept for those who read on; a compressed one takes some ten bytes for each file. */
const KEPT = 2;

const compress = promisify(deflateRaw);
const lists = new Map<string, Buffer[]>();

/** One page of the files of a point. What was published never changes: the list is made once and read on from memory. */
export async function contentsOf(deps: Deps, use: SourceUse, order: ContentsOrder): Promise<ContentsPage> {
  const { point, page = 1, under = '', relations = false } = order;
  const key = JSON.stringify([use.name, point, under, relations]);
  const pages = lists.get(key) ?? (await makePages(use, order));
  lists.delete(key);
  lists.set(key, pages);
  const [oldest] = lists.keys();
  if (lists.size > KEPT && oldest !== undefined) lists.delete(oldest);
  const wanted = pages[page - 1];
  const files = wanted ? (JSON.parse(inflateRawSync(wanted).toString()) as ListedFile[]) : [];
  return { source: use.name, point, files, ...(page < pages.length ? { next: page + 1 } : {}), host: deps.host };
}

async function makePages(use: SourceUse, { point, under, relations }: ContentsOrder): Promise<Buffer[]> {
  const from = await openChained(use.vault, point);
  const files = filesOf(use);
  const nameOf = relations ? await files.names(from) : (): undefined => undefined;
  return pagesOf(chosen(files.list(from), under, nameOf));
}

function* chosen(
  files: Iterable<ListedFile>,
  under: string | undefined,
  nameOf: (path: string) => string | undefined,
): Iterable<ListedFile> {
  const folder = under?.replace(/\/+$/, '');
  for (const file of files) {
    if (folder !== undefined && file.path !== folder && !file.path.startsWith(`${folder}/`)) continue;
    const relation = nameOf(file.path);
    yield relation === undefined ? file : { ...file, relation };
  }
}

/** At least one page; each is compressed before the next is begun. */
export async function pagesOf(files: Iterable<ListedFile>): Promise<Buffer[]> {
  const pages: Buffer[] = [];
  let lines: string[] = [];
  let letters = 0;
  const close = async (): Promise<void> => {
    pages.push(await compress(`[${lines.join(',')}]`));
    [lines, letters] = [[], 0];
  };
  for (const file of files) {
    const line = JSON.stringify(file);
    if (letters + line.length > PAGE_LETTERS) await close();
    lines.push(line);
    letters += line.length + 1;
  }
  if (lines.length > 0 || pages.length === 0) await close();
  return pages;
}
