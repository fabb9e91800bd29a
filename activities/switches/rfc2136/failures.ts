import type { FailureType } from '../../../workflows/model/failure.ts';
import { failure } from '../../../workflows/model/failure.ts';
import { addressText } from '../../../workflows/model/traffic.ts';
import type { DnsSilence } from '../../io/dns/exchange.ts';
import { RCODE, rcodeName } from '../../io/dns/message.ts';
import { FUDGE_S, TSIG_ERROR } from '../../io/dns/tsig.ts';
import { networkMeaning } from '../../io/network-failure.ts';
import type { Form } from './records.ts';

/** `update`: what has no answer that we understand may have been done. */
export type Asked = 'question' | 'update';

interface Meaning {
  type: FailureType;
  says: string;
  expected: string;
  hint: string;
}

/** RFC 1035, 4.1.1 and RFC 2136, 2.2; in all of these the server has changed nothing (RFC 2136, 3). */
function meaningOf({ options }: Form, rcode: number): Meaning {
  const { zone, key, server } = options;
  const place = addressText(server);
  switch (rcode) {
    case RCODE.REFUSED:
      return {
        ...{
          type: 'Denied',
          says: `refuses this to key ${key.name}`,
          expected: `a server that lets ${key.name} do it`,
        },
        hint: `grant it in the zone ${zone}: allow-update or update-policy, and allow-query`,
      };
    case RCODE.NOTAUTH:
    case RCODE.NOTZONE:
      return {
        ...{ type: 'ConfigInvalid', says: `is not the primary server of zone ${zone}` },
        ...{
          expected: `the primary server of ${zone}`,
          hint: `correct \`zone\` or \`server\`: the SOA record names it`,
        },
      };
    case RCODE.NOTIMP:
      return {
        ...{ type: 'Unsupported', says: 'takes no dynamic updates', expected: 'a server that does (RFC 2136)' },
        hint: `name the primary server of ${zone} in \`server\``,
      };
    case RCODE.SERVFAIL:
      return {
        ...{ type: 'Unavailable', says: 'has a failure of its own', expected: 'an answer' },
        hint: `see the log of ${place}; it is tried again by itself`,
      };
    default:
      return {
        ...{ type: 'Unsupported', says: 'does not understand this', expected: 'NOERROR' },
        hint: `see the log of ${place}`,
      };
  }
}

export function refusal(form: Form, rcode: number): Error {
  const { name, options } = form;
  const { type, says, expected, hint } = meaningOf(form, rcode);
  const place = addressText(options.server);
  return failure(type, `switch ${name}: name server ${place} ${says}`, {
    ...{ place, expected, found: rcodeName(rcode), hint },
  });
}

/** RFC 8945, 5.2. */
export function keyRefusal({ name, options }: Form, what: { error: number; skewS?: number }): Error {
  const { key, server } = options;
  const place = addressText(server);
  const says = `switch ${name}: name server ${place}`;
  switch (what.error) {
    case TSIG_ERROR.BADTIME: {
      const skew = what.skewS === undefined ? 'another time' : skewText(what.skewS);
      return failure('Precondition', `${says} has another time than this host: ${skew}`, {
        ...{ place, expected: `clocks that differ by at most ${FUDGE_S} s`, found: skew },
        hint: 'synchronise both clocks (chrony, systemd-timesyncd)',
      });
    }
    case TSIG_ERROR.BADKEY:
      return failure('Denied', `${says} does not know key ${key.name} with ${key.algorithm}`, {
        ...{ place, expected: `key ${key.name} in its configuration`, found: 'BADKEY' },
        hint: 'correct `key.name` and `key.algorithm`, or give the server that key',
      });
    default:
      return failure('Denied', `${says} has another secret for key ${key.name}`, {
        ...{ place, expected: `the secret of ${key.name}`, found: 'BADSIG' },
        hint: 'correct what `key.secret` refers to: the base64 of the server’s configuration',
      });
  }
}

function skewText(skewS: number): string {
  return `${Math.abs(skewS)} s ${skewS < 0 ? 'behind' : 'ahead of'} us`;
}

/** A reply that is not what its sender wrote, or was written by somebody else. */
export function untrusted({ name, options }: Form, asked: Asked, found: string): Error {
  const place = addressText(options.server);
  const type = asked === 'update' ? 'OutcomeUnknown' : found === 'unreadable' ? 'Unavailable' : 'Integrity';
  return failure(type, `switch ${name}: what came from name server ${place} is ${found}`, {
    ...{ place, expected: `a reply signed with key ${options.key.name}`, found },
    hint: 'see who answers there: a proxy or firewall that changes DNS messages',
  });
}

export function noReply({ name, options }: Form, asked: Asked, silence: DnsSilence): Error {
  const place = addressText(options.server);
  const meaning = networkMeaning(silence.cause);
  const found = silence.timedOut ? `silence for ${options.timeout} ms` : (meaning?.code ?? 'the connection was closed');
  const type = asked === 'update' && silence.sent ? 'OutcomeUnknown' : (meaning?.type ?? 'Unavailable');
  return failure(type, `switch ${name}: name server ${place} does not answer: ${found}`, {
    ...{ place, expected: 'an answer', found },
    hint: meaning?.hint ?? 'check `server`, the network and the firewall; it is tried again by itself',
    cause: silence,
  });
}
