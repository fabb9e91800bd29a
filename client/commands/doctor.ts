import type { Command } from 'commander';
import type { Call, Handler, Outcome } from '../verb.ts';
import { addExamples } from '../verb.ts';

export function define(command: Command): Handler {
  addExamples(command, [
    [
      'lifeboat doctor',
      'configuration, keys, Temporal, clocks, workers, stores and clusters: each line ok, warn or fail',
    ],
    ['lifeboat doctor --json', 'the same for a monitor; the exit code is not 0 when something fails'],
  ]);
  return doctor;
}

async function doctor(call: Call): Promise<Outcome> {
  const [{ lookLocally }, { doctorExitCode, findingLines }] = await Promise.all([
    import('../doctor/local.ts'),
    import('../doctor/finding.ts'),
  ]);
  const { findings, config } = await lookLocally(call);
  const rest = config ? await (await import('../doctor/server.ts')).lookAtServer(call, config) : [];
  const all = [...findings, ...rest];
  return { data: { checks: all }, lines: findingLines(all), exitCode: doctorExitCode(all) };
}
