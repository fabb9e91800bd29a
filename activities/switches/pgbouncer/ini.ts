import type { Traffic } from '../../../workflows/model/traffic.ts';

/** Where an entry of [databases] leads. */
export interface Target {
  host: string;
  port: number;
}

/** Folder of a socket that is not there: an entry that leads to it serves nobody, also after the pooler was started anew. */
export const PARKED_HOST = '/nonexistent/lifeboat-stopped';
const DEFAULT_PORT = 5432;

/** What a run has written into the file, beside the entries. */
export interface Mark {
  token: number;
  /** A move that was begun and is not known to be whole. */
  moving?: { from: Traffic; to: Traffic };
}

/** A comment of our own: ";lifeboat NAME {...}". */
const markLine = (name: string): string => `;lifeboat ${name} `;

/** undefined when the switch has never been moved; RangeError when it is there and cannot be read. */
export function readMark(text: string, name: string): Mark | undefined {
  const line = text.split(/\r?\n/).find((each) => each.startsWith(markLine(name)));
  if (line === undefined) return undefined;
  const mark = parsed(line.slice(markLine(name).length));
  if (!Number.isSafeInteger(mark?.token)) throw new RangeError(line.slice(0, 200));
  return mark;
}

function parsed(json: string): Mark | undefined {
  try {
    return JSON.parse(json) as Mark;
  } catch {
    return undefined;
  }
}

export function withMark(text: string, name: string, mark: Mark): string {
  const rest = text.split('\n').filter((line) => !line.startsWith(markLine(name)));
  return [`${markLine(name)}${JSON.stringify(mark)}`, ...rest].join('\n');
}

/** Entries of [databases] by name, as far as they say where they lead. */
export function readTargets(text: string): Map<string, Target> {
  const targets = new Map<string, Target>();
  for (const { entry } of linesOf(text)) {
    if (!entry) continue;
    const host = valueOf(entry.connection, 'host');
    if (host !== undefined)
      targets.set(entry.name, { host, port: Number(valueOf(entry.connection, 'port') ?? DEFAULT_PORT) });
  }
  return targets;
}

/** The text with these entries led elsewhere; everything else in it stays as it is. Parked: the port stays, too. */
export function withTargets(text: string, names: readonly string[], target: Target | undefined): string {
  return linesOf(text)
    .map(({ line, entry }) => {
      if (!entry || !names.includes(entry.name)) return line;
      const led = withValue(entry.connection, 'host', target?.host ?? PARKED_HOST);
      return `${entry.head}${target ? withValue(led, 'port', String(target.port)) : led}`;
    })
    .join('\n');
}

interface Line {
  line: string;
  entry?: { name: string; head: string; connection: string };
}

function linesOf(text: string): Line[] {
  let section = '';
  return text.split('\n').map((line) => {
    section = /^\s*\[([^\]]*)\]/.exec(line)?.[1]?.trim() ?? section;
    const match = section === 'databases' ? /^(\s*("(?:[^"]|"")+"|[^\s=;#%["]+)\s*=\s*)(.*)$/.exec(line) : undefined;
    const [, head, name, connection] = match ?? [];
    if (head === undefined || name === undefined || connection === undefined) return { line };
    return { line, entry: { name: name.replace(/^"(.*)"$/, '$1').replaceAll('""', '"'), head, connection } };
  });
}

/** "key=value", the value in quotes where it has blanks. */
const PAIR = /([A-Za-z_]+)\s*=\s*('(?:[^']|'')*'|[^\s']*)/g;

function valueOf(connection: string, key: string): string | undefined {
  const found = [...connection.matchAll(PAIR)].find(([, name]) => name === key)?.[2];
  return found?.startsWith("'") ? found.slice(1, -1).replaceAll("''", "'") : found;
}

function withValue(connection: string, key: string, value: string): string {
  if (valueOf(connection, key) === undefined) return `${key}=${value} ${connection}`;
  return connection.replace(PAIR, (pair, name: string) => (name === key ? `${key}=${value}` : pair));
}
