import type { Config } from './config.ts';
import { assembleConfig } from './assemble.ts';
import type { Explained } from './explain.ts';
import { explainConfig } from './explain.ts';
import type { FoundConfig } from './locate.ts';
import { findConfig } from './locate.ts';
import { problemsFailure } from './problem.ts';
import type { CheckedFile } from './read.ts';
import { placed, readConfigFile } from './read.ts';
import { REGISTRIES } from './registries.ts';
import type { ConfigSchema } from './schema.ts';
import { configSchemaOf } from './schema.ts';
import { secretProblems } from './secrets.ts';
import type { Environment } from './temporal.ts';

export { SCHEDULE_NAMES } from './config.ts';
export type {
  ClusterConfig,
  Config,
  NodeConfig,
  NotifierConfig,
  ScheduleConfig,
  ScheduleName,
  ServiceConfig,
  SourceConfig,
} from './config.ts';
export type { Explained } from './explain.ts';
export type { Problem } from './problem.ts';
export type { CronFields } from './cron.ts';
export { parseCron } from './cron.ts';
export { initialise } from './init.ts';
export type { Initialised } from './init.ts';
export { loadKeys, loadSigners, signersOf } from './keys.ts';
export { payloadConverter } from './payload-codec.ts';
export { problemsOf } from './problem.ts';
export { temporalConnect } from './temporal.ts';
export type { TemporalConnect } from './temporal.ts';

export interface ConfigQuery {
  /** As given with --config; else LIFEBOAT_CONFIG, else lifeboat.yml in the working directory. */
  path?: string | undefined;
  /** Default: this process's. */
  environment?: Environment;
}

interface Loaded {
  found: FoundConfig;
  file: CheckedFile;
  config: Config;
  schema: ConfigSchema;
  environment: Environment;
}

const SECRETS_HINT =
  'export the variable, or write the secret file, where the worker runs; then: lifeboat config check';

let built: ConfigSchema | undefined;

function load(query: ConfigQuery): Loaded {
  const environment = query.environment ?? process.env;
  const found = findConfig(query.path, environment);
  const schema = (built ??= configSchemaOf(REGISTRIES));
  const file = readConfigFile(found, schema);
  return { found, file, schema, environment, config: assembleConfig(file, environment) };
}

/**
 * Reads and checks lifeboat.yml. Secrets stay references: they are read where they are used.
 * NotFound or Denied for the file itself, ConfigInvalid with all problems at once for what is in it.
 */
export function loadConfig(query: ConfigQuery = {}): Config {
  return load(query).config;
}

/** As `loadConfig`, and every secret is where the file says it is. */
export function checkConfig(query: ConfigQuery = {}): Config {
  const { file, config, schema } = load(query);
  const problems = secretProblems(file, schema);
  if (problems.length > 0) throw problemsFailure(file.path, placed(problems, file), SECRETS_HINT);
  return config;
}

/** Every value in force and where it came from. */
export function explain(query: ConfigQuery = {}): { config: Config; values: Explained[] } {
  const loaded = load(query);
  return { config: loaded.config, values: explainConfig(loaded) };
}
