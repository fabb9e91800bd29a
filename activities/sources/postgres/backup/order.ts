import { isRetryable } from '../../../../workflows/model/failure.ts';
import { withConnection } from '../../../io/postgres/connection.ts';
import type { Run } from '../../../io/run.ts';
import type { PartSink } from '../../part-sink.ts';
import type { BackupOptions } from '../../source.ts';
import type { OneServer } from '../options.ts';
import { oldestXid, serverTime } from '../settings.ts';

/** What is wanted of a backup, and where it goes. */
export interface BackupUse {
  out: PartSink;
  backup: BackupOptions;
  run: Run;
}

const LATER = { tries: 5, waitMs: 2_000 };

/** A whole backup is not thrown away because the server had no session to spare at its end. */
export async function endOf(options: OneServer, run: Run): Promise<{ stoppedAt: string; oldestXid: string }> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await withConnection(options.connection, { signal: run.signal }, async (sql) => ({
        stoppedAt: await serverTime(sql),
        oldestXid: await oldestXid(sql),
      }));
    } catch (error) {
      if (attempt >= LATER.tries || !isRetryable(error)) throw error;
      await run.clock.sleep(LATER.waitMs, run.signal);
    }
  }
}
