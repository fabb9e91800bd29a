import { access } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Config } from '../../activities/config/index.ts';
import { checkConfig, loadConfig, loadKeys } from '../../activities/config/index.ts';
import type { Call } from '../verb.ts';
import type { Finding } from './finding.ts';
import { findingOf, good, warning } from './finding.ts';

const NODE_MAJOR = 24;

/** What this host alone can tell. Secrets and keys are warnings here: only the hosts of workers need them. */
export async function lookLocally(call: Call): Promise<{ findings: Finding[]; config?: Config }> {
  const findings = [nodeFinding()];
  const query = { path: call.configPath, environment: call.host.environment };
  try {
    const config = loadConfig(query);
    findings.push(
      good('configuration', config.path),
      secretsFinding(() => checkConfig(query)),
    );
    return { findings: [...findings, ...(await keyFindings(config))], config };
  } catch (error) {
    return { findings: [...findings, findingOf('configuration', error)] };
  }
}

function nodeFinding(): Finding {
  const major = Number(process.versions.node.split('.')[0]);
  if (major >= NODE_MAJOR) return good('node', process.version);
  return warning('node', process.version, `use Node ${NODE_MAJOR}: npx lifeboat takes the one of the package`);
}

function secretsFinding(check: () => unknown): Finding {
  try {
    check();
    return good('secrets', 'every reference resolves on this host');
  } catch (error) {
    return findingOf('secrets', error, 'warn');
  }
}

async function keyFindings(config: Config): Promise<Finding[]> {
  const { recovery } = config.keys;
  if (!recovery) {
    const hint = 'lifeboat init in an empty folder makes a pair; name its recovery.pub under keys.recovery';
    return [
      await keysFinding(config),
      warning('recovery key', 'none is configured: who loses root.key loses all', hint),
    ];
  }
  const privateKey = join(dirname(recovery.public), 'recovery.key');
  return [await keysFinding(config), await offlineFinding(privateKey)];
}

async function keysFinding(config: Config): Promise<Finding> {
  try {
    const { root, signing } = await loadKeys(config);
    return good('keys', `root ${root.id}, signing ${signing.id}, readable by their owner only`);
  } catch (error) {
    return findingOf('keys', error, 'warn');
  }
}

async function offlineFinding(privateKey: string): Promise<Finding> {
  try {
    await access(privateKey);
    return warning('recovery key', `${privateKey} is still here`, 'move it offline, to two places, and delete it here');
  } catch {
    return good('recovery key', 'its private half is not on this host');
  }
}
