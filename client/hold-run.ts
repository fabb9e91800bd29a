import { workflowId } from '../workflows/model/names.ts';
import type { HoldOrder } from '../workflows/model/orders.ts';
import type { HoldResult } from '../workflows/model/retention-result.ts';
import type { Session } from './connect.ts';
import type { Call, Outcome } from './verb.ts';

/** Puts a hold on the point that the call names, or takes it off. */
export async function holdRun(
  call: Call,
  wish: Pick<HoldOrder, 'reason' | 'release'>,
  linesOf: (result: HoldResult) => string[],
): Promise<Outcome> {
  const { runVerb } = await import('./run.ts');
  return runVerb<HoldResult>(call, {
    request: async (session) => {
      const place = await placeOf(session, call);
      return {
        workflow: 'hold',
        workflowId: workflowId.hold(place.source, place.point),
        order: { ...place, ...wish } satisfies HoldOrder,
        summary: `${wish.release === true ? 'release' : 'hold'} ${place.source}/${place.point}`,
      };
    },
    answer: (result) => ({ data: { hold: result }, lines: linesOf(result) }),
  });
}

/** A point without its source is looked up: point ids are unique within a source only. */
async function placeOf(session: Session, call: Call): Promise<{ source: string; point: string }> {
  const [{ inspect }, { checkedPointName }] = await Promise.all([import('./inspect.ts'), import('./points.ts')]);
  const { source, point } = checkedPointName(session, call.args[0] ?? '');
  if (source !== undefined) return { source, point };
  const { summary } = (await inspect(session, { what: 'point', point }, call)).point;
  return { source: summary.source, point: summary.point };
}
