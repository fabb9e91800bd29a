import { isIP } from 'node:net';
import { z } from 'zod';
import { awsShape, BOTH_KEYS, callTimeout, hasBothKeys } from '../io/aws/client.ts';
import { bytesOption, durationOption, pathOption } from '../io/option-types.ts';
import { serverSchema } from '../io/postgres/options.ts';
import { programShape } from '../io/program.ts';
import { secretRefSchema } from '../io/secret.ts';
import { approvalSchema } from './approval-schema.ts';
import { scheduleSchema } from './schedule-schema.ts';

const NAME = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/;
const nodeName = z.string().regex(NAME, 'lower case letters, digits and "-" inside').max(40, 'at most 40 characters');
const worker = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'the name of a worker');
const program = z.strictObject(programShape);

/** How a server is started and stopped by the worker of its host. */
const startSchema = z.discriminatedUnion('by', [
  z.strictObject({
    by: z.literal('pg_ctl'),
    /** Folder with the programs of its major version; absent: the usual places. */
    binaries: pathOption.optional(),
    /** Who runs it, where the worker is root. */
    runAs: z.string().min(1).optional(),
    /** Folder with postgresql.conf, where it is not the data directory. */
    configDir: pathOption.optional(),
    /** File that it writes to until its own logging works; absent: lifeboat.start.log in the data directory. */
    log: pathOption.optional(),
  }),
  z.strictObject({
    by: z.literal('command'),
    binaries: pathOption.optional(),
    configDir: pathOption.optional(),
    /** Exit 0: it is started, or was; it is looked at afterwards. */
    start: program,
    /** Exit 0: it is stopped, or was; a fast shutdown. */
    stop: program,
  }),
]);

const nodeSchema = z.strictObject({
  site: nodeName,
  /** Name of the worker on the host of this server. */
  host: worker,
  dataDir: pathOption,
  /** Under which the other nodes and the clients reach it. */
  address: z
    .string()
    .refine((text) => isIP(text) !== 0 || /^[^\s:[\]/]+$/.test(text), 'a host name or an address, without a port'),
  port: z.int().min(1).max(65_535).default(5432),
  /** Folder of its Unix socket, over which its own worker speaks to it; absent: its address. */
  socket: pathOption.optional(),
  start: startSchema.prefault({ by: 'pg_ctl' }),
  /** Folder in which the clone of a failover drill is made; absent: beside the data directory. */
  drillDir: pathOption.optional(),
  /** The virtual machine that it runs on, for a fence by instance-stop. */
  instance: z
    .strictObject({
      region: z.string().min(1),
      id: z.string().regex(/^i-[0-9a-f]{8,17}$/, 'the id of an instance: i-0123456789abcdef0'),
    })
    .optional(),
});

/** Below the time that an attempt of a fence has. */
const LONGEST_STOP_MS = 240_000;

/** One way to make sure that the old primary serves nobody. They are tried in their order until one is confirmed. */
const fenceSchema = z.discriminatedUnion('by', [
  /** The worker of its host stops it, and sees that it is stopped. */
  z.strictObject({ by: z.literal('agent-stop') }),
  /** Amazon EC2 stops the instance that it runs on, by force, and says that it is stopped. */
  z
    .strictObject({
      by: z.literal('instance-stop'),
      /** Worker that asks; absent: any. */
      host: worker.optional(),
      within: durationOption.refine((ms) => ms <= LONGEST_STOP_MS, 'at most 4m').prefault('2m'),
      timeout: callTimeout,
      ...awsShape,
    })
    .refine(hasBothKeys, BOTH_KEYS),
  /**
   * A program of the user's that stops an instance, cuts a network or revokes credentials. Exit 0: confirmed; 1: unconfirmed;
   * 2: impossible; any other, or none within the timeout: unconfirmed.
   */
  z.strictObject({
    by: z.literal('command'),
    name: z.string().min(1).max(60),
    host: worker.optional(),
    ...programShape,
  }),
  /** All switches of the service are stopped. It confirms only where no client has another way in. */
  z.strictObject({ by: z.literal('traffic'), confirms: z.boolean().default(false) }),
  /** Something of the user's demotes a primary that has lost its lease: after the time it is confirmed. */
  z.strictObject({ by: z.literal('lease'), after: durationOption }),
]);

export const MODES = ['planned', 'unplanned'] as const;

const SHORTEST_LOOK_MS = 200;

/** How the servers are looked at all the time, and what is done about what is seen. */
const watchSchema = z.strictObject({
  /** Hosts whose workers look, beside those of the nodes. */
  witnesses: z.array(worker).default([]),
  every: durationOption
    .refine((ms) => ms >= SHORTEST_LOOK_MS && ms <= 60_000, 'at least 200ms, at most 1m')
    .prefault('2s'),
  /** How long an outage has to last before a failover is due; `cut`: before somebody is asked to look at what divides those who live. */
  after: z
    .strictObject({
      process: durationOption.prefault('5s'),
      host: durationOption.prefault('1m'),
      frozen: durationOption.prefault('1m'),
      site: durationOption.prefault('30m'),
      cut: durationOption.prefault('1h'),
    })
    .prefault({}),
  /** More outages than `most` within the time: nothing is started by itself. */
  flaps: z
    .strictObject({ most: z.int().min(1).max(100).default(2), within: durationOption.prefault('30m') })
    .prefault({}),
  /** So long after a failover no other is started by itself. */
  pause: durationOption.prefault('1h'),
  /** An unplanned failover is started by itself. What it may do without an approval is said by `automatic` of the cluster. */
  automatic: z.boolean().default(false),
  /** Where to; absent: the standby that has most. */
  to: nodeName.optional(),
  ready: z
    .strictObject({
      every: durationOption.refine((ms) => ms >= 60_000, 'at least 1m').prefault('15m'),
      /** By which a standby may be behind, in time. */
      lag: durationOption.prefault('5m'),
      /** Oldest that the last drill of the source may be. */
      drill: durationOption.prefault('92d'),
      /** Oldest that the last failover drill of the service may be. */
      failoverDrill: durationOption.prefault('92d'),
      /** Free where the data directory is. */
      free: bytesOption.prefault('1GiB'),
    })
    .prefault({}),
});

/** How a failover is drilled on a clone of the standby. */
const drillSchema = z.strictObject({
  /** any: a network namespace, and where none can be made settings alone. namespace: that, or no drill. */
  isolation: z.enum(['any', 'namespace']).default('any'),
  /** Also read every relation and index of the clone, by pg_amcheck. */
  amcheck: z.boolean().default(false),
  /** Of the clone's server, beside those that isolate it, which stand. */
  settings: z.record(z.string().regex(/^[a-z_][a-z0-9_.]*$/, 'the name of a setting'), z.string()).default({}),
  schedule: scheduleSchema.optional(),
});

/** The servers of a service's database, how they are fenced, and who lets them change places. */
export const clusterSchema = z.strictObject({
  nodes: z.record(nodeName, nodeSchema),
  /** How the workers log in, at every node: a superuser, or a role with pg_monitor, pg_checkpoint and what README names. */
  connection: serverSchema.omit({ host: true, port: true }).extend({ connectTimeout: durationOption.prefault('3s') }),
  /** How a standby logs in at its primary. */
  replication: z.strictObject({ user: z.string().min(1), password: secretRefSchema.optional() }),
  limits: z
    .strictObject({
      /** WAL by which the candidate may be behind when a switchover begins. */
      lag: bytesOption.prefault('16MiB'),
      /** Longest time without a writer, before a switchover gives up and goes back. */
      outage: durationOption.prefault('30s'),
      /** For transactions to end by themselves before they are ended. */
      drain: durationOption.prefault('5s'),
      /** For the worker of a host to take a look or a fence; then it counts as gone. */
      look: durationOption.prefault('10s'),
      /** A transaction older than this keeps a switchover from beginning. */
      transaction: durationOption.prefault('1m'),
    })
    .prefault({}),
  fence: z
    .array(fenceSchema)
    .min(1)
    .default([{ by: 'agent-stop' }]),
  objectives: z.strictObject({ rto: durationOption.optional(), rpo: durationOption.optional() }).prefault({}),
  /** Who has to agree; absent: services.NAME.approval, and two for a promotion against the rules. */
  approvals: z
    .strictObject({
      planned: approvalSchema.optional(),
      unplanned: approvalSchema.optional(),
      breakGlass: approvalSchema.prefault({ of: 2 }),
    })
    .prefault({}),
  /** What goes ahead without an approval. Break-glass never does. */
  automatic: z.array(z.enum(MODES)).default([]),
  watch: watchSchema.prefault({}),
  drill: drillSchema.prefault({}),
});

export type ClusterFile = z.output<typeof clusterSchema>;
