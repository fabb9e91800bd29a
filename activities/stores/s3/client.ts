import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { S3ClientConfig } from '@aws-sdk/client-s3';
import { S3Client } from '@aws-sdk/client-s3';
import { resolveSecret } from '../../io/secret.ts';
import type { S3Options } from './options.ts';

const LONGEST_CONNECT_MS = 5_000;
const SOCKETS = 64;

export function createClient(options: S3Options): S3Client {
  const { region, pathStyle, endpoint, timeout } = options;
  const config: S3ClientConfig = {
    region,
    forcePathStyle: pathStyle,
    // The retry wrapper decides, by the type of the failure.
    maxAttempts: 1,
    requestHandler: {
      connectionTimeout: Math.min(LONGEST_CONNECT_MS, timeout),
      // Silence, not duration: a large part over a slow line may take long, as long as it moves.
      socketTimeout: timeout,
      httpAgent: new HttpAgent({ keepAlive: true, maxSockets: SOCKETS }),
      httpsAgent: new HttpsAgent({ keepAlive: true, maxSockets: SOCKETS }),
    },
    ...(endpoint ? { endpoint } : {}),
    ...credentialsOf(options),
  };
  return new S3Client(config);
}

function credentialsOf({ accessKeyId, secretAccessKey }: S3Options): Pick<S3ClientConfig, 'credentials'> {
  if (!accessKeyId || !secretAccessKey) return {};
  return {
    credentials: {
      accessKeyId: resolveSecret(accessKeyId, 'accessKeyId').reveal(),
      secretAccessKey: resolveSecret(secretAccessKey, 'secretAccessKey').reveal(),
    },
  };
}
