import { describeFailoverDrill } from '../workflows/model/failover-drill.ts';
import { forecastText } from '../workflows/model/forecast.ts';
import type { SourceForecast } from '../workflows/model/results.ts';
import type { Session } from './connect.ts';
import { inspect } from './inspect.ts';
import { listRuns } from './runs.ts';
import { pairLines, tableLines } from './table.ts';
import type { Call, Outcome } from './verb.ts';

/** Among them those of one source are looked for. */
const RUNS_LOOKED_AT = 500;

/** How a source stands: what runs for it, and how long a restore will take. */
export async function showSource(
  session: Session,
  { source, limit }: { source: string; limit: number },
  call: Call,
): Promise<Outcome> {
  const [{ sources }, listed] = await Promise.all([
    inspect(session, { what: 'forecast', source }, call),
    listRuns(session, RUNS_LOOKED_AT),
  ]);
  const runs = listed.filter(({ workflowId }) => workflowId.split('/')[1] === source).slice(0, limit);
  const answer: SourceForecast = sources[0] ?? { source, reason: 'no worker knows it' };
  const rows = runs.map((run) => [run.workflowId, run.status.toLowerCase(), run.startedAt, run.closedAt ?? '']);
  return {
    data: { runs, ...answer },
    lines: [
      ...pairLines([['source', source], ...forecastPairs(answer)]),
      ...(rows.length === 0 ? [] : ['', ...tableLines(['RUN', 'STATUS', 'STARTED', 'ENDED'], rows)]),
    ],
  };
}

function forecastPairs({ forecast, reason, failoverDrills = [] }: SourceForecast): [string, string | undefined][] {
  const drills = failoverDrills.map((drill): [string, string] => [
    `failover drill of ${drill.service}`,
    describeFailoverDrill(drill),
  ]);
  if (!forecast) return [['restore will take', `not known: ${reason}`], ...drills];
  return [['restore will take', forecastText(forecast)], ['which rests on', forecast.says], ...drills];
}
