/** At most so many letters, whole ones; what is left out shows. */
export function shortened(text: string, most: number): string {
  if (text.length <= most) return text;
  let short = '';
  for (const letter of text) {
    if (short.length + letter.length > most - 3) break;
    short += letter;
  }
  return `${short}...`;
}
