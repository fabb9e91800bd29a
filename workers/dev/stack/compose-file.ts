import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { z } from 'zod';
import { failure } from '../../../workflows/model/failure.ts';

const FILE = 'temporal-dev.yml';

const published = z.tuple([z.string()]).rest(z.string());
const composeFile = z.object({
  services: z.object({
    temporal: z.object({
      image: z.string().regex(/:\d+\.\d+\.\d+$/),
      command: z.array(z.string()),
      ports: published,
      'x-build': z.object({ cliext: z.string(), goVersion: z.string() }),
    }),
    postgres: z.object({
      image: z.string().regex(/:\d+$/),
      environment: z.object({
        POSTGRES_USER: z.string(),
        POSTGRES_PASSWORD: z.string(),
        POSTGRES_DB: z.string(),
        POSTGRES_INITDB_ARGS: z.string(),
      }),
      command: z.array(z.string()),
      ports: published,
    }),
  }),
  configs: z.object({ hba: z.object({ content: z.string() }) }),
});

/** What temporal-dev.yml says, as the stack without Docker needs it. */
export interface LocalStack {
  temporal: {
    version: string;
    /** Host side. */
    port: number;
    uiPort: number;
    namespace: string;
    /** NAME=Type. */
    searchAttributes: string[];
    build: { cliext: string; goVersion: string };
  };
  postgres: {
    major: number;
    port: number;
    user: string;
    password: string;
    database: string;
    initdbArgs: string[];
    settings: Record<string, string>;
    hba: string;
  };
}

/** Reads temporal-dev.yml of this package. ConfigInvalid when an edit took away what the stack needs. */
export function localStack(): LocalStack {
  const path = composePath();
  return parseStack(readFileSync(path, 'utf8'), path);
}

/** The same from the text of such a file. */
export function parseStack(text: string, path: string): LocalStack {
  const { data, error } = composeFile.safeParse(parse(text));
  if (error) {
    const [issue] = error.issues;
    throw failure('ConfigInvalid', `${FILE} lacks what the local stack needs`, {
      place: `${path}: ${issue?.path.join('.') ?? ''}`,
      found: issue?.message ?? '',
      hint: 'undo the edit of that file',
    });
  }
  const { temporal, postgres } = data.services;
  const flag = (name: string): string[] =>
    temporal.command.flatMap((word) => (word.startsWith(`--${name}=`) ? [word.slice(name.length + 3)] : []));
  const { POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB, POSTGRES_INITDB_ARGS } = postgres.environment;
  return {
    temporal: {
      version: tagOf(temporal.image),
      port: hostPort(temporal.ports, flag('port')[0], path),
      uiPort: hostPort(temporal.ports, flag('ui-port')[0], path),
      namespace: flag('namespace')[0] ?? 'default',
      searchAttributes: flag('search-attribute'),
      build: temporal['x-build'],
    },
    postgres: {
      major: Number(tagOf(postgres.image)),
      port: hostPort(postgres.ports, '5432', path),
      ...{ user: POSTGRES_USER, password: POSTGRES_PASSWORD, database: POSTGRES_DB },
      initdbArgs: POSTGRES_INITDB_ARGS.split(' '),
      settings: settingsOf(postgres.command),
      hba: data.configs.hba.content,
    },
  };
}

function composePath(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, FILE)) && dirname(folder) !== folder) folder = dirname(folder);
  return join(folder, FILE);
}

function tagOf(image: string): string {
  return image.slice(image.lastIndexOf(':') + 1);
}

/** "127.0.0.1:55432:5432": the middle one of the entry that ends with the container's port. */
function hostPort(ports: readonly string[], inside: string | undefined, path: string): number {
  const port = ports
    .find((each) => each.endsWith(`:${inside}`))
    ?.split(':')
    .at(-2);
  if (port !== undefined) return Number(port);
  throw failure('ConfigInvalid', `${FILE} publishes no port for ${inside ?? 'a server whose port it does not name'}`, {
    place: path,
    expected: `127.0.0.1:PORT:${inside ?? 'PORT'}`,
    found: ports.join(', '),
    hint: 'undo the edit of that file',
  });
}

/** `-c name=value` pairs but for the file that only a container has. */
function settingsOf(command: readonly string[]): Record<string, string> {
  const pairs = command.filter((word, at) => command[at - 1] === '-c' && !word.startsWith('hba_file='));
  return Object.fromEntries(pairs.map((pair) => [pair.split('=')[0] ?? '', pair.slice(pair.indexOf('=') + 1)]));
}
