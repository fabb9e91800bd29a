import type { FailureType } from '../../workflows/model/failure.ts';
import { failure, findFailure } from '../../workflows/model/failure.ts';

interface Meaning {
  type: FailureType;
  says: string;
  expected: string;
  hint: string;
}

/** errno(3) to our failures; what is not listed is Unavailable, because a disk may come back. */
const MEANINGS: Record<string, Meaning> = {
  ENOENT: {
    type: 'NotFound',
    says: 'does not exist',
    expected: 'a path that exists',
    hint: 'check the path and the mount',
  },
  ENOTDIR: {
    type: 'NotFound',
    says: 'has a parent that is not a folder',
    expected: 'folders above it',
    hint: 'check the path',
  },
  EACCES: {
    type: 'Denied',
    says: 'may not be used by this user',
    expected: 'a path this user may use',
    hint: 'chown or chmod it for the user of the worker',
  },
  EPERM: {
    type: 'Denied',
    says: 'may not be used by this user',
    expected: 'a path this user may use',
    hint: 'check owner, mode and file attributes',
  },
  EROFS: {
    type: 'Denied',
    says: 'is on a read-only file system',
    expected: 'a file system that can be written to',
    hint: 'mount it read-write',
  },
  ELOOP: {
    type: 'Denied',
    says: 'is a symbolic link, which is not followed',
    expected: 'a file or folder itself',
    hint: 'replace the link by the file',
  },
  ENOSPC: {
    type: 'Precondition',
    says: 'is on a full disk',
    expected: 'free space',
    hint: 'free space, then run the same command again: it continues',
  },
  EDQUOT: {
    type: 'Precondition',
    says: 'is over its quota',
    expected: 'room in the quota',
    hint: 'raise the quota, then run the same command again',
  },
  EEXIST: {
    type: 'Precondition',
    says: 'is a file where a folder is wanted',
    expected: 'a folder',
    hint: 'name another path',
  },
  ENAMETOOLONG: {
    type: 'Precondition',
    says: 'has a name that is too long',
    expected: 'a shorter name',
    hint: 'choose a shorter one',
  },
  EISDIR: { type: 'Precondition', says: 'is a folder', expected: 'a file', hint: 'name a file' },
  ENOTEMPTY: { type: 'Precondition', says: 'is not empty', expected: 'an empty folder', hint: 'name an empty folder' },
  EMFILE: {
    type: 'Busy',
    says: 'could not be opened: too many open files',
    expected: 'fewer open files',
    hint: 'raise the limit with ulimit -n',
  },
};

/** Runs `action` and turns what the file system says into our failures, with the path as the place. */
export async function translateFileError<T>(path: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw fileFailure(path, error);
  }
}

export function fileFailure(path: string, error: unknown): unknown {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  if (findFailure(error) || typeof code !== 'string' || !/^E[A-Z0-9]+$/.test(code)) return error;
  const meaning = MEANINGS[code] ?? {
    type: 'Unavailable',
    says: `cannot be used (${code})`,
    expected: 'a disk that works',
    hint: 'check the disk and the mount',
  };
  return failure(meaning.type, `${path} ${meaning.says}`, {
    place: path,
    expected: meaning.expected,
    found: code,
    hint: meaning.hint,
    cause: error,
  });
}
