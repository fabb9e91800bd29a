import { isIP } from 'node:net';
import { failure } from '../../../workflows/model/failure.ts';
import type { Traffic } from '../../../workflows/model/traffic.ts';
import {
  addressText,
  describeTraffic,
  parseAddress,
  sameTraffic,
  trafficProblem,
} from '../../../workflows/model/traffic.ts';
import type { Json } from './object.ts';
import { listing, mapping } from './object.ts';
import type { KubeWay } from './way.ts';

/** The addresses of an EndpointSlice: pods reach what is outside of the cluster by the name of its Service. */
export function endpointsWay(switchName: string, port: number): KubeWay {
  const trafficIn = (json: Json): Traffic => {
    const hosts = listing(json['endpoints'])
      .filter((endpoint) => mapping(endpoint['conditions'])['ready'] !== false)
      .flatMap(({ addresses }) => (Array.isArray(addresses) ? addresses.slice(0, 1).map(String) : []));
    const share = Math.floor(10_000 / Math.max(1, hosts.length)) / 100;
    return Object.fromEntries(hosts.map((host) => [addressText({ host, port }), share]));
  };
  return {
    checkWish: (to) => {
      const [share, ...others] = [...new Set(Object.values(to))];
      const isEven =
        others.length === 0 && (share ?? 100) === Math.floor(10_000 / Math.max(1, Object.keys(to).length)) / 100;
      const bad = Object.keys(to).find((side) => {
        const address = parseAddress(side);
        return !address || address.port !== port || isIP(address.host) === 0;
      });
      if (trafficProblem(to) !== undefined || bad !== undefined || !isEven)
        throw notAddresses(switchName, { port, to });
    },
    trafficOf: (seen) => trafficIn(seen[0]?.json ?? {}),
    changeOf: ({ json }, to) => {
      if (sameTraffic(trafficIn(json), to)) return undefined;
      const hosts = Object.keys(to).map((side) => parseAddress(side)?.host ?? side);
      return { endpoints: hosts.map((host) => ({ addresses: [host], conditions: { ready: true } })) };
    },
    confirm: (seen, to) => {
      const now = trafficIn(seen[0]?.json ?? {});
      return Promise.resolve({ ok: sameTraffic(now, to), found: describeTraffic(now) });
    },
  };
}

function notAddresses(switchName: string, { port, to }: { port: number; to: Traffic }): Error {
  return failure('ConfigInvalid', `switch ${switchName} cannot send traffic so`, {
    ...{ place: `switches.${switchName}.port`, expected: `IP addresses with port ${port}, all with the same share` },
    ...{ found: describeTraffic(to), hint: 'correct port, or move all to one address' },
  });
}
