import { failure } from '../../../workflows/model/failure.ts';
import type { Confirmation } from '../../../workflows/model/traffic.ts';
import type { Capacity } from '../capacity.ts';
import { capacityOf, countFor } from '../capacity.ts';
import { checkSites } from '../sites.ts';
import type { KubernetesSite } from './options.ts';
import type { Json, KubeObject } from './object.ts';
import { count, listing, mapping } from './object.ts';
import type { KubeWay, Seen } from './way.ts';

export interface ScaledSite {
  name: string;
  site: KubernetesSite;
  object: KubeObject;
}

/** Pods of a Deployment or StatefulSet in each site: up is what is ready, as much as the policy wants. */
export function scaleWay(switchName: string, sites: readonly ScaledSite[]): KubeWay {
  const siteOf = (object: KubeObject): ScaledSite => {
    const found = sites.find((each) => each.object === object);
    if (!found) throw failure('Bug', `an object of no site: ${object.path}`);
    return found;
  };
  return {
    checkWish: (to) => {
      checkSites(
        switchName,
        to,
        sites.map(({ name }) => name),
      );
      for (const { name, site } of sites) countFor(switchName, { name, site: capacity(site), share: to[name] ?? 0 });
    },
    trafficOf: (seen) => {
      const shares = seen.map(({ object, json }): [string, number] => {
        const { name, site } = siteOf(object);
        return [name, capacityOf(capacity(site), count(mapping(json['spec'])['replicas']))];
      });
      return Object.fromEntries(shares.filter(([, share]) => share > 0));
    },
    changeOf: ({ object, json }, to) => {
      const { name, site } = siteOf(object);
      const share = to[name] ?? 0;
      if (capacityOf(capacity(site), count(mapping(json['spec'])['replicas'])) === share) return undefined;
      return { spec: { replicas: countFor(switchName, { name, site: capacity(site), share }) } };
    },
    confirm: (seen, to) => {
      const looks = seen.map(({ object, json }) => {
        const { name, site } = siteOf(object);
        const share = to[name] ?? 0;
        const wanted = countFor(switchName, { name, site: capacity(site), share });
        const { ok, found } = readiness({ object, json }, { site, wanted });
        return { ok, found: `${name}: ${found}` };
      });
      return Promise.resolve({
        ok: looks.every(({ ok }) => ok),
        found: looks.map(({ found }) => found).join('; '),
      });
    },
  };
}

function capacity({ replicas = 1, standby }: KubernetesSite): Capacity {
  return { desired: replicas, standby };
}

/** Precondition when the controller has given up: that does not heal by waiting. */
function readiness({ object, json }: Seen, { site, wanted }: { site: KubernetesSite; wanted: number }): Confirmation {
  const status = mapping(json['status']);
  const isSeen = count(status['observedGeneration']) >= count(mapping(json['metadata'])['generation']);
  const ready = count(status['readyReplicas']);
  if (wanted <= site.standby)
    return {
      ok: isSeen && count(status['replicas']) <= wanted,
      found: `${count(status['replicas'])} pods, ${wanted} wanted`,
    };
  const conditions = listing(status['conditions']);
  const late = conditions.find(({ type, reason }) => type === 'Progressing' && reason === 'ProgressDeadlineExceeded');
  const least = Math.min(wanted, site.minimum ?? wanted);
  const ok = isSeen && ready >= least;
  if (!ok && isSeen && late) throw givenUp(object, String(late['message'] ?? late['reason']));
  const policy = least < wanted ? ` (${least} are enough)` : '';
  return { ok, found: `${ready} of ${wanted} ready${policy}${ok ? '' : reasonIn(conditions)}` };
}

function reasonIn(conditions: readonly Json[]): string {
  const bad = conditions.find(({ status, message }) => status === 'False' && message !== undefined);
  return bad ? `: ${String(bad['message']).slice(0, 200)}` : '';
}

function givenUp({ path }: KubeObject, message: string): Error {
  return failure('Precondition', `${path}: its rollout has failed`, {
    ...{ place: path, expected: 'pods that become ready', found: message.slice(0, 300) },
    hint: 'kubectl describe it, mend the image or the template, then start again',
  });
}
