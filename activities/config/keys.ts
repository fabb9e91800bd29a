import type { KeyRing } from '../vault/vault.ts';
import { loadKeyRing, publicHalf } from '../vault/keys/files.ts';
import type { Config } from './config.ts';

export { loadSigners } from '../vault/keys/files.ts';

/** Every key of the configuration, read and checked. ConfigInvalid, NotFound or Denied with the file as place. */
export function loadKeys(config: Config): Promise<KeyRing> {
  const { root, signing, recovery, trusted } = config.keys;
  return loadKeyRing({
    root: root.file,
    signing: signing.file,
    trusted: trusted.map((key) => key.file),
    ...(recovery ? { recoveryPublic: recovery.public } : {}),
  });
}

/** Files of the public keys whose signatures count: beside the signing key, and `keys.trusted`. */
export function signersOf({ keys }: Config): string[] {
  return [publicHalf(keys.signing.file), ...keys.trusted.map((key) => key.file)];
}
