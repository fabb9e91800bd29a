import { serveJobs } from '../../../../io/thread-side.ts';
import type { ListedTree, ListJob } from './list-files.ts';
import { listFiles } from './list-files.ts';

serveJobs((job: ListJob) => ({ result: listFiles(job) satisfies ListedTree[], moved: [] }));
