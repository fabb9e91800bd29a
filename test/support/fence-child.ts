import { fence } from '../../activities/cluster/fence.ts';
import { nodeUses } from './node-uses.ts';
import type { TestPostgres } from './postgres.ts';

/** agent-stop as a worker does it, in a process of its own: what it says, as JSON. Usage: fence-child.ts SERVER (JSON: dataDir, port, binaries). */
const server = JSON.parse(process.argv[2] ?? '') as Pick<TestPostgres, 'dataDir' | 'port' | 'binaries'>;
const [use] = nodeUses([server]);
process.stdout.write(JSON.stringify(await fence(use, { epoch: 1, run: 'r', step: { by: 'agent-stop' } })));
