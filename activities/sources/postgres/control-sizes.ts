/** How a cluster was made. */
export interface ControlSizes {
  pageBytes: number;
  pagesPerSegment: number;
  /** Of a WAL segment. */
  segmentBytes: number;
  pageChecksums: boolean;
}

/** floatFormat of ControlFileData, the same in every file; what is read here follows it in every version from 15 to 18 (pg_control.h). */
const FLOAT_FORMAT = Buffer.alloc(8);
FLOAT_FORMAT.writeDoubleLE(1234567);
const AT = { pageBytes: 8, pagesPerSegment: 12, segmentBytes: 20, checksumVersion: 44, end: 48 };

/** Undefined when it is no pg_control of a version that is known. */
export function controlSizes(control: Buffer): ControlSizes | undefined {
  const at = control.indexOf(FLOAT_FORMAT);
  if (at < 0 || at + AT.end > control.length) return undefined;
  const [pageBytes, pagesPerSegment, segmentBytes, checksumVersion] = [
    AT.pageBytes,
    AT.pagesPerSegment,
    AT.segmentBytes,
    AT.checksumVersion,
  ].map((offset) => control.readUInt32LE(at + offset)) as [number, number, number, number];
  return { pageBytes, pagesPerSegment, segmentBytes, pageChecksums: checksumVersion > 0 };
}
