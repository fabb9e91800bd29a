import { isIP } from 'node:net';
import { z } from 'zod';
import { durationOption, pathOption } from '../option-types.ts';
import { secretRefSchema } from '../secret.ts';

const tlsSchema = z
  .strictObject({
    /** disable: never; require: encrypt, whoever answers; verify-full: also check the certificate and the name in it. */
    mode: z.enum(['disable', 'require', 'verify-full']),
    /** Certificates that are trusted; absent = those of the system. */
    ca: pathOption.optional(),
    /** Client certificate and its key, when the server asks for one. */
    cert: pathOption.optional(),
    key: pathOption.optional(),
  })
  .refine((tls) => (tls.cert === undefined) === (tls.key === undefined), 'cert and key go together')
  .refine((tls) => tls.ca === undefined || tls.mode === 'verify-full', 'ca is only looked at with mode verify-full');

const MOST_SERVERS = 16;
const NODE = 'a name or address, with ":port" where it is not connection.port, "[...]" around IPv6, or a socket folder';

export const serverSchema = z.strictObject({
  /** Name, address, or the absolute folder of the Unix socket. */
  host: z.string().min(1),
  port: z.int().min(1).max(65_535).default(5432),
  user: z.string().min(1),
  database: z.string().min(1).default('postgres'),
  password: secretRefSchema.optional(),
  /** Absent: `disable` on a socket and on loopback, `require` anywhere else. It never falls back by itself. */
  tls: tlsSchema.optional(),
  /** Longest wait for the server to accept the connection. */
  connectTimeout: durationOption.prefault('10s'),
  /** Connect to a major version newer than the newest that is tested. */
  allowNewerServer: z.boolean().default(false),
});

const host = z
  .string()
  .min(1)
  .refine((text) => !text.includes(','), 'one server, or a list of them: [db1, "db2:5433"]');

const node = z.string().refine((text) => parseNode(text) !== undefined, NODE);

export const connectionSchema = serverSchema.extend({
  /**
   * One server, or the servers of one cluster, primary and standbys in any order: what needs one of them chooses
   * (chooseServer). `port` is that of every one that names none.
   */
  host: z.union([host, z.array(node).min(1).max(MOST_SERVERS)]),
});

/** How to reach the servers of a cluster. `connectTimeout` is in milliseconds. */
export type ConnectionOptions = z.infer<typeof connectionSchema>;
/** How to reach one of them: what connects takes no list, so that the connections of one piece of work all go to one server. */
export type ServerOptions = z.infer<typeof serverSchema>;
export type TlsOptions = z.infer<typeof tlsSchema>;

/** Each server that the options name, in their order. */
export function serversOf(options: ConnectionOptions): ServerOptions[] {
  const { host: named, port } = options;
  if (typeof named === 'string') return [{ ...options, host: named }];
  return named.map((text) => ({ ...options, port, ...parseNode(text), host: parseNode(text)?.host ?? text }));
}

/** "db1", "db1:5433", "::1", "[::1]:5433", "/run/postgresql". */
function parseNode(text: string): { host: string; port?: number } | undefined {
  if (text.startsWith('/') || isIP(text) !== 0) return { host: text };
  const found = /^(?:\[([0-9A-Fa-f:.]+)\]|([^\s:/[\]@]+))(?::(\d{1,5}))?$/.exec(text);
  if (!found) return undefined;
  const [, address, name, digits] = found;
  const parsed = { host: address ?? name ?? '' };
  if (digits === undefined) return parsed;
  const port = Number(digits);
  return port >= 1 && port <= 65_535 ? { ...parsed, port } : undefined;
}

export function tlsOf(options: ServerOptions): TlsOptions {
  return options.tls ?? { mode: isLocal(options.host) ? 'disable' : 'require' };
}

function isLocal(host: string): boolean {
  if (host.startsWith('/') || host === 'localhost' || host === '::1') return true;
  return isIP(host) === 4 && host.startsWith('127.');
}
