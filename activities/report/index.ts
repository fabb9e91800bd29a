export { renderHtml } from './html.ts';
export { bytesText, spanText } from './text.ts';
