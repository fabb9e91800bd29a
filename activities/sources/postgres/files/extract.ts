import { existsSync } from 'node:fs';
import { chmod, link, lstat, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { ExtractPlan, ExtractResult } from '../../../../workflows/model/contents.ts';
import { failure } from '../../../../workflows/model/failure.ts';
import { shortRun } from '../../../../workflows/model/names.ts';
import { syncFolder } from '../../../io/atomic-file.ts';
import { fileFailure } from '../../../io/file-failure.ts';
import { runCommand } from '../../../io/run-command.ts';
import type { Gathering } from './gather.ts';
import { gather } from './gather.ts';
import { listedFiles } from './list.ts';
import { relationFile } from './paths.ts';

/** Precondition when something stands at the target, or its folder is not there: nothing is ever written over. */
export async function checkExtractTarget(to: string): Promise<void> {
  try {
    if (await lstat(to).catch(undefinedIfGone)) {
      throw failure('Precondition', `${to} exists`, {
        ...{ place: to, expected: 'a free name', found: 'a file or a folder' },
        hint: 'name another place with --to, or move it away',
      });
    }
    const parent = await stat(dirname(to)).catch(undefinedIfGone);
    if (parent?.isDirectory()) return;
  } catch (error) {
    throw fileFailure(to, error);
  }
  throw failure('Precondition', `${dirname(to)} is no folder`, {
    ...{ place: dirname(to), expected: 'a folder', found: 'none' },
    hint: `mkdir ${dirname(to)} on that host`,
  });
}

/**
 * Takes one file, or all segments and forks of a relation, into a folder beside the target, brings it to the disk, and gives it
 * its name. A repeat starts over, unless the name was given: then it says what it did.
 */
export async function extractFiles(plan: ExtractPlan, use: Gathering): Promise<ExtractResult> {
  const staging = stagingOf(plan);
  const [content, said] = [join(staging, 'content'), join(staging, 'done.json')];
  try {
    if (existsSync(said) && (await hasName(plan, content))) {
      await rm(content, { force: true });
      await syncFolder(dirname(plan.to));
      return JSON.parse(await readFile(said, 'utf8')) as ExtractResult;
    }
    await checkExtractTarget(plan.to);
    await rm(staging, { recursive: true, force: true });
    await mkdir(staging, { mode: 0o700 });
    if ('all' in plan.what) await makeFolders(use, content);
    const gathered = await gather(use, wantedBy(plan, content));
    const result: ExtractResult = { plan, ...gathered };
    await writeFile(said, JSON.stringify(result));
    const { code, stderr } = await runCommand('sync', ['-f', staging], { signal: use.run.signal });
    if (code !== 0)
      throw failure('Unavailable', `${staging} could not be synced to disk`, { place: staging, found: stderr });
    await giveName(plan, content);
    return result;
  } catch (error) {
    throw fileFailure(plan.to, error);
  }
}

/** Of a file link(2) has one winner; a folder is renamed over nothing but an empty one. */
async function giveName({ what, to }: ExtractPlan, content: string): Promise<void> {
  await chmod(content, 'file' in what ? 0o600 : 0o700);
  if ('file' in what) {
    await link(content, to);
    await rm(content);
  } else {
    await rename(content, to);
  }
  await syncFolder(dirname(to));
}

/** The name was given when nothing stands in the staging folder any more, or, killed in between, the same file under both names. */
async function hasName({ to }: ExtractPlan, content: string): Promise<boolean> {
  const [staged, there] = [await lstat(content).catch(undefinedIfGone), await lstat(to).catch(undefinedIfGone)];
  return !staged || (staged.isFile() && staged.ino === there?.ino && staged.dev === there.dev);
}

/** Removes what an extraction that did not end, or did, has beside its target. */
export async function removeStaging(plan: ExtractPlan): Promise<void> {
  await rm(stagingOf(plan), { recursive: true, force: true });
}

function stagingOf({ to, run }: ExtractPlan): string {
  return join(dirname(to), `.${basename(to)}.lifeboat-${shortRun(run)}`);
}

/** A server does not start without those of its folders in which nothing is. */
async function makeFolders({ reader }: Gathering, content: string): Promise<void> {
  await mkdir(content, { mode: 0o700 });
  for (const { path, type } of listedFiles(reader.manifest))
    if (type === 'directory') await mkdir(join(content, path), { recursive: true, mode: 0o700 });
}

function wantedBy({ what, path }: ExtractPlan, content: string): (found: string) => string | undefined {
  if ('all' in what) return (found) => join(content, found);
  if ('file' in what) return (found) => (found === path ? content : undefined);
  const main = relationFile(path);
  return (found) => {
    const file = relationFile(found);
    const isOf = main !== undefined && file?.folder === main.folder && file.node === main.node;
    return isOf ? join(content, basename(found)) : undefined;
  };
}

function undefinedIfGone(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR') throw error;
}
