/**
 * Where uploads that are under way can be gone on with, kept over a reload and a restart of the browser. The name of a file may
 * say who a patient is: what is kept is a digest of what the upload is about, its address, and until when that is good.
 */

import { sha256 } from "./digest.ts";
import type { AttributeValues } from "./upload.ts";

const PREFIX = "portcullis.upload.";

interface Entry {
  readonly address: string;
  /** Milliseconds since 1970. */
  readonly until: number;
}

/** Under which key an upload is kept. Absent where the browser has no digests, as without TLS. */
export async function keyOf(file: File, path: string, attributes: AttributeValues): Promise<string | undefined> {
  const about = JSON.stringify([path, file.size, file.type, file.lastModified, attributes]);
  const digest = await sha256(new TextEncoder().encode(about));
  return digest === undefined ? undefined : PREFIX + digest;
}

export function keep(key: string, entry: Entry): void {
  try {
    localStorage.setItem(key, JSON.stringify(entry));
  } catch {
    // A browser that keeps nothing: a reload begins anew.
  }
}

export function forget(key: string): void {
  try {
    localStorage.removeItem(key);
  } catch {
    // As above.
  }
}

/** The address of an upload that was begun. */
export function addressOf(key: string, now: number): string | undefined {
  return current(key, now)?.address;
}

/** How many uploads there are to go on with. Forgets those whose time is over. */
export function count(now: number): number {
  return keys().filter((key) => {
    const entry = current(key, now);
    if (entry === undefined) forget(key);
    return entry !== undefined;
  }).length;
}

function keys(): string[] {
  try {
    return Object.keys(localStorage).filter((key) => key.startsWith(PREFIX));
  } catch {
    return [];
  }
}

function current(key: string, now: number): Entry | undefined {
  try {
    const { address, until } = JSON.parse(localStorage.getItem(key) ?? "{}") as Partial<Entry>;
    return typeof address === "string" && typeof until === "number" && until > now ? { address, until } : undefined;
  } catch {
    return undefined;
  }
}
