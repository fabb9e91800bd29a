import { runWorker } from './run.ts';

/** Entry of a worker without the CLI: containers, tests, the demo. Usage: main.ts [CONFIG [HOST]]. */
const [config, name] = process.argv.slice(2);
await runWorker({ config, ...(name === undefined ? {} : { name }) });
