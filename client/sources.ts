import type { Config } from '../activities/config/index.ts';
import { failure } from '../workflows/model/failure.ts';
import { nearestName } from '../workflows/model/nearest.ts';

/** The name, when the configuration has such a source; NotFound with the known ones otherwise. */
export function knownSource(config: Config, name: string): string {
  return knownName(config, name, 'source');
}

/** The name, when the configuration has such a service; NotFound with the known ones otherwise. */
export function knownService(config: Config, name: string): string {
  return knownName(config, name, 'service');
}

function knownName(config: Config, name: string, what: 'source' | 'service'): string {
  const known = Object.keys(config[`${what}s`]);
  if (known.includes(name)) return name;
  const near = nearestName(name, known);
  const meant = near === undefined ? '' : `, did you mean "${near}"?`;
  throw failure('NotFound', `${what} ${name} is not in the configuration${meant}`, {
    place: `${what}s in ${config.path}`,
    expected: known.length > 0 ? `one of ${known.join(', ')}` : `a ${what}`,
    found: name,
    hint: `lifeboat config explain ${what}s`,
  });
}
