import { Context } from '@temporalio/activity';

/** As an activity that works until it is told to stop. */
export async function untilCancelled(beatMs = 20): Promise<never> {
  const context = Context.current();
  for (;;) {
    context.heartbeat();
    await context.sleep(beatMs);
  }
}
