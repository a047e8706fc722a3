/** Numbers as people read them: the same words as on the pages that the server renders. */

const GROUPED = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

const UNITS = [
  [1e12, "TB"],
  [1e9, "GB"],
  [1e6, "MB"],
  [1e3, "kB"],
] as const;

export function grouped(number: number): string {
  return GROUPED.format(number);
}

/** A length in bytes, rounded down to one decimal of a decimal unit: `12.3 MB`. */
export function size(bytes: number): string {
  for (const [unit, name] of UNITS) {
    if (bytes >= unit) return `${(Math.floor(bytes / (unit / 10)) / 10).toFixed(1)} ${name}`;
  }
  return counted(bytes, "byte");
}

/** A number of things: `1 finding`, `1,200 findings`. */
export function counted(number: number, thing: string): string {
  return `${grouped(number)} ${thing}${number === 1 ? "" : "s"}`;
}

/** A time that is still to pass, coarse enough not to flicker: `about 2 min`. */
export function timeLeft(seconds: number): string {
  if (seconds < 5) return "a few seconds left";
  if (seconds < 55) return `about ${Math.ceil(seconds / 5) * 5} s left`;
  const minutes = Math.ceil(seconds / 60);
  if (minutes < 60) return `about ${minutes} min left`;
  return `about ${Math.floor(minutes / 60)} h ${minutes % 60} min left`;
}
