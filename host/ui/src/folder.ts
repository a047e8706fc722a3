/** The files in a folder, each with where it lies in it. */

/** A file that was chosen. */
export interface Chosen {
  readonly file: File;
  /** Where it lies, from the folder that was chosen on; its name, where none was. */
  readonly path: string;
}

/** What systems leave in folders and nobody means to send. */
const LEFT_BY_SYSTEMS = ["desktop.ini", "thumbs.db"];

/** A file of an `<input>`, which knows its folder where one was chosen. */
export function fromInput(file: File): Chosen {
  return { file, path: file.webkitRelativePath || file.name };
}

/** Whether somebody means to send this when they choose the folder that it lies in. */
export function isMeant({ path }: Pick<Chosen, "path">): boolean {
  const [, ...inside] = path.split("/");
  return inside.every((name) => !name.startsWith(".") && !LEFT_BY_SYSTEMS.includes(name.toLowerCase()));
}

/** All files beneath a folder that was dropped, by their names. */
export async function walk(folder: FileSystemEntry): Promise<Chosen[]> {
  if (isFile(folder)) return [{ file: await opened(folder), path: folder.fullPath.replace(/^\/+/, "") }];
  if (!isFolder(folder)) return [];
  const inside: Chosen[][] = [];
  // One after the other: a folder of thousands would open them all at once.
  for (const entry of await entries(folder)) inside.push(await walk(entry));
  return inside.flat().filter(isMeant);
}

/** A folder tells its entries in portions, until one is empty. */
async function entries(folder: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = folder.createReader();
  const all: FileSystemEntry[] = [];
  for (;;) {
    const portion = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (portion.length === 0) return all.sort((one, other) => one.name.localeCompare(other.name));
    all.push(...portion);
  }
}

function opened(entry: FileSystemFileEntry): Promise<File> {
  return new Promise((resolve, reject) => entry.file(resolve, reject));
}

function isFile(entry: FileSystemEntry): entry is FileSystemFileEntry {
  return entry.isFile;
}

function isFolder(entry: FileSystemEntry): entry is FileSystemDirectoryEntry {
  return entry.isDirectory;
}
