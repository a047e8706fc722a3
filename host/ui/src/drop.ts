/** Files can be dropped anywhere on the page: a near miss must not make the browser leave it. */

export interface Dropped {
  readonly files: readonly File[];
  /** Names of folders, which cannot be sent. */
  readonly folders: readonly string[];
}

export function acceptDrops(onDrop: (dropped: Dropped) => void): void {
  // Enter and leave come for every element that the pointer crosses; only the last leave counts.
  let depth = 0;
  const show = (isOver: boolean) => document.documentElement.classList.toggle("dragging", isOver);

  window.addEventListener("dragenter", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    depth += 1;
    show(true);
  });
  window.addEventListener("dragover", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    if (event.dataTransfer) event.dataTransfer.dropEffect = "copy";
  });
  window.addEventListener("dragleave", (event) => {
    if (!carriesFiles(event)) return;
    depth = Math.max(0, depth - 1);
    show(depth > 0);
  });
  window.addEventListener("drop", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    depth = 0;
    show(false);
    if (event.dataTransfer) onDrop(sorted(event.dataTransfer));
  });
}

function carriesFiles(event: DragEvent): boolean {
  return event.dataTransfer?.types.includes("Files") ?? false;
}

function sorted(transfer: DataTransfer): Dropped {
  const files: File[] = [];
  const folders: string[] = [];
  for (const item of transfer.items) {
    if (item.kind !== "file") continue;
    const file = item.getAsFile();
    if (item.webkitGetAsEntry()?.isDirectory) folders.push(file?.name ?? "A folder");
    else if (file !== null) files.push(file);
  }
  return { files, folders };
}
