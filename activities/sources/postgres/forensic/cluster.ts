import { failure } from '../../../../workflows/model/failure.ts';
import type { Identity } from '../../../../workflows/model/manifest.ts';
import type { DownWish } from '../../forensic-copying.ts';
import type { FoundControl, readControl } from './control-state.ts';
import { isWhole } from './control-state.ts';

type Known = NonNullable<DownWish['known']>;

interface Told {
  control: Awaited<ReturnType<typeof readControl>>;
  /** As PG_VERSION says it. */
  major: number | undefined;
  known: Known | undefined;
}

/** Whose files they are, by themselves or else by the vault; Integrity when neither says it. */
export function clusterOf({ control, major, known }: Told): Omit<Identity, 'sizeBytes'> {
  const told = isWhole(control) ? toldBy(control) : known;
  const serverVersion = versionOf(major, known);
  if (!told || serverVersion === undefined) throw nameless(control);
  const { systemId, timeline, segmentBytes } = told;
  return { kind: 'postgres', systemId, serverVersion, timeline, segmentBytes };
}

function toldBy({ systemId, state, sizes }: FoundControl): Omit<Known, 'serverVersion'> {
  return { systemId, timeline: state.timeline, segmentBytes: sizes.segmentBytes };
}

/** The files say no more than the major one. */
function versionOf(major: number | undefined, known: Known | undefined): number | undefined {
  if (known && (major === undefined || Math.floor(known.serverVersion / 10_000) === major)) return known.serverVersion;
  return major === undefined ? undefined : major * 10_000;
}

function nameless(control: Told['control']): Error {
  return failure('Integrity', 'nothing says which cluster these files are of', {
    expected: 'global/pg_control and PG_VERSION, or a backup of the cluster in the vault',
    found: isWhole(control) ? 'no PG_VERSION' : control.wrong,
    hint: 'copy the data directory by hand',
  });
}
