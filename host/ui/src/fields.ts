/** What the uploader says about the data. It is remembered, because the next file is mostly of the same kind. */

import type { AttributeValues } from "./upload.ts";

const STORAGE_KEY = "portcullis.attributes";

type Field = HTMLInputElement | HTMLSelectElement;

export class Fields {
  readonly #form: HTMLFormElement;

  constructor(form: HTMLFormElement) {
    this.#form = form;
  }

  /** Values for what has been filled in, in the order of the form. */
  values(): AttributeValues {
    return this.#fields()
      .map((field) => [field.name, field.value.trim()] as const)
      .filter(([, value]) => value !== "");
  }

  /** Whether all is filled in that must be; if not, the browser says what is missing. */
  check(): boolean {
    return this.#fields().every((field) => field.reportValidity());
  }

  /** Fills in what was remembered. Returns whether this browser remembers anything at all. */
  recall(): boolean {
    const remembered = parse(read());
    if (remembered === undefined) return false;
    for (const field of this.#fields()) {
      const value = remembered.get(field.name);
      if (value === undefined || field.value !== "") continue;
      // A choice that is not there any more leaves the field as it is.
      if (field instanceof HTMLSelectElement && ![...field.options].some((option) => option.value === value)) continue;
      field.value = value;
    }
    return true;
  }

  remember(): void {
    try {
      localStorage.setItem(STORAGE_KEY, JSON.stringify(Object.fromEntries(this.values())));
    } catch {
      // A browser that keeps nothing: the page works all the same.
    }
  }

  #fields(): Field[] {
    return [...this.#form.elements].filter(
      (control): control is Field =>
        control instanceof HTMLSelectElement || (control instanceof HTMLInputElement && control.type === "text"),
    );
  }
}

/** What is stored; empty if nothing is, absent if this browser keeps nothing. */
function read(): string | undefined {
  try {
    return localStorage.getItem(STORAGE_KEY) ?? "{}";
  } catch {
    return undefined;
  }
}

function parse(stored: string | undefined): ReadonlyMap<string, string> | undefined {
  if (stored === undefined) return undefined;
  try {
    const entries = Object.entries(JSON.parse(stored) as Record<string, unknown>);
    return new Map(entries.filter((entry): entry is [string, string] => typeof entry[1] === "string"));
  } catch {
    return new Map();
  }
}
