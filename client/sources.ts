import type { Config } from '../activities/config/index.ts';
import { failure } from '../workflows/model/failure.ts';
import { nearestName } from '../workflows/model/nearest.ts';

/** The name, when the configuration has such a source; NotFound with the known ones otherwise. */
export function knownSource(config: Config, name: string): string {
  const known = Object.keys(config.sources);
  if (known.includes(name)) return name;
  const near = nearestName(name, known);
  const meant = near === undefined ? '' : `, did you mean "${near}"?`;
  throw failure('NotFound', `source ${name} is not in the configuration${meant}`, {
    place: `sources in ${config.path}`,
    expected: known.length > 0 ? `one of ${known.join(', ')}` : 'a source',
    found: name,
    hint: 'lifeboat config explain sources',
  });
}
