import { registryOf } from '../io/registry.ts';
import type { Notifier } from './notifier.ts';
import { webhookNotifier } from './webhook.ts';

const registry = registryOf<Notifier>('notifier', [webhookNotifier]);

/** Every kind of notifier. */
export const NOTIFIERS: readonly Notifier[] = registry.kinds;

export function findNotifier(kind: string): Notifier {
  return registry.find(kind);
}
