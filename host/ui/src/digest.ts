/** Digests as the browser has them: in secure contexts only, and of what fits into memory. */

/** Larger files are sent without a digest, in bytes. */
const MAX_FILE_BYTES = 32 * 1024 * 1024;

/** The SHA-256 in hexadecimal digits. Absent where the browser has none, as without TLS. */
export async function sha256(bytes: BufferSource): Promise<string | undefined> {
  try {
    const digest = await crypto.subtle.digest("SHA-256", bytes);
    return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  } catch {
    return undefined;
  }
}

/** The SHA-256 of a file. Absent where it is too large, or cannot be read. */
export async function sha256OfFile(file: File): Promise<string | undefined> {
  if (file.size > MAX_FILE_BYTES) return undefined;
  try {
    return await sha256(await file.arrayBuffer());
  } catch {
    return undefined;
  }
}
