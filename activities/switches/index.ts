import { registryOf } from '../io/registry.ts';
import { commandSwitch } from './command.ts';
import type { Switch } from './switch.ts';

const registry = registryOf<Switch>('switch', [commandSwitch]);

/** Every kind of switch. */
export const SWITCHES: readonly Switch[] = registry.kinds;

export function findSwitch(kind: string): Switch {
  return registry.find(kind);
}
