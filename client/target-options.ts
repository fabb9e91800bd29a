import type { Command } from 'commander';

/** The options that name a moment; of a restore and of a drill alike. */
export function addTargetOptions(command: Command): void {
  command
    .option('--to-time <time>', 'ISO 8601 with offset, like 2026-03-01T12:00:00+01:00')
    .option('--to-lsn <lsn>', 'WAL position, like 16/B374D848')
    .option('--to-xid <xid>', 'transaction id')
    .option('--to-name <name>', 'restore point made by pg_create_restore_point')
    .option('--to-immediate', 'as soon as the backup is consistent')
    .option('--to-latest', 'everything the vault holds (default of a restore)')
    .option('--exclusive', 'stop just before the target rather than just after it');
}
