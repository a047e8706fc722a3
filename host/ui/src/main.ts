/**
 * Makes the upload form of the page comfortable: several files at once, each with its progress and its
 * verdict. The form works without it; if anything is missing here, it is left as it is.
 */

import "./style.css";
import { Announcer } from "./announcer.ts";
import { acceptDrops } from "./drop.ts";
import { button, element, rendered } from "./element.ts";
import { Fields } from "./fields.ts";
import { type Chosen, fromInput, isMeant } from "./folder.ts";
import { count } from "./interrupted.ts";
import { Lanes } from "./lanes.ts";
import { counted } from "./quantity.ts";
import { Upload } from "./upload.ts";
import { announcement, UploadView, verdict } from "./upload-view.ts";

/** Files under way at once: enough to use a line, few enough to leave some of it. */
const MOST_AT_ONCE = 2;

class UploadPage {
  readonly #form = rendered("upload", HTMLFormElement);
  readonly #input = rendered("file", HTMLInputElement);
  readonly #send = rendered("send", HTMLButtonElement);
  readonly #sendHint = rendered("send-hint", HTMLElement);
  readonly #section = rendered("uploads", HTMLElement);
  readonly #list = rendered("upload-list", HTMLElement);
  readonly #summary = rendered("summary", HTMLElement);
  readonly #clear = rendered("clear", HTMLButtonElement);
  readonly #announcer = new Announcer(rendered("announcer", HTMLElement));
  readonly #fields = new Fields(this.#form);
  readonly #lanes = new Lanes(MOST_AT_ONCE);
  readonly #views = new Map<Upload, UploadView>();
  readonly #title = document.title;

  start(): void {
    document.documentElement.classList.add("enhanced");
    for (const id of ["drop-title", "drop-or"]) rendered(id, HTMLElement).hidden = false;
    rendered("at-once", HTMLElement).hidden = true;
    rendered("choose", HTMLElement).textContent = "Choose files";
    this.#input.required = false;
    const note = document.getElementById("remembered");
    if (this.#fields.recall() && note !== null) note.hidden = false;

    this.#input.addEventListener("change", () => this.#chosen());
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#sendAll();
    });
    this.#clear.addEventListener("click", () => this.#clearFinished());
    this.#offerFolders();
    acceptDrops((dropped) => {
      dropped.then(
        (files) => this.#add(files),
        () => this.#hint("A folder cannot be read; look at who may read it, or choose the files in it."),
      );
    });
    window.addEventListener("beforeunload", (event) => {
      if (this.#uploads().some((upload) => upload.isUnderWay)) event.preventDefault();
    });
    // Files that were chosen before this ran, or that the browser has kept over a reload.
    if (this.#input.files?.length) this.#chosen();
    this.#refresh();
    const interrupted = count(Date.now());
    if (interrupted > 0) this.#hint(goOn(interrupted));
  }

  #chosen(): void {
    const files = [...(this.#input.files ?? [])].map(fromInput);
    // Emptied, so that choosing the same file again is a change.
    this.#input.value = "";
    this.#add(files);
  }

  /** A whole folder can be chosen, where the browser can. */
  #offerFolders(): void {
    const input = element("input", { type: "file", webkitdirectory: true });
    if (!input.webkitdirectory) return;
    input.addEventListener("change", () => {
      this.#add([...(input.files ?? [])].map(fromInput).filter(isMeant));
      input.value = "";
    });
    this.#input.after(button("Choose a folder", () => input.click(), { id: "choose-folder", class: "quiet" }));
  }

  #hint(words: string): void {
    this.#sendHint.textContent = words;
    this.#announcer.say(words);
  }

  /** Asks for another file and sends it in place of this one. */
  #replace(upload: Upload): void {
    const input = element("input", { type: "file", accept: this.#input.accept });
    input.addEventListener("change", () => {
      const file = input.files?.[0];
      if (file === undefined) return;
      upload.replace(fromInput(file));
      if (!this.#refuseByName(upload)) this.#sendOne(upload);
    });
    input.click();
  }

  #add(files: readonly Chosen[]): void {
    for (const file of files) {
      const upload = new Upload(file, this.#form.action, this.#lanes);
      const view = new UploadView(upload, {
        send: (again) => this.#sendOne(again),
        replace: (refused) => this.#replace(refused),
        remove: (gone) => this.#remove(gone),
      });
      upload.onChange = () => this.#changed(upload, view);
      this.#views.set(upload, view);
      this.#list.append(view.element);
      this.#refuseByName(upload);
    }
    if (files.length > 0) this.#announcer.say(`${counted(files.length, "file")} added.`);
    this.#refresh();
  }

  /** Refuses a file whose name is not one that this site takes, rather than sending it for nothing. */
  #refuseByName(upload: Upload): boolean {
    const extensions = this.#input.accept.split(",").filter((extension) => extension !== "");
    const name = upload.file.name.toLowerCase();
    if (extensions.length === 0 || extensions.some((extension) => name.endsWith(extension.toLowerCase()))) return false;
    upload.refuse(`Only files that end in ${extensions.join(" or ")} can be sent here; this one was not sent.`);
    return true;
  }

  #sendAll(): void {
    const ready = this.#uploads().filter((upload) => upload.state.name === "chosen");
    if (!this.#fields.check()) return;
    if (ready.length === 0) {
      this.#input.focus();
      this.#hint("Choose a file first.");
      return;
    }
    this.#announcer.say(`Sending ${counted(ready.length, "file")}.`);
    for (const upload of ready) this.#sendOne(upload);
  }

  #sendOne(upload: Upload): void {
    if (!this.#fields.check()) return;
    this.#fields.remember();
    upload.send(this.#fields.values());
  }

  #remove(upload: Upload): void {
    this.#views.get(upload)?.element.remove();
    this.#views.delete(upload);
    this.#refresh();
    this.#input.focus();
  }

  #clearFinished(): void {
    for (const upload of this.#uploads()) {
      if (upload.isFinished) this.#remove(upload);
    }
  }

  #changed(upload: Upload, view: UploadView): void {
    view.update();
    const words = announcement(upload);
    if (words !== undefined) this.#announcer.say(words);
    this.#refresh();
  }

  /** What depends on all files together: the button, the title, what can be cleared. */
  #refresh(): void {
    const uploads = this.#uploads();
    const chosen = uploads.filter((upload) => upload.state.name === "chosen").length;
    const underWay = uploads.filter((upload) => upload.isUnderWay).length;
    this.#section.hidden = uploads.length === 0;
    this.#clear.hidden = uploads.filter((upload) => upload.isFinished).length < 2;
    setText(this.#send, chosen > 0 ? `Check and upload ${counted(chosen, "file")}` : "Check and upload");
    setText(this.#summary, summary(uploads));
    if (chosen > 0 || underWay > 0) setText(this.#sendHint, "");
    const title = underWay > 0 ? `${counted(underWay, "file")} under way \u2013 ${this.#title}` : this.#title;
    if (document.title !== title) document.title = title;
  }

  #uploads(): Upload[] {
    return [...this.#views.keys()];
  }
}

/** What to do about uploads that were under way when the page was left. */
function goOn(uploads: number): string {
  return uploads === 1
    ? "An upload from this browser was interrupted. Choose the same file and say the same about the data, and it goes on where it stopped."
    : `${counted(uploads, "upload")} from this browser were interrupted. Choose the same files and say the same about the data, and they go on where they stopped.`;
}

/** How many there are of each verdict: `2 accepted, 1 rejected`. */
function summary(uploads: readonly Upload[]): string {
  if (uploads.length < 2) return "";
  const counts = new Map<string, number>();
  for (const upload of uploads) {
    const word = verdict(upload.state).toLowerCase();
    counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  return [...counts].map(([word, count]) => `${count} ${word}`).join(", ");
}

/** Progress comes many times a second; the page is touched only when something changes. */
function setText(place: HTMLElement, words: string): void {
  if (place.textContent !== words) place.textContent = words;
}

new UploadPage().start();
