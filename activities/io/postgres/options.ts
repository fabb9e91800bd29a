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

export const connectionSchema = z.strictObject({
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

/** How to reach one server. `connectTimeout` is in milliseconds. */
export type ConnectionOptions = z.infer<typeof connectionSchema>;
export type TlsOptions = z.infer<typeof tlsSchema>;

export function tlsOf(options: ConnectionOptions): TlsOptions {
  return options.tls ?? { mode: isLocal(options.host) ? 'disable' : 'require' };
}

function isLocal(host: string): boolean {
  if (host.startsWith('/') || host === 'localhost' || host === '::1') return true;
  return isIP(host) === 4 && host.startsWith('127.');
}
