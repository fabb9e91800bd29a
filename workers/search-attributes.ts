import type { NativeConnection } from '@temporalio/worker';

/** IndexedValueType of temporal.api.enums.v1. */
const KEYWORD = 2;
const BOOL = 5;

const ATTRIBUTES = {
  LifeboatSource: KEYWORD,
  LifeboatKind: KEYWORD,
  LifeboatPhase: KEYWORD,
  LifeboatOutcome: KEYWORD,
  LifeboatDrill: BOOL,
} as const;

/**
 * True when the namespace knows our search attributes, adding them where we may. A workflow that sets one the namespace
 * does not know would hang, so without them runs do without.
 */
export async function ensureSearchAttributes(connection: NativeConnection, namespace: string): Promise<boolean> {
  const { operatorService } = connection;
  try {
    const { customAttributes } = await operatorService.listSearchAttributes({ namespace });
    const missing = Object.entries(ATTRIBUTES).filter(([name]) => !(name in (customAttributes ?? {})));
    if (missing.length > 0) {
      await operatorService.addSearchAttributes({ namespace, searchAttributes: Object.fromEntries(missing) });
    }
    return true;
  } catch {
    return false;
  }
}
