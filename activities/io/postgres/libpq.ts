import { startOptions } from './connection.ts';
import { resolveSecret } from '../secret.ts';
import type { ServerOptions } from './options.ts';
import { tlsOf } from './options.ts';

/** A server that is silent for so long is gone; the kernel finds out. */
const TCP_TIMEOUT_MS = 60_000;

/** How a program of PostgreSQL's reaches a server: what may be seen on its command line, and what may not. */
export interface LibpqPlace {
  /** For --dbname. */
  conninfo: string;
  /** With the password, which no other user can read here, and which the command line would show to everybody. */
  env: Record<string, string>;
}

export interface LibpqUse {
  database: string;
  /** Given to the server with the connection: they outrank those of role and database. */
  settings?: Record<string, string>;
}

export function libpqPlace(options: ServerOptions, { database, settings = {} }: LibpqUse): LibpqPlace {
  const { host, port, user, connectTimeout } = options;
  const fields = {
    ...{ host, port: String(port), user, dbname: database, application_name: 'lifeboat' },
    connect_timeout: String(Math.max(2, Math.ceil(connectTimeout / 1000))),
    ...{ keepalives: '1', keepalives_idle: '10', keepalives_interval: '10', keepalives_count: '3' },
    tcp_user_timeout: String(TCP_TIMEOUT_MS),
  };
  const conninfo = Object.entries(fields).map(([name, value]) => `${name}=${quoted(value)}`);
  const given = startOptions(settings);
  const { password } = options;
  return {
    conninfo: conninfo.join(' '),
    env: {
      ...tlsEnv(options),
      // Nothing of the worker's user is looked at: no other password, no other service.
      ...{ PGPASSFILE: '/dev/null', PGSERVICEFILE: '/dev/null' },
      ...(given === '' ? {} : { PGOPTIONS: given }),
      ...(password ? { PGPASSWORD: resolveSecret(password, 'connection.password').reveal() } : {}),
    },
  };
}

/** Manual 32.1.1: single quotes, with backslash before a quote and a backslash. */
function quoted(value: string): string {
  return `'${value.replaceAll(/['\\]/g, '\\$&')}'`;
}

function tlsEnv(options: ServerOptions): Record<string, string> {
  const { mode, ca, cert, key } = tlsOf(options);
  return {
    PGSSLMODE: mode,
    // Absent, "require" would check a certificate that happens to stand in the home of the worker's user.
    PGSSLROOTCERT: ca ?? (mode === 'verify-full' ? 'system' : '/nonexistent'),
    ...(cert === undefined ? {} : { PGSSLCERT: cert }),
    ...(key === undefined ? {} : { PGSSLKEY: key }),
  };
}
