/** Files can be dropped anywhere on the page: a near miss must not make the browser leave it. */

import { type Chosen, fromInput, walk } from "./folder.ts";

export function acceptDrops(onDrop: (dropped: Promise<readonly Chosen[]>) => void): void {
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
    if (event.dataTransfer) onDrop(dropped(event.dataTransfer));
  });
}

function carriesFiles(event: DragEvent): boolean {
  return event.dataTransfer?.types.includes("Files") ?? false;
}

/** All files that were dropped, and those in the folders. What was dropped must be taken before the event is over. */
async function dropped(transfer: DataTransfer): Promise<readonly Chosen[]> {
  const found = [...transfer.items].map((item) => {
    const entry = item.kind === "file" ? item.webkitGetAsEntry() : null;
    const file = item.getAsFile();
    if (entry?.isDirectory) return walk(entry);
    return file === null ? [] : [fromInput(file)];
  });
  return (await Promise.all(found)).flat();
}
