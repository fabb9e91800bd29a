import { serveJobs } from '../../../../io/thread-side.ts';
import type { ScanJob, Scanned } from './scan-file.ts';
import { scanFile } from './scan-file.ts';

serveJobs((job: ScanJob) => ({ result: scanFile(job) satisfies Scanned | undefined, moved: [] }));
