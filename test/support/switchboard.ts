import { failure } from '../../workflows/model/failure.ts';
import type { ApproveMessage, PendingApproval, RefuseMessage } from '../../workflows/model/approval.ts';
import type { Move, Observed, Traffic } from '../../workflows/model/traffic.ts';
import { describeTraffic, sameTraffic, STOPPED } from '../../workflows/model/traffic.ts';
import { approveUpdate, refuseUpdate } from '../../workflows/messages.ts';
import { HOME } from './workflow-answers.ts';
import type { Script, TestRun } from './workflow-env.ts';

/** Switches in memory, which answer as real ones do. */
export class Switchboard {
  readonly at = new Map<string, Observed>();
  /** "pool: stopped" for each move, in order. */
  readonly moves: string[] = [];

  get script(): Script {
    return {
      locateTraffic: ({ name }) => this.where(name),
      moveTraffic: (task) => this.move(task),
    };
  }

  where(name: string): Observed {
    return this.at.get(name) ?? { traffic: HOME, token: 0 };
  }

  traffic(): Record<string, Traffic> {
    return Object.fromEntries(['pool', 'dns'].map((name) => [name, this.where(name).traffic]));
  }

  move({ name, from, to, token }: Move & { name: string }): { ok: true; found: string } {
    const now = this.where(name);
    if (token < now.token) throw failure('Precondition', `stale token ${token}`);
    if (!sameTraffic(now.traffic, to)) {
      if (!sameTraffic(now.traffic, from)) throw failure('Precondition', `it is at ${describeTraffic(now.traffic)}`);
      this.moves.push(`${name}: ${describeTraffic(to)}`);
    }
    this.at.set(name, { traffic: to, token });
    return { ok: true, found: 'as asked' };
  }
}

export const EVERYBODY_AT = (traffic: Traffic): Record<string, Traffic> => ({ pool: traffic, dns: traffic });
export const NOBODY = EVERYBODY_AT(STOPPED);

const LOOK_MS = 10;

/** What the run shows to those who decide, as soon as it does; never the evidence `unlike`. */
export async function pendingOf(run: Pick<TestRun, 'progress' | 'handle'>, unlike?: string): Promise<PendingApproval> {
  for (;;) {
    const { approval, outcome } = await run.progress();
    if (approval && approval.evidence.hash !== unlike) return approval;
    if (outcome !== 'running') throw new Error(`the run has ended: ${outcome}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

export function approve(run: Pick<TestRun, 'handle'>, message: ApproveMessage): Promise<PendingApproval> {
  return run.handle.executeUpdate(approveUpdate, { args: [message] });
}

export function refuse(run: Pick<TestRun, 'handle'>, message: RefuseMessage): Promise<void> {
  return run.handle.executeUpdate(refuseUpdate, { args: [message] });
}
