import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { lstat, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { FailureFacts } from '../../workflows/model/failure.ts';
import type { ExitName } from '../../client/exit-codes.ts';
import { exitCodeOf } from '../../client/exit-codes.ts';
import type { Said } from './cli-world.ts';

/** What a command must answer to bad input: every field is told, and matches. */
export interface Expected {
  type: ExitName;
  message: RegExp | string;
  place: RegExp | string;
  expected: RegExp | string;
  found: RegExp | string;
  /** The next command. */
  next: RegExp | string;
  /** It takes its time to be sure: asked once only. */
  isSlow?: boolean;
}

/** One message on stderr, nothing on stdout, the exit code of the table, and the same with --json. */
export async function assertRefused(run: (more: string[]) => Promise<Said>, wanted: Expected): Promise<void> {
  const machine = await run(['--json']);
  const error = (machine.json['error'] ?? {}) as FailureFacts & { type?: string; message?: string };
  const told = JSON.stringify(machine.json, undefined, 2);
  assert.equal(error.type, wanted.type, told + machine.err);
  assert.equal(machine.code, exitCodeOf(wanted.type), told);
  assert.equal(machine.json['exitCode'], machine.code);
  assert.equal(machine.out.trimEnd().split('\n').length, 1, machine.out);
  const { message, place, expected, found, hint } = error;
  for (const [name, is, should] of [
    ['message', message, wanted.message],
    ['place', place, wanted.place],
    ['expected', expected, wanted.expected],
    ['found', found, wanted.found],
    ['hint', hint, wanted.next],
  ] as const) {
    assert.ok(is !== undefined && matches(is, should), `${name} should be ${String(should)}: ${told}`);
  }
  if (wanted.isSlow === true) return;
  const person = await run([]);
  assert.equal(person.code, machine.code, person.err);
  assert.equal(person.out, '', person.out);
  assert.equal(person.err.split('\n').filter((line) => line.startsWith('lifeboat: ')).length, 1, person.err);
  assert.ok(person.err.includes('\n  next: '), person.err);
}

function matches(text: string, should: RegExp | string): boolean {
  return typeof should === 'string' ? text === should : should.test(text);
}

/** Every path below the folders with what it holds: two of them are equal when nothing was touched. */
export async function contentsOf(...folders: string[]): Promise<Record<string, string>> {
  const contents: Record<string, string> = {};
  for (const folder of folders) await addContents(contents, folder);
  return contents;
}

/** What is not as it was: nothing, where nothing was touched. */
export function changesOf(before: Record<string, string>, after: Record<string, string>): string[] {
  const paths = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return paths.flatMap((path) =>
    before[path] === after[path] ? [] : [`${path}: ${before[path] ?? 'absent'} -> ${after[path] ?? 'absent'}`],
  );
}

async function addContents(contents: Record<string, string>, path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (!found) return;
  if (found.isDirectory()) {
    contents[path] = `folder ${found.mode.toString(8)}`;
    for (const name of (await readdir(path)).sort()) await addContents(contents, join(path, name));
  } else if (found.isFile()) {
    const sum = createHash('sha256').update(await readFile(path));
    contents[path] = `file ${found.mode.toString(8)} ${sum.digest('hex')}`;
  } else {
    contents[path] = 'something else';
  }
}
