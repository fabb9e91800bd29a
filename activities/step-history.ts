import { z } from 'zod';
import { isFailure } from '../workflows/model/failure.ts';
import type { Report, ReportStep, StepHistory } from '../workflows/model/report.ts';
import type { Vault } from './vault/vault.ts';

const MOST_RUNS = 20;

/** docs/format.md "Step times". */
const schema = z.object({
  format: z.literal('lifeboat-steps/1'),
  runs: z.array(
    z.object({
      run: z.string(),
      at: z.string(),
      steps: z.array(z.object({ name: z.string(), ms: z.number().nonnegative() })),
    }),
  ),
});

type Runs = z.output<typeof schema>['runs'];

/** The steps of a report, each with what it took in earlier runs; its own run does not count, so that a repeat says the same. */
export async function stepsBefore(vault: Vault, report: Report): Promise<ReportStep[]> {
  const { steps = [], run } = report;
  const name = nameOf(report);
  if (name === undefined || steps.length === 0) return steps;
  const earlier = (await readRuns(vault, name)).filter((each) => each.run !== run);
  return steps.map((step) => {
    const before = historyOf(step.name, earlier);
    return before ? { ...step, before } : step;
  });
}

/** Keeps what the steps of a run took that ended well; the oldest go. A repeat writes the same again. */
export async function keepSteps(vault: Vault, report: Report): Promise<void> {
  const { steps = [], run, finishedAt: at, outcome } = report;
  const name = nameOf(report);
  if (name === undefined || steps.length === 0 || outcome !== 'proven') return;
  const others = (await readRuns(vault, name)).filter((each) => each.run !== run);
  const runs = [...others, { run, at, steps: steps.map((step) => ({ name: step.name, ms: step.ms })) }];
  const kept = runs.sort((a, b) => (a.at < b.at ? -1 : 1)).slice(-MOST_RUNS);
  await vault.putReport(name, Buffer.from(JSON.stringify({ format: 'lifeboat-steps/1', runs: kept })));
}

/** One object for each service and what is done with it: there is one run of that at a time. */
function nameOf({ change, kind, drill }: Report): string | undefined {
  return change && `steps-${change.service}-${kind}${drill ? '-drill' : ''}`;
}

function historyOf(name: string, runs: Runs): StepHistory | undefined {
  const times = runs.flatMap(({ steps }) => steps.filter((step) => step.name === name).map(({ ms }) => ms));
  const sorted = times.sort((a, b) => a - b);
  const [medianMs, longestMs] = [sorted[Math.floor((sorted.length - 1) / 2)], sorted.at(-1)];
  return medianMs === undefined || longestMs === undefined ? undefined : { runs: sorted.length, medianMs, longestMs };
}

/** None when there is none, or it has another form. */
async function readRuns(vault: Vault, name: string): Promise<Runs> {
  try {
    return schema.safeParse(JSON.parse((await vault.readReport(name)).toString('utf8'))).data?.runs ?? [];
  } catch (error) {
    if (isFailure(error, 'NotFound') || isFailure(error, 'Integrity') || error instanceof SyntaxError) return [];
    throw error;
  }
}
