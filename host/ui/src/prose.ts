/** Sentences in which names stand between backquotes, as in every message of Portcullis. */

export interface Part {
  readonly text: string;
  readonly isCode: boolean;
}

/** The parts of a sentence. A backquote without its partner means nothing, and then none of them does. */
export function parts(sentence: string): Part[] {
  const texts = sentence.split("`");
  if (texts.length % 2 === 0) return [{ text: sentence, isCode: false }];
  return texts.map((text, index) => ({ text, isCode: index % 2 === 1 })).filter(({ text }) => text !== "");
}
