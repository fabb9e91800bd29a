import type { Command } from 'commander';
import type { ContentsPage, ListedFile } from '../../workflows/model/contents.ts';
import { given } from '../run-options.ts';
import type { Call, Handler, Outcome } from '../verb.ts';
import { addExamples } from '../verb.ts';

export function define(command: Command): Handler {
  command
    .argument('<point>', 'POINT, or SOURCE/POINT')
    .option('--under <path>', 'only what stands below this path, like base/5')
    .option('--relations', 'with the names of relations, read out of the catalogs in the point');
  addExamples(command, [
    ['lifeboat contents shop/20260301T020000Z-1a2b3c4d-1', 'every file that a restore would make; nothing is fetched'],
    ['lifeboat contents shop/20260301T020000Z-1a2b3c4d-1 --relations --under base', 'which table a file belongs to'],
    ['lifeboat contents shop/20260301T020000Z-1a2b3c4d-1 --json', 'one object for each file, and one at the end'],
  ]);
  return contents;
}

/** Each page is shown before the next is asked for: a million files are no more in memory than a thousand. */
async function contents(call: Call): Promise<Outcome> {
  const [{ openSession }, { inspect }, { checkedPointName }] = await Promise.all([
    import('../connect.ts'),
    import('../inspect.ts'),
    import('../points.ts'),
  ]);
  await using session = await openSession(call);
  const name = checkedPointName(session, call.args[0] ?? '');
  const under = call.options['under'] as string | undefined;
  const relations = call.options['relations'] === true ? true : undefined;
  // Point ids are unique within a source only.
  const source =
    name.source ?? (await inspect(session, { what: 'point', point: name.point }, call)).point.summary.source;
  const total = { files: 0, bytes: 0 };
  let page: Pick<ContentsPage, 'next' | 'host'> | undefined;
  do {
    const { next, host } = page ?? {};
    const wish = { source, point: name.point, ...given({ page: next, host, under, relations }) };
    const answer = await inspect(session, { what: 'contents', ...wish }, call);
    page = answer.page;
    for (const file of answer.page.files) {
      call.out.line(call.out.json ? JSON.stringify(file) : lineOf(file));
      if (file.type !== 'file') continue;
      total.files += 1;
      total.bytes += file.bytes;
    }
  } while (page.next !== undefined);
  return { data: { source, point: name.point, ...total }, lines: [] };
}

const BYTES_WIDTH = 12;

function lineOf({ path, type, bytes, mtime, changed, relation }: ListedFile): string {
  const size = type === 'file' ? String(bytes) : '-';
  const end = type === 'directory' ? '/' : '';
  const remarks = [relation, changed && 'changed blocks'].filter((remark) => remark !== undefined);
  return `${size.padStart(BYTES_WIDTH)}  ${mtime}  ${path}${end}${remarks.map((remark) => `  ${remark}`).join('')}`;
}
