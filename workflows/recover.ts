import { isCancellation, CancellationScope, patched } from '@temporalio/workflow';
import { Approvals } from './lib/approval.ts';
import { begin } from './lib/begin.ts';
import { Compensations, conclude, messageOf } from './lib/conclude.ts';
import { keepDamaged } from './lib/keep-damaged.ts';
import { lastGoodOf, lostBehind } from './lib/last-good.ts';
import { planRecovery } from './lib/recover.ts';
import { report } from './lib/report.ts';
import { startRtoClock } from './lib/rto-clock.ts';
import type { Saving } from './lib/take-over.ts';
import { recoverProven, sectionsOf, switchOver } from './lib/take-over.ts';
import { TrafficControl } from './lib/traffic.ts';
import { failure } from './model/failure.ts';
import type { RecoverOrder, Scenario } from './model/orders.ts';
import { FORENSICS, SCENARIOS } from './model/orders.ts';
import type { RecoverResult, SourceFacts } from './model/results.ts';
import type { ServiceFacts } from './model/service.ts';
import { quick } from './options.ts';

/**
 * Recovers a source and sends the clients of its service to what was recovered, by the switches of the service.
 * recent-loss: traffic is stopped first, the copy is recovered to the moment before, approved, served. complete-loss: the same
 * with the newest moment and traffic by steps. corruption: a copy of the damaged state is kept, the last good moment is looked for
 * backwards while production goes on, what came after it is listed; then as above.
 * Input: {"source":"shop","scenario":"recent-loss","by":"anna","target":{"kind":"time","time":"2026-03-01T11:59:59Z"}}.
 */
export async function recover(given: RecoverOrder): Promise<RecoverResult> {
  const begun = await begin<RecoverOrder>('recover', given, {
    ...{ 'source!': 'text', 'scenario!': SCENARIOS, 'by!': 'text', service: 'text' },
    ...{ target: 'target', timeline: 'timeline', point: 'text', host: 'text', mustHold: 'list' },
    ...{ forensic: FORENSICS, forensicDirectory: 'text', forensicHost: 'text' },
    ...{ into: 'text', port: 'port', replace: 'flag', tablespaces: 'texts' },
  });
  const { order, journal, facts, notices } = begun;
  const approvals = new Approvals(journal);
  const clock = startRtoClock(journal, notices);
  let saving: Saving | undefined;
  try {
    return await conclude(
      journal,
      async (undo) => {
        checkScenario(order);
        checkForensic(order);
        if (facts.dumps) throw noReplay(facts);
        const asked = { source: order.source, ...(order.service === undefined ? {} : { service: order.service }) };
        const service = await quick({ summary: `read the service of ${order.source}` }).describeService(asked);
        checkSides(service);
        saving = { ...begun, service, approvals, undo, clock, said: {} };
        return SCENARIO_STEPS[order.scenario](saving);
      },
      {
        tell: (error) => {
          const title = `recovery of ${order.source} (${order.scenario}) failed`;
          notices.send({ severity: 'critical', title, body: messageOf(error) });
        },
        finish: async (error) => {
          const { begun: isBegun, restore } = saving?.said ?? {};
          // An order that was refused has touched nothing, and leaves nothing.
          if (!isBegun && patched(REFUSED_LEAVES_NOTHING)) return;
          const sections = saving ? sectionsOf(saving) : [];
          await report({ kind: 'recover', journal, facts, error, sections, ...(restore ? { result: restore } : {}) });
        },
      },
    );
  } finally {
    clock.stop();
    await notices.settle();
  }
}

/** Of histories from before only a recovery that had begun wrote a report. */
const REFUSED_LEAVES_NOTHING = 'refused-recovery-leaves-nothing';

const SCENARIO_STEPS: Record<Scenario, (use: Saving) => Promise<RecoverResult>> = {
  'recent-loss': stopFirst,
  'complete-loss': stopFirst,
  corruption,
};

/** Loss of what was there is undone to a moment that somebody names; loss of everything to the newest. */
function checkScenario({ scenario, target }: RecoverOrder): void {
  if (scenario !== 'recent-loss' || target) return;
  throw failure('ConfigInvalid', 'order recover lacks "target"', {
    place: 'recover.target',
    expected: 'the moment before the loss',
    found: 'nothing',
    hint: 'lifeboat recover SOURCE --scenario recent-loss --to-time 2026-03-01T11:59:59Z',
  });
}

/** Where files stand is of use only where they may be copied. */
function checkForensic({ scenario, forensic = 'files', forensicDirectory, forensicHost }: RecoverOrder): void {
  if (forensicDirectory === undefined && forensicHost === undefined) return;
  const hint = 'lifeboat recover SOURCE --scenario corruption --forensic files --forensic-dir DIR';
  if (scenario !== 'corruption' || forensic !== 'files') {
    throw failure('ConfigInvalid', 'order recover has files to copy, and does not copy any', {
      place: forensicDirectory === undefined ? 'recover.forensicHost' : 'recover.forensicDirectory',
      expected: 'scenario corruption, with forensic files',
      found: `scenario ${scenario}, forensic ${forensic}`,
      hint,
    });
  }
  if (forensicDirectory === undefined || forensicDirectory.startsWith('/')) return;
  throw failure('ConfigInvalid', 'order recover.forensicDirectory is no absolute path', {
    ...{ place: 'recover.forensicDirectory', expected: 'an absolute path on the host of the server' },
    ...{ found: forensicDirectory, hint },
  });
}

/** No more writes that will be lost; then recover, prove, approve, serve. */
async function stopFirst(use: Saving): Promise<RecoverResult> {
  const { order, journal } = use;
  journal.step('look before anything is touched');
  const { plan } = await planRecovery(wishOf(use));
  journal.note(`from ${plan.base.point}, on host ${plan.host}`);
  const traffic = await TrafficControl.open(use);
  use.said.begun = true;
  return guarding(use, traffic, async () => {
    journal.step('stop traffic');
    await traffic.stop();
    use.said.stoppedAtMs = journal.elapsedMs();
    const restore = await recoverProven(use, wishOf(use));
    const steps = order.scenario === 'complete-loss' ? use.service.steps : [100];
    return switchOver(use, { restore, traffic, steps });
  });
}

/** Production goes on until somebody has seen what it would lose. */
async function corruption(use: Saving): Promise<RecoverResult> {
  const { order, journal } = use;
  const { windows } = await planRecovery({ ...wishOf(use), target: order.target ?? { kind: 'latest' } });
  const traffic = await TrafficControl.open(use);
  use.said.begun = true;
  const forensicPoint = order.forensic === 'none' ? undefined : await keepDamaged(use);
  const lastGood = order.target ? undefined : await lastGoodOf(use, windows);
  const wish = lastGood ? { ...wishOf(use), point: lastGood.point, target: lastGood.target } : wishOf(use);
  return guarding(use, traffic, async () => {
    const restore = await recoverProven(use, wish);
    const lost = await lostBehind(use, restore);
    const before = async (): Promise<void> => {
      journal.step('stop traffic');
      await traffic.stop();
      use.said.stoppedAtMs = journal.elapsedMs();
    };
    const result = await switchOver(use, { restore, traffic, steps: [100], before });
    return {
      ...{ ...result, lost },
      ...(lastGood ? { lastGood } : {}),
      ...(forensicPoint === undefined ? {} : { forensicPoint }),
    };
  });
}

function wishOf({ order, service }: Saving): Parameters<typeof planRecovery>[0] {
  const { scenario: _scenario, by: _by, service: _service, forensic: _forensic, ...all } = order;
  const { forensicDirectory: _directory, forensicHost: _host, ...wish } = all;
  return { ...wish, listen: service.listen };
}

/** Whatever fails puts traffic back before anything else is taken back: people wait for it. */
async function guarding<T>(use: Saving, traffic: TrafficControl, work: () => Promise<T>): Promise<T> {
  const { journal, undo, said } = use;
  const back = new Compensations();
  back.push('put traffic back', () => traffic.putBack());
  try {
    return await work();
  } catch (error) {
    await CancellationScope.nonCancellable(() => back.unwind(journal));
    const { restore } = said;
    // A proven copy has cost hours: it goes only with a run that is called off.
    if (restore && !isCancellation(error)) {
      undo.clear();
      const { into, host, port } = restore.plan;
      journal.note(`the recovered cluster is kept: ${into} on host ${host}, port ${port}`);
    }
    throw error;
  }
}

/** What was recovered is an address, which is not known before. */
function checkSides({ service, traffic }: ServiceFacts): void {
  const bySite = traffic.find(({ sites }) => sites !== undefined);
  if (!bySite) return;
  throw failure('ConfigInvalid', `service ${service} has switch ${bySite.name}, which goes by sites`, {
    place: `services.${service}.traffic`,
    expected: 'switches that take any "host:port"',
    found: `kind ${bySite.kind} with sites ${bySite.sites?.join(', ')}`,
    hint: `take ${bySite.name} out of services.${service}.traffic: a recovered cluster is at no site`,
  });
}

function noReplay({ source, kind }: SourceFacts): Error {
  return failure(
    'Unsupported',
    `source ${source} of kind ${kind} cannot take over: it has only the moments of its dumps`,
    {
      ...{ place: `source ${source}`, expected: 'a source of kind postgres', found: kind },
      hint: `lifeboat restore ${source} --into-database NAME`,
    },
  );
}
