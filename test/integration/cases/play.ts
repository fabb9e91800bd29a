import { join } from 'node:path';
import { makeOwned, run } from '../../support/postgres.ts';
import type { TestPostgres } from '../../support/postgres.ts';
import type { ContentCase } from './case.ts';

const DATABASE = 'cases';

type Stage = 'before' | 'between' | 'after';

export async function makeStage(server: TestPostgres, cases: readonly ContentCase[]): Promise<void> {
  await server.sql(`create database ${DATABASE}`);
  for (const { name } of cases) await server.sql(`create schema ${name}`, DATABASE);
}

/** The statements of one stage of every case. A failure names its case. */
export async function play(server: TestPostgres, cases: readonly ContentCase[], stage: Stage): Promise<void> {
  for (const { name, [stage]: statements = [] } of cases) {
    const client = await server.connect(DATABASE);
    try {
      await client.query(`set search_path = ${name}, public`);
      for (const statement of statements) {
        const elsewhere = /^\\(\S+) (.*)$/s.exec(statement);
        if (elsewhere?.[1] === '!') await makeSpace(server, elsewhere[2] ?? '');
        else if (elsewhere) await server.sql(elsewhere[2] ?? '', elsewhere[1]);
        else await client.query(statement);
      }
    } catch (error) {
      throw new Error(`${stage} of case ${name}: ${String(error)}`, { cause: error });
    } finally {
      await client.end();
    }
  }
}

/** "space NAME": a tablespace in a folder of that name beside the data directory. */
async function makeSpace(server: TestPostgres, order: string): Promise<void> {
  const name = order.replace(/^space /, '');
  const folder = join(server.dataDir, '..', name);
  await makeOwned(folder);
  await server.sql(`create tablespace ${name} location '${folder}'`);
}

/** What PostgreSQL's own program reads from a server: the lines of each database. */
export async function portraitOf(server: { binaries: string }, port: number): Promise<Map<string, string[]>> {
  const at = ['-h', '127.0.0.1', '-p', String(port), '-U', 'postgres'];
  const psql = (sql: string): Promise<string> =>
    run(join(server.binaries, 'psql'), [...at, '-d', 'postgres', '-XAtc', sql]);
  const open = await psql(`select datname from pg_database where datallowconn and datname like 'case%' order by 1`);
  const portrait = new Map<string, string[]>();
  const add = async (name: string, program: string, args: string[]): Promise<void> => {
    const dump = await run(join(server.binaries, program), [...at, ...args]);
    // A key against injected psql commands, another in each dump; and sequences, which may be ahead after a recovery.
    portrait.set(
      name,
      dump.split('\n').filter((line) => !/^\\(?:un)?restrict |^SELECT pg_catalog\.setval/.test(line)),
    );
  };
  for (const name of open.trim().split('\n'))
    await add(name, 'pg_dump', ['-d', name, '--create', '--no-unlogged-table-data']);
  await add('globals', 'pg_dumpall', ['--globals-only', '--no-tablespaces']);
  return portrait;
}

/** `\name statement` asks in that database. */
export function questionOf(text: string): { database: string; statement: string } {
  const elsewhere = /^\\(\S+) (.*)$/s.exec(text);
  return { database: elsewhere?.[1] ?? DATABASE, statement: elsewhere?.[2] ?? text };
}
