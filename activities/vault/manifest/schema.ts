import { z } from 'zod';
import type { Manifest } from '../../../workflows/model/manifest.ts';
import { POINT_KINDS } from '../../../workflows/model/manifest.ts';
import { dumpSchema } from './dump-schema.ts';

export const MANIFEST_FORMAT = 'lifeboat-manifest/1';

const count = z.number().int().nonnegative();
const lsn = z.string().regex(/^[0-9A-F]{1,8}\/[0-9A-F]{1,8}$/);

const part = z.object({
  number: count.min(1),
  bytes: count,
  storedBytes: count,
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});

const identity = z.object({
  kind: z.string(),
  systemId: z.string().regex(/^\d+$/),
  serverVersion: count,
  timeline: count,
  segmentBytes: count,
  sizeBytes: count,
});

const tree = z.object({
  id: z.string().regex(/^[A-Za-z0-9_-]+$/),
  location: z.string().optional(),
  /** Each is what wrongEntry (file-entry.ts) finds nothing wrong with. */
  files: z.custom<unknown[]>(Array.isArray, 'expected a list'),
});

const damagedPage = z.object({
  tree: z.string(),
  path: z.string(),
  block: count.optional(),
  lsn: lsn.optional(),
});

const takenFrom = z.object({
  server: z.string(),
  role: z.enum(['primary', 'standby']),
  instead: z.string().optional(),
  unseen: z.string().optional(),
});

const forensic = z.object({
  directory: z.string(),
  control: z
    .object({
      ...{ state: z.string(), clean: z.boolean(), checkpointLsn: lsn, redoLsn: lsn },
      ...{ timeline: count, writtenAt: z.string() },
    })
    .optional(),
  controlWrong: z.string().optional(),
  unread: z
    .array(
      z.object({
        ...{ tree: z.string(), path: z.string(), reason: z.string() },
        ...{ from: count.optional(), bytes: count.optional() },
      }),
    )
    .optional(),
  unreadCount: count.optional(),
  changed: z.array(z.object({ tree: z.string(), path: z.string() })).optional(),
  changedCount: count.optional(),
});

/** All of it but the files of the trees. */
export const manifestSchema = z.object({
  format: z.literal(MANIFEST_FORMAT),
  ...{ point: z.string(), source: z.string(), kind: z.enum(POINT_KINDS), tool: z.string(), identity },
  ...{ timeline: count, startLsn: lsn, stopLsn: lsn, startedAt: z.string(), stoppedAt: z.string() },
  oldestXid: z.string().regex(/^\d+$/).optional(),
  ...{ consistency: z.enum(['consistent-after-wal', 'consistent', 'forensic']), pageChecksums: z.boolean() },
  ...{ parent: z.string().optional(), fallback: z.string().optional() },
  takenFrom: takenFrom.optional(),
  blockSums: z.object({ key: z.string().regex(/^[0-9a-f]{64}$/) }).optional(),
  damaged: z.array(damagedPage).optional(),
  settings: z.record(z.string(), z.string()),
  parts: z.array(part),
  trees: z.array(tree),
  dump: dumpSchema.optional(),
  forensic: forensic.optional(),
}) as unknown as z.ZodType<Manifest>;
