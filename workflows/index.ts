/** Every workflow type: the file's name is the function's name is the type. */
export { backup } from './backup.ts';
export { compactWal } from './compact-wal.ts';
export { drill } from './drill.ts';
export { extract } from './extract.ts';
export { failover } from './failover.ts';
export { hold } from './hold.ts';
export { inspect } from './inspect.ts';
export { recover } from './recover.ts';
export { rescue } from './rescue.ts';
export { restore } from './restore.ts';
export { retention } from './retention.ts';
export { scheduled } from './scheduled.ts';
export { verify } from './verify.ts';
export { verifyAll } from './verify-all.ts';
export { verifyWal } from './verify-wal.ts';
export { wal } from './wal.ts';
