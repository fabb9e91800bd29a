export type { ReportVerdict, VerifyWishes } from './verify.ts';
export { verifyReport } from './verify.ts';
export type { Beside } from './html.ts';
export { renderHtml } from './html.ts';
export { reportName } from './name.ts';
export type { Picture } from './timeline-svg.ts';
export { bytesText, spanText } from './text.ts';
export type { WrittenReport } from './written.ts';
export { writeForms } from './written.ts';
