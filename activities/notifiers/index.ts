import { registryOf } from '../io/registry.ts';
import { emailNotifier } from './email.ts';
import type { Notifier } from './notifier.ts';
import { pagerDutyNotifier } from './pagerduty.ts';
import { slackNotifier } from './slack.ts';
import { statuspageNotifier } from './statuspage.ts';
import { webhookNotifier } from './webhook.ts';

const registry = registryOf<Notifier>('notifier', [
  ...[slackNotifier, pagerDutyNotifier, emailNotifier, statuspageNotifier],
  webhookNotifier,
]);

/** Every kind of notifier. */
export const NOTIFIERS: readonly Notifier[] = registry.kinds;

export function findNotifier(kind: string): Notifier {
  return registry.find(kind);
}
