import { isIP, isIPv4, isIPv6 } from 'node:net';
import type { ZodType } from 'zod';
import { z } from 'zod';
import { parseAddress } from '../../../workflows/model/traffic.ts';
import type { DnsServer } from '../../io/dns/exchange.ts';
import { DOMAIN_NAME } from '../../io/dns/name.ts';
import { TSIG_ALGORITHMS } from '../../io/dns/tsig.ts';
import { durationOption } from '../../io/option-types.ts';
import { secretRefSchema } from '../../io/secret.ts';

const RECORD_TYPES = ['A', 'AAAA', 'CNAME', 'SRV'] as const;
export type RecordType = (typeof RECORD_TYPES)[number];

const DNS_PORT = 53;
const SERVER = 'a name or address, with ":port" where it is not 53, "[...]" around IPv6';
const domain = z.string().regex(DOMAIN_NAME, 'a domain name without the last dot');

const server: ZodType<DnsServer, string> = z.string().transform((text, context) => {
  const found = parseServer(text);
  if (found) return found;
  context.addIssue({ code: 'custom', message: SERVER });
  return z.NEVER;
});

function parseServer(text: string): DnsServer | undefined {
  if (isIP(text) !== 0 || DOMAIN_NAME.test(text)) return { host: text, port: DNS_PORT };
  return parseAddress(text);
}

const wholeSeconds = (most: number): ZodType<number, string> =>
  durationOption.refine((ms) => ms % 1000 === 0 && ms <= most * 1000, `whole seconds, at most ${most}s`);

export const schema = z
  .strictObject({
    /** The primary server of the zone: it takes the updates, and is asked where traffic goes. */
    server,
    zone: domain,
    /** Of the records that lead clients to the database. */
    name: domain,
    type: z.enum(RECORD_TYPES).default('A'),
    /** That clients use where the record has none; SRV has its own. */
    port: z.int().min(1).max(65_535).default(5432),
    /** Of the records that are written. */
    ttl: wholeSeconds(86_400).prefault('30s'),
    /** A record that may be remembered for longer is not moved: clients would not follow in time. */
    maxTtl: wholeSeconds(86_400).prefault('120s'),
    /** Name of the TXT record that holds the token; absent: "_lifeboat." before `name`. */
    txtName: domain.optional(),
    key: z.strictObject({
      name: domain,
      algorithm: z.enum(TSIG_ALGORITHMS).default('hmac-sha256'),
      /** Base64, as tsig-keygen writes it. */
      secret: secretRefSchema,
    }),
    transport: z.enum(['tcp', 'udp']).default('tcp'),
    /** They are asked as clients ask them: a move is confirmed when all that answer say so, at least half of them. */
    resolvers: z.array(server).min(1).max(32),
    /** Where the name leads while traffic is stopped; absent: nowhere, the record is taken away. */
    parked: z.string().optional(),
    /** For one question. */
    timeout: durationOption.prefault('5s'),
  })
  .refine(({ name, zone }) => isWithin(name, zone), { message: 'a name in `zone`', path: ['name'] })
  .refine(({ txtName, zone }) => txtName === undefined || isWithin(txtName, zone), {
    message: 'a name in `zone`',
    path: ['txtName'],
  })
  .refine(({ txtName, name }) => txtName === undefined || txtName.toLowerCase() !== name.toLowerCase(), {
    message: 'another name than `name`',
    path: ['txtName'],
  })
  .refine(({ ttl, maxTtl }) => ttl <= maxTtl, { message: 'at most `maxTtl`', path: ['ttl'] })
  .refine(({ parked, type }) => parked === undefined || fits(type, parked), {
    message: 'an address or name as `type` has it; for SRV there is none: its record is taken away',
    path: ['parked'],
  });

export type Options = z.infer<typeof schema>;

function isWithin(name: string, zone: string): boolean {
  return `.${name.toLowerCase()}`.endsWith(`.${zone.toLowerCase()}`);
}

/** Whether a host can stand in a record of this type. */
export function fits(type: RecordType, host: string): boolean {
  if (type === 'A') return isIPv4(host);
  if (type === 'AAAA') return isIPv6(host);
  return type === 'CNAME' && isIP(host) === 0 && DOMAIN_NAME.test(host);
}

export function txtNameOf({ txtName, name }: Options): string {
  return txtName ?? `_lifeboat.${name}`;
}
