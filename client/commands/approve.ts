import type { Command } from 'commander';
import type { PendingApproval } from '../../workflows/model/approval.ts';
import { addIdentityOption } from '../identity.ts';
import type { Call, Handler, Outcome } from '../verb.ts';
import { addExamples } from '../verb.ts';

export function define(command: Command): Handler {
  command
    .argument('<run>', 'workflow id of a run that waits, like recover/shop')
    .option('--evidence <hash>', 'approve what you have seen: its hash, or the first eight digits of it or more');
  addIdentityOption(command);
  addExamples(command, [
    ['lifeboat approve recover/shop', 'show what it waits for, and approve nothing'],
    ['lifeboat approve recover/shop --evidence 3f2a9c01', 'approve exactly that'],
  ]);
  return approve;
}

async function approve(call: Call): Promise<Outcome> {
  const [{ openSession }, { waitingFor, say }, { approvalLines }, { identityOf }] = await Promise.all([
    import('../connect.ts'),
    import('../approval.ts'),
    import('../recover-lines.ts'),
    import('../identity.ts'),
  ]);
  const [run = ''] = call.args;
  const by = identityOf(call.options);
  const hash = call.options['evidence'] as string | undefined;
  await using session = await openSession(call);
  const waiting = await waitingFor(session, run);
  if (hash === undefined) {
    const short = waiting.pending.evidence.hash.slice(0, 8);
    return {
      data: { workflowId: run, approved: false, pending: waiting.pending },
      lines: [...approvalLines(run, waiting.pending), `approve it: lifeboat approve ${run} --evidence ${short}`],
    };
  }
  const now = await say<PendingApproval>(session, waiting, { name: 'approve', message: { by, hash } });
  const missing = now.rule.of - now.given.length;
  return {
    data: { workflowId: run, approved: true, by, pending: now },
    lines: [`${by} approves ${run}${missing > 0 ? `; it waits for ${missing} more` : ''}`],
  };
}
