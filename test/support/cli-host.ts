import type { Host } from '../../client/environment.ts';

/** A client's surroundings in memory, with a clock that the test moves. */
export interface FakeHost extends Host {
  out: string;
  err: string;
  time: number;
  interrupt(): void;
}

export function fakeHost(
  options: { tty?: boolean; columns?: number; environment?: Record<string, string> } = {},
): FakeHost {
  const controller = new AbortController();
  const terminal = { isTTY: options.tty ?? false, columns: options.columns ?? 120 };
  const host: FakeHost = {
    out: '',
    err: '',
    time: 0,
    stdout: { ...terminal, write: (text) => (host.out += text) },
    stderr: { ...terminal, write: (text) => (host.err += text) },
    environment: options.environment ?? {},
    hostname: 'test-host',
    interrupted: controller.signal,
    interrupt: () => controller.abort(),
    nowMs: () => host.time,
  };
  return host;
}
