// Uploads from the page over a line that breaks, and after the page was left.
//
//   cargo xtask browser

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after } from "node:test";

import { COHORT, describe, file, folder, GOOD, inPage, open, picture, site, upload, verdict } from "./page.mjs";
import { Line } from "./line.mjs";

/** Longer than what lies in buffers on the way. */
const LONG_BYTES = 24 << 20;
/** Where the line breaks. */
const HALF = LONG_BYTES / 2;

let line;

after(() => line?.close());

async function openOverLine(page) {
  line ??= await Line.to(site);
  await open(page, line.address);
}

/** A long table that nobody has sent before. */
async function longFile(name) {
  const path = join(folder, name);
  const content = `patid,sex\n${randomBytes(LONG_BYTES / 2).toString("hex")},F\n`;
  await writeFile(path, content);
  return { path, digest: createHash("sha256").update(content).digest("hex") };
}

async function send(page, path, name) {
  await page.setInputFiles("#file", path);
  await page.getByRole("button", { name: "Check and upload 1 file" }).click();
  return upload(page, name);
}

/** Sends a long table over a line that breaks halfway. Gives what was sent, and how much the line had carried before. */
async function interrupted(page, name) {
  const { path, digest } = await longFile(name);
  await openOverLine(page);
  await describe(page);
  const [before, broken] = [line.sent, line.breakAfter(HALF)];
  const item = await send(page, path, name);
  await broken;
  await verdict(page, name, "Interrupted");
  return { path, digest, before, item };
}

/** That what was there was not sent again, since the line had carried so much. */
function goesOn(before) {
  const sent = line.sent - before;
  assert.ok(sent < LONG_BYTES + HALF / 2, `${sent} bytes were sent for ${LONG_BYTES}`);
}

/** What the receipt says, once the file is accepted. */
async function receipt(page, name) {
  await verdict(page, name, "Accepted");
  const item = upload(page, name);
  await item.getByText("Receipt").click();
  return item.locator("dl").innerText();
}

/** The address in it. */
const KEPT = /"address\\*":\\*"([^"\\]+)/;

/** What the browser keeps of uploads. */
function kept(page) {
  return page.evaluate(() => JSON.stringify(localStorage));
}

inPage("an upload goes on by itself where its line broke", {}, async (page) => {
  const { digest, before, item } = await interrupted(page, "broken.csv");
  assert.match(await item.locator(".pace").innerText(), /^\d+ % · The server cannot be reached\. It goes on by itself/);
  await picture(page, "interrupted");
  line.mend();
  assert.match(await receipt(page, "broken.csv"), new RegExp(digest));
  goesOn(before);
});

inPage("a page that was left goes on with the same file, and keeps nothing that names it", {}, async (page, context) => {
  const { path, digest, before } = await interrupted(page, "left.csv");
  assert.doesNotMatch(await kept(page), /left/);
  await page.close();
  line.mend();

  const anew = await context.newPage();
  await openOverLine(anew);
  await anew.locator("#send-hint", { hasText: "An upload from this browser was interrupted." }).waitFor();
  await picture(anew, "left");
  await send(anew, path, "left.csv");
  assert.match(await receipt(anew, "left.csv"), new RegExp(digest));
  goesOn(before);
  assert.doesNotMatch(await kept(anew), /portcullis\.upload/);
});

inPage("an answer that is lost costs no verdict and stores nothing twice", {}, async (page) => {
  const { path, digest } = await longFile("unanswered.csv");
  await openOverLine(page);
  await describe(page);
  const lost = line.dropAnswerAfter(LONG_BYTES);
  await send(page, path, "unanswered.csv");
  await lost;
  const told = await receipt(page, "unanswered.csv");
  assert.match(told, new RegExp(digest));
  assert.match(told, /Version\s+1\b/);
});

inPage("what is cancelled is dropped", {}, async (page) => {
  const { item } = await interrupted(page, "cancelled.csv");
  const [, address] = KEPT.exec(await kept(page));
  line.mend();
  await item.getByRole("button", { name: /^Cancel/ }).click();
  await verdict(page, "cancelled.csv", "Cancelled");
  assert.equal(await item.locator(".sentence").innerText(), "Cancelled: nothing of it is stored.");
  const record = await (await fetch(address)).json();
  assert.equal(record.state, "cancelled");
  assert.doesNotMatch(await kept(page), /portcullis\.upload/);
});

inPage("an upload that the server does not know any more begins anew", {}, async (page) => {
  const { digest } = await interrupted(page, "forgotten.csv");
  const [, address] = KEPT.exec(await kept(page));
  const given = await fetch(new URL(new URL(address).pathname, site), {
    method: "DELETE",
    headers: { "Tus-Resumable": "1.0.0" },
  });
  assert.equal(given.status, 204);
  line.mend();
  assert.match(await receipt(page, "forgotten.csv"), new RegExp(digest));
  assert.doesNotMatch(await kept(page), /portcullis\.upload/);
});

inPage("without a network the page says so, and goes on when it is back", {}, async (page, context) => {
  await open(page);
  await describe(page);
  await page.setInputFiles("#file", file("offline.csv", GOOD));
  await context.setOffline(true);
  await page.getByRole("button", { name: "Check and upload 1 file" }).click();
  await verdict(page, "offline.csv", "Interrupted");
  await page.locator("#announcer", { hasText: "offline.csv: Interrupted. This computer is offline." }).waitFor({ state: "attached" });
  await context.setOffline(false);
  await verdict(page, "offline.csv", "Accepted");
});

inPage("a folder keeps its structure", {}, async (page) => {
  const chosen = join(folder, "site");
  await mkdir(join(chosen, "2024"), { recursive: true });
  for (const name of ["patient.csv", "2024/patient.csv", ".hidden.csv"]) await writeFile(join(chosen, name), GOOD);
  await open(page);
  await describe(page);
  const [chooser] = await Promise.all([
    page.waitForEvent("filechooser"),
    page.getByRole("button", { name: "Choose a folder" }).click(),
  ]);
  await chooser.setFiles(chosen);
  await page.getByRole("button", { name: "Check and upload 2 files" }).click();
  for (const path of ["site/patient.csv", "site/2024/patient.csv"]) {
    assert.match(await receipt(page, path), new RegExp(`local:submissions/${COHORT}/2024/patient/${path}`));
  }
  await picture(page, "folder");
});

inPage("a folder that is dropped keeps its structure", {}, async (page) => {
  await open(page);
  await describe(page);
  // Folders can only be dropped by people: a browser's own file system stands in for what they carry.
  await page.evaluate(async (content) => {
    const entry = (name, fullPath) => ({
      name,
      fullPath,
      isFile: true,
      isDirectory: false,
      file: (then) => then(new File([content], name, { type: "text/csv" })),
    });
    const folderOf = (name, fullPath, inside) => ({
      name,
      fullPath,
      isFile: false,
      isDirectory: true,
      createReader: () => {
        const portions = [...inside.map((one) => [one]), []];
        return { readEntries: (then) => then(portions.shift()) };
      },
    });
    const dropped = folderOf("dropped", "/dropped", [
      entry("b.csv", "/dropped/b.csv"),
      folderOf("deep", "/dropped/deep", [entry("a.csv", "/dropped/deep/a.csv")]),
    ]);
    const event = new DragEvent("drop", { bubbles: true, cancelable: true });
    const items = [{ kind: "file", webkitGetAsEntry: () => dropped, getAsFile: () => null }];
    Object.defineProperty(event, "dataTransfer", { value: { types: ["Files"], items } });
    document.body.dispatchEvent(event);
  }, GOOD);
  await page.getByRole("button", { name: "Check and upload 2 files" }).click();
  for (const path of ["dropped/b.csv", "dropped/deep/a.csv"]) {
    assert.match(await receipt(page, path), new RegExp(`local:submissions/${COHORT}/2024/patient/${path}`));
  }
});
