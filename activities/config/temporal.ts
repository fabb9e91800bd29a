import type { ClientConfigProfile, ClientConnectConfig } from '@temporalio/envconfig';
import { loadClientConfigProfile, toClientOptions } from '@temporalio/envconfig';
import { failure } from '../../workflows/model/failure.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export const DEFAULT_ADDRESS = '127.0.0.1:7233';
export const DEFAULT_NAMESPACE = 'default';

export interface Sourced {
  value: string;
  /** "environment TEMPORAL_ADDRESS", "lifeboat.yml", "profile of the Temporal SDK", "default" */
  from: string;
}

/**
 * Where Temporal is: the environment, then lifeboat.yml, then the profile file of the Temporal SDK, then a local server.
 * Variables and profile are the SDK's own (docs.temporal.io, "Environment configuration").
 */
export function temporalPlace(
  file: { address?: string | undefined; namespace?: string | undefined },
  environment: Environment = process.env,
): { address: Sourced; namespace: Sourced } {
  const profile = readProfile(environment);
  const pick = (name: 'address' | 'namespace', fallback: string): Sourced => {
    const variable = `TEMPORAL_${name.toUpperCase()}`;
    const candidates: [string | undefined, string][] = [
      [environment[variable], `environment ${variable}`],
      [file[name], 'lifeboat.yml'],
      [profile[name], 'profile of the Temporal SDK'],
    ];
    const [value, from] = candidates.find(([candidate]) => candidate) ?? [fallback, 'default'];
    return { value: value ?? fallback, from };
  };
  return { address: pick('address', DEFAULT_ADDRESS), namespace: pick('namespace', DEFAULT_NAMESPACE) };
}

export interface TemporalConnect {
  /** Options of Connection.connect and NativeConnection.connect alike. */
  connection: { address: string } & Pick<ClientConnectConfig['connectionOptions'], 'tls' | 'apiKey' | 'metadata'>;
  namespace: string;
}

/** How to reach the Temporal server of a configuration: its address, and TLS and API key as the SDK is configured. */
export function temporalConnect(
  temporal: { address: string; namespace: string },
  environment: Environment = process.env,
): TemporalConnect {
  const { tls, apiKey, metadata } = readOptions(environment).connectionOptions;
  return {
    connection: {
      address: temporal.address,
      ...(tls === undefined ? {} : { tls }),
      ...(apiKey === undefined ? {} : { apiKey }),
      ...(metadata === undefined ? {} : { metadata }),
    },
    namespace: temporal.namespace,
  };
}

function readProfile(environment: Environment): ClientConfigProfile {
  return translated(() => loadClientConfigProfile({ overrideEnvVars: defined(environment) }));
}

/** Reads certificate files too, which `readProfile` leaves alone. */
function readOptions(environment: Environment): ClientConnectConfig {
  return translated(() => toClientOptions(loadClientConfigProfile({ overrideEnvVars: defined(environment) })));
}

function translated<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw failure('ConfigInvalid', `the Temporal SDK's configuration cannot be read: ${(error as Error).message}`, {
      place: 'TEMPORAL_* variables and the Temporal profile file',
      hint: 'temporal config list, or unset TEMPORAL_PROFILE and TEMPORAL_CONFIG_FILE',
      cause: error,
    });
  }
}

function defined(environment: Environment): Record<string, string> {
  const entries = Object.entries(environment).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return Object.fromEntries(entries);
}
