import { registryOf } from '../io/registry.ts';
import { commandSwitch } from './command.ts';
import { ecsSwitch } from './ecs/index.ts';
import { httpSwitch } from './http.ts';
import { kubernetesSwitch } from './kubernetes/index.ts';
import { pgbouncerSwitch } from './pgbouncer/index.ts';
import { rdsSwitch } from './rds/index.ts';
import { rfc2136Switch } from './rfc2136/index.ts';
import { route53Switch } from './route53/index.ts';
import { ssmSwitch } from './ssm/index.ts';
import type { Switch } from './switch.ts';

const registry = registryOf<Switch>('switch', [
  commandSwitch,
  ecsSwitch,
  httpSwitch,
  kubernetesSwitch,
  pgbouncerSwitch,
  rdsSwitch,
  rfc2136Switch,
  route53Switch,
  ssmSwitch,
]);

/** Every kind of switch. */
export const SWITCHES: readonly Switch[] = registry.kinds;

export function findSwitch(kind: string): Switch {
  return registry.find(kind);
}
