import type { FailoverMode } from '../model/cluster.ts';
import { nodeAddress } from '../model/cluster.ts';
import type { Following } from '../model/failover.ts';
import { describeLoss } from '../model/failover-loss.ts';
import type { Check } from '../model/recovery.ts';
import { formatDuration } from '../model/units.ts';
import type { Switching } from './failing-over.ts';

/** News for those who want all of it: clients are served again, and what that has cost. */
export function tellServed(
  { cluster, from, to, said, journal, notices }: Switching,
  { mode, outageMs }: { mode: FailoverMode; outageMs: number },
): void {
  // Workers of before they knew delays told nobody.
  if (notices.facts.notifiers === undefined) return;
  const body = [
    `${mode} failover from ${from.name} at ${from.site} to ${to.name} at ${to.site}, ${nodeAddress(to)}`,
    `lost: ${said.loss ? describeLoss(said.loss) : 'nothing, by the last position of the old primary'}`,
    `nobody was served for ${formatDuration(outageMs)}; in all ${formatDuration(journal.elapsedMs())}`,
    `approved by: ${said.approvals?.map(({ by }) => by).join(', ') || 'nobody had to'}`,
    ...(said.promotion ? [`promoted at ${said.promotion.at}, timeline ${said.promotion.timeline}`] : []),
  ].join('\n');
  const title = `service ${cluster.service}: ${to.name} serves in place of ${from.name}`;
  notices.send({ severity: 'info', urgent: true, title, body, about: 'served' });
}

/** Clients are there, and the service does not do what it should: nothing is taken back for it. */
export function tellNotWell({ service, journal, notices }: Switching, address: string, bad: readonly Check[]): void {
  const found = bad.map(({ name, found, detail }) => `${name}: ${found}${detail === undefined ? '' : ` (${detail})`}`);
  journal.attention(`not well at ${address}: ${found.join('; ')}`);
  const title = `service ${service.service} is not well at ${address}`;
  notices.send({ severity: 'critical', title, body: found.join('\n'), about: 'checks', lasting: true });
}

/** It serves, and the next failure would find no standby. */
export function tellNoStandby({ cluster, from, to, journal, notices }: Switching, { checks }: Following): void {
  journal.attention(`${from.name} does not follow ${to.name}: the service has no standby there`);
  const lacks = checks.filter(({ ok }) => !ok).map(({ name, found }) => `${name}: ${found}`);
  const body = [...lacks, `lifeboat rejoin ${cluster.service} ${from.name}`].join('\n');
  const title = `service ${cluster.service}: ${from.name} does not follow ${to.name}`;
  notices.send({ severity: 'error', title, body, about: `standby ${from.name}`, lasting: true });
}
