import { registryOf } from '../io/registry.ts';
import { commandCheck } from './command.ts';
import { httpCheck } from './http.ts';
import { prometheusCheck } from './prometheus.ts';
import type { ServiceCheck } from './service-check.ts';
import { sqlCheck } from './sql.ts';

export type { CheckedPlace, CheckUse } from './service-check.ts';

/** What a check is that names no kind. */
export const USUAL_CHECK = 'command';

const registry = registryOf<ServiceCheck>('check', [commandCheck, httpCheck, sqlCheck, prometheusCheck]);

/** Every kind of check of a service. */
export const SERVICE_CHECKS: readonly ServiceCheck[] = registry.kinds;

export function findServiceCheck(kind: string): ServiceCheck {
  return registry.find(kind);
}
