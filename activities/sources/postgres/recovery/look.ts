import { connect } from 'node:net';
import type { RecoveryPlan } from '../../../../workflows/model/recovery.ts';
import type { Standing } from '../../source.ts';
import { placeOf } from './place.ts';
import { ownerOf } from './prepare.ts';
import { runningServer } from '../../../io/postgres/server.ts';

const CONNECT_MS = 5_000;

/** Asks the host, not the server: when the recovery has finished, who may log in is the business of the cluster itself. */
export async function lookAt(plan: RecoveryPlan): Promise<Standing> {
  const ours = (await ownerOf(placeOf(plan))) === plan.run;
  const running = (await runningServer(placeOf(plan).data)) !== undefined;
  return { ours, running, answers: running && (await answersOn(hostOf(plan), plan.port)) };
}

function hostOf({ listen = '127.0.0.1' }: RecoveryPlan): string {
  const first = listen.split(',')[0]?.trim() ?? '';
  return first === '*' || first === '0.0.0.0' || first === '' ? '127.0.0.1' : first === '::' ? '::1' : first;
}

function answersOn(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: CONNECT_MS });
    const end = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => end(true));
    socket.once('timeout', () => end(false));
    socket.once('error', () => end(false));
  });
}
