import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { z } from 'zod';
import { durationOption } from '../option-types.ts';
import type { SecretRef } from '../secret.ts';
import { resolveSecret, secretRefSchema } from '../secret.ts';

const LONGEST_CONNECT_MS = 5_000;

/** What every client of AWS takes beside its own options. */
export const awsShape = {
  /** For anything that is not AWS itself: http(s)://host:port. */
  endpoint: z.url({ protocol: /^https?$/, error: 'an http or https address' }).optional(),
  /** Absent: the SDK's own chain (environment, profile, instance role). */
  accessKeyId: secretRefSchema.optional(),
  secretAccessKey: secretRefSchema.optional(),
};

/** A call of the control plane that takes longer is given up, its outcome unknown. */
export const callTimeout = durationOption.prefault('30s');

export interface AwsIdentity {
  endpoint?: string | undefined;
  accessKeyId?: SecretRef | undefined;
  secretAccessKey?: SecretRef | undefined;
}

export interface AwsOptions extends AwsIdentity {
  region: string;
  timeout: number;
}

/** Half an identity is none, and would silently be another one's. */
export function hasBothKeys({ accessKeyId, secretAccessKey }: AwsIdentity): boolean {
  return !accessKeyId === !secretAccessKey;
}

export const BOTH_KEYS = {
  path: ['secretAccessKey'],
  error: 'accessKeyId and secretAccessKey together, or neither for the chain of the AWS SDK',
};

/** The part of a client's configuration that is the same for every service. */
export interface AwsClientConfig {
  region: string;
  maxAttempts: number;
  requestHandler: { connectionTimeout: number; socketTimeout: number; httpAgent: HttpAgent; httpsAgent: HttpsAgent };
  endpoint?: string;
  credentials?: { accessKeyId: string; secretAccessKey: string };
}

export function awsClientConfig(options: AwsOptions, sockets = 8): AwsClientConfig {
  const { region, endpoint, timeout } = options;
  return {
    region,
    // Whoever calls decides about another attempt, by the type of the failure.
    maxAttempts: 1,
    requestHandler: {
      connectionTimeout: Math.min(LONGEST_CONNECT_MS, timeout),
      // Silence, not duration: a large body over a slow line may take long, as long as it moves.
      socketTimeout: timeout,
      httpAgent: new HttpAgent({ keepAlive: true, maxSockets: sockets }),
      httpsAgent: new HttpsAgent({ keepAlive: true, maxSockets: sockets }),
    },
    ...(endpoint ? { endpoint } : {}),
    ...credentialsOf(options),
  };
}

function credentialsOf({ accessKeyId, secretAccessKey }: AwsIdentity): Pick<AwsClientConfig, 'credentials'> {
  if (!accessKeyId || !secretAccessKey) return {};
  return {
    credentials: {
      accessKeyId: resolveSecret(accessKeyId, 'accessKeyId').reveal(),
      secretAccessKey: resolveSecret(secretAccessKey, 'secretAccessKey').reveal(),
    },
  };
}
