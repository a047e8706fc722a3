/** Elements are made here and nowhere else. Text becomes text nodes, so that no name or message is ever markup. */

import { parts } from "./prose.ts";

type Child = Node | string | null | undefined | false;

/** Attributes by their HTML names; an absent value leaves the attribute away. */
type Attributes = Readonly<Record<string, string | number | boolean | undefined>>;

export function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    made.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children) {
    if (child !== null && child !== undefined && child !== false) made.append(child);
  }
  return made;
}

/** A sentence, with what stands between backquotes set as code. */
export function prose<Tag extends "p" | "td">(
  tag: Tag,
  sentence: string,
  attributes: Attributes = {},
): HTMLElementTagNameMap[Tag] {
  const children = parts(sentence).map(({ text, isCode }) => (isCode ? element("code", {}, text) : text));
  return element(tag, attributes, ...children);
}

export function button(label: string, onPress: () => void, attributes: Attributes = {}): HTMLButtonElement {
  const made = element("button", { type: "button", ...attributes }, label);
  made.addEventListener("click", onPress);
  return made;
}

/** The element with this id, which the server has rendered. */
export function rendered<Kind extends HTMLElement>(id: string, kind: new () => Kind): Kind {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page has no ${kind.name} with the id ${id}`);
  return found;
}
