import { failure, findFailure, isFailure } from '../../../workflows/model/failure.ts';
import type { Confirmation, Move, Observed, Traffic } from '../../../workflows/model/traffic.ts';
import { AwsCaller } from '../../io/aws/caller.ts';
import type { Run } from '../../io/run.ts';
import { capacityOf, countFor } from '../capacity.ts';
import { stillToDo } from '../compare.ts';
import { checkOneSite, checkSites } from '../sites.ts';
import type { SwitchCheck, SwitchSession } from '../switch.ts';
import type { EcsOptions } from './options.ts';
import type { EcsState, TaskHealth } from './service.ts';
import { SiteService } from './service.ts';

interface Seen {
  state: EcsState;
  token: number;
}

export class EcsSession implements SwitchSession {
  readonly #name: string;
  readonly #sites: ReadonlyMap<string, SiteService>;

  constructor(name: string, options: EcsOptions, run: Run) {
    this.#name = name;
    const caller = new AwsCaller(run, options.timeout);
    this.#sites = new Map(
      Object.entries(options.sites).map(([each, site]) => [each, new SiteService(each, { site, options, caller })]),
    );
  }

  async where(): Promise<Observed> {
    return this.#observe(await this.#look());
  }

  /** The number is left at every site before one is changed: a late move of an older run is refused from then on. */
  async move(move: Move): Promise<void> {
    const { to, token } = move;
    checkSites(this.#name, to, [...this.#sites.keys()]);
    for (const [name, { site }] of this.#sites) countFor(this.#name, { name, site, share: to[name] ?? 0 });
    const seen = await this.#look();
    const verdict = stillToDo(this.#name, this.#observe(seen), move);
    if (verdict === 'nothing') return;
    if (verdict === 'move') checkOneSite(this.#name, move);
    for (const [name, at] of seen) if (at.token < token) await this.#service(name).claim(at.state.arn, token);
    if (verdict === 'move')
      for (const [name, { state }] of seen) await this.#scale(name, { state, share: to[name] ?? 0 });
  }

  async #scale(name: string, { state, share }: { state: EcsState; share: number }): Promise<void> {
    const service = this.#service(name);
    if (capacityOf(service.site, state.desired) === share) return;
    await service.scale(countFor(this.#name, { name, site: service.site, share }));
  }

  async confirm(to: Traffic): Promise<Confirmation> {
    const looks = await Promise.all(
      [...this.#sites].map(async ([name, service]) => {
        const { ok, found } = await this.#confirmSite(service, { name, share: to[name] ?? 0 });
        return { ok, found: `${name}: ${found}` };
      }),
    );
    return { ok: looks.every(({ ok }) => ok), found: looks.map(({ found }) => found).join('; ') };
  }

  /** A site that is not well is a warning: that is what a move away from it is for. */
  async check(): Promise<SwitchCheck[]> {
    const checks = await Promise.all(
      [...this.#sites].map(async ([name, service]): Promise<SwitchCheck> => {
        try {
          const { desired } = await service.state();
          const share = capacityOf(service.site, desired);
          const { ok, found } = await this.#confirmSite(service, { name, share });
          return { name, ok: true, found, ...(ok ? {} : { hint: `look at ${service.place}` }) };
        } catch (error) {
          if (!isFailure(error, 'Precondition')) throw error;
          return { name, ok: true, found: findFailure(error)?.message ?? '', hint: `look at ${service.place}` };
        }
      }),
    );
    const regions = new Set([...this.#sites.values()].map(({ site }) => site.region));
    return regions.size > 1 ? [...checks, SEVERAL_REGIONS] : checks;
  }

  [Symbol.asyncDispose](): Promise<void> {
    for (const service of this.#sites.values()) service.close();
    return Promise.resolve();
  }

  async #look(): Promise<Map<string, Seen>> {
    const seen = await Promise.all(
      [...this.#sites].map(async ([name, service]): Promise<[string, Seen]> => {
        const state = await service.state();
        return [name, { state, token: await service.token(state.arn) }];
      }),
    );
    return new Map(seen);
  }

  #observe(seen: ReadonlyMap<string, Seen>): Observed {
    const shares = [...seen].map(([name, { state }]): [string, number] => [
      name,
      capacityOf(this.#service(name).site, state.desired),
    ]);
    return {
      traffic: Object.fromEntries(shares.filter(([, share]) => share > 0)),
      token: Math.max(0, ...[...seen.values()].map(({ token }) => token)),
    };
  }

  #service(name: string): SiteService {
    const service = this.#sites.get(name);
    if (!service) throw failure('Bug', `switch ${this.#name} has no site ${name}`);
    return service;
  }

  /** Precondition when its newest deployment has failed: that does not heal by waiting. */
  async #confirmSite(service: SiteService, { name, share }: { name: string; share: number }): Promise<Confirmation> {
    const state = await service.state();
    const { site } = service;
    const wanted = countFor(this.#name, { name, site, share });
    const { running, rollout, rolloutReason, events } = state;
    if (share === 0) return { ok: running <= site.standby, found: `${running} running, ${site.standby} wanted` };
    if (rollout === 'FAILED') throw failedRollout(service.place, rolloutReason ?? events[0] ?? 'no reason given');
    return serving(state, { health: await service.health(), wanted, least: Math.min(wanted, site.minimum ?? wanted) });
  }
}

/** All, deployed to its end; or as many as the policy has enough of. */
function serving(
  { desired, pending, rollout = 'COMPLETED', events }: EcsState,
  { health, wanted, least }: { health: TaskHealth; wanted: number; least: number },
): Confirmation {
  const { healthy, unhealthy } = health;
  const counts = `${healthy} of ${wanted} running and healthy, ${unhealthy} unhealthy, ${pending} pending`;
  const isPartial = least < wanted;
  const ok = desired >= least && healthy >= least && (rollout === 'COMPLETED' || isPartial);
  const why = ok || events[0] === undefined ? '' : `: ${events[0].slice(0, 200)}`;
  return { ok, found: `${counts}${isPartial ? ` (${least} are enough)` : ''}, deployment ${rollout}${why}` };
}

function failedRollout(place: string, reason: string): Error {
  return failure('Precondition', `${place}: its deployment has failed`, {
    ...{ place, expected: 'a deployment that completes', found: reason.slice(0, 300) },
    hint: 'mend the task definition or the image, deploy it, then start again',
  });
}

const SEVERAL_REGIONS: SwitchCheck = {
  ...{ name: 'regions', ok: true, found: 'its sites are in several regions' },
  hint: 'while one of them does not answer, none can be moved: declare a switch of kind ecs for each site',
};
