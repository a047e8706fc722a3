// The upload page in a real browser, against the pair that `portcullis dev` starts.
//
//   cargo xtask browser

import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

import {
  APART_COHORT,
  BAD_COHORT,
  barriers,
  COHORT,
  describe,
  file,
  FINDINGS,
  folder,
  GOOD,
  inPage,
  open,
  picture,
  site,
  TABLE_COHORT,
  upload,
  verdict,
} from "./page.mjs";

/** Longer than what lies in buffers on the way: the refusal comes while the browser still sends. */
const LONG_BYTES = 64 << 20;
/** A program, whatever it is called. */
const PROGRAM = "\x7fELF\x02\x01\x01\0";
/** A column that is not in the definition, and would be markup if it were taken for it. */
const MARKUP = "<img src=x onerror=alert(1)>";
/** So many rows without a date: more than are listed. */
const WITHOUT_DATE = 150;
const DIAGNOSES = [
  `cohortPatientId,diagnosis,diagnosisDate,source,${MARKUP}`,
  "P1,PCP,2024-02-29,D1,",
  "P2,PCP,2023-02-29,D1,",
  "P3,,2024-01-01,D1,",
  ...Array.from({ length: WITHOUT_DATE }, (_, nth) => `P${nth},PCP,soon,D1,`),
  "",
].join("\n");
inPage("a good file is accepted and has its receipt", {}, async (page) => {
  await open(page);
  await picture(page, "empty");
  await describe(page);
  await page.setInputFiles("#file", file("accepted.csv", GOOD));
  await page.getByRole("button", { name: "Check and upload 1 file" }).click();
  await verdict(page, "accepted.csv", "Accepted");
  const item = upload(page, "accepted.csv");
  await item.getByText("Receipt").click();
  const receipt = await item.locator("dl").innerText();
  assert.match(receipt, new RegExp(`local:submissions/${COHORT}/2024/patient/accepted\\.csv`));
  assert.match(receipt, /SHA-256\s+[0-9a-f]{64}/);
  assert.match(receipt, /Trace\s+[0-9a-f]{32}/);
  assert.match(receipt, /file-type .*accepts/);
  await page.locator("#announcer", { hasText: "accepted.csv: Accepted." }).waitFor({ state: "attached" });
  await picture(page, "accepted");
});

inPage("a bad file is rejected with its findings, which can be narrowed and taken along", {}, async (page) => {
  await open(page);
  await describe(page, BAD_COHORT);
  await page.setInputFiles("#file", file("rejected.csv", GOOD));
  await page.getByRole("button", { name: "Check and upload 1 file" }).click();
  await verdict(page, "rejected.csv", "Rejected");
  const item = upload(page, "rejected.csv");
  const rows = item.locator("tbody tr");
  assert.equal(await rows.count(), FINDINGS);
  assert.match(await item.locator(".sentence").innerText(), /Told to reject/);
  const rule = item.locator("button.tally").first();
  await rule.click();
  assert.equal(await rule.getAttribute("aria-pressed"), "true");
  assert.deepEqual([...new Set(await rows.locator("td.rule").allInnerTexts())], ["many"]);
  await picture(page, "rejected");

  const [download] = await Promise.all([
    page.waitForEvent("download"),
    item.getByRole("button", { name: "Download as CSV" }).click(),
  ]);
  assert.equal(download.suggestedFilename(), "rejected-findings.csv");
  const findings = await readFile(await download.path(), "utf8");
  assert.match(findings, /^\uFEFFfile,severity,row,column,message,rule,policy,offset\r\n/);
  assert.match(findings, /rejected\.csv,error,3,,/);

  await describe(page);
  const [chooser] = await Promise.all([
    page.waitForEvent("filechooser"),
    item.getByRole("button", { name: /^Choose a corrected file/ }).click(),
  ]);
  await chooser.setFiles(file("corrected.csv", GOOD));
  await verdict(page, "corrected.csv", "Accepted");
  assert.equal(await page.locator("#upload-list > li").count(), 1);
});

inPage("what is wrong with a table is shown by row, column and rule, with true totals and never as markup", {}, async (page) => {
  await open(page);
  await describe(page, TABLE_COHORT, "diagnosis");
  await page.setInputFiles("#file", file("diagnosis.csv", DIAGNOSES));
  await page.getByRole("button", { name: "Check and upload 1 file" }).click();
  await verdict(page, "diagnosis.csv", "Rejected");
  const item = upload(page, "diagnosis.csv");
  assert.match(await item.locator(".sentence").innerText(), /does not fit the definition of diagnosis/);
  await item.getByRole("button", { name: `date ${WITHOUT_DATE + 1}`, exact: true }).waitFor();
  await picture(page, "table");

  const cells = async (rule) => {
    await item.locator("button.tally", { hasText: rule }).click();
    const rows = await item.locator("tbody tr").all();
    return Promise.all(rows.map(async (row) => (await row.locator("td").allInnerTexts()).slice(1, 3)));
  };
  assert.deepEqual(await cells("required"), [["3", "diagnosis"]]);
  assert.deepEqual(await cells("extra-column"), [["0", MARKUP]]);
  const dates = await cells("date");
  assert.deepEqual(dates[0], ["2", "diagnosisDate"]);
  assert.ok(dates.length < WITHOUT_DATE, "all of them are listed");
  assert.equal(await page.locator(".findings img").count(), 0);
  await picture(page, "table-by-rule");
});

inPage("a file that is set apart is said to be, and why", {}, async (page) => {
  await open(page);
  await describe(page, APART_COHORT);
  await page.setInputFiles("#file", file("apart.csv", GOOD));
  await page.getByRole("button", { name: "Check and upload 1 file" }).click();
  await verdict(page, "apart.csv", "Quarantined");
  const sentence = await upload(page, "apart.csv").locator(".sentence").innerText();
  assert.match(sentence, /stored apart\. .+ An administrator looks at it/);
  await picture(page, "apart");
});

inPage("files can be dropped anywhere, and each has its own verdict", {}, async (page) => {
  await open(page);
  await describe(page);
  const files = [
    ["dropped.csv", GOOD],
    ["program.csv", PROGRAM],
    ["picture.png", "not a table"],
  ];
  await page.evaluate((dropped) => {
    const dataTransfer = new DataTransfer();
    for (const [name, content] of dropped) dataTransfer.items.add(new File([content], name, { type: "text/csv" }));
    for (const kind of ["dragenter", "dragover", "drop"]) {
      document.querySelector("footer").dispatchEvent(new DragEvent(kind, { dataTransfer, bubbles: true, cancelable: true }));
    }
  }, files);
  await page.getByRole("button", { name: "Check and upload 2 files" }).click();
  await verdict(page, "dropped.csv", "Accepted");
  await verdict(page, "program.csv", "Rejected");
  await verdict(page, "picture.png", "Not sent");
  assert.match(await page.locator("#summary").innerText(), /1 accepted/);
  await picture(page, "dropped");
});

inPage("a long file that is refused at its beginning has its verdict, not a broken connection", {}, async (page) => {
  const path = join(folder, "long-rejected.csv");
  await writeFile(path, PROGRAM + "0".repeat(LONG_BYTES));
  await open(page);
  await describe(page);
  await page.setInputFiles("#file", path);
  await page.getByRole("button", { name: "Check and upload 1 file" }).click();
  await verdict(page, "long-rejected.csv", "Rejected");
});

inPage("what was said about the data is remembered, and nothing is sent without it", {}, async (page) => {
  await open(page);
  await page.setInputFiles("#file", file("remembered.csv", GOOD));
  await page.getByRole("button", { name: "Check and upload 1 file" }).click();
  await verdict(page, "remembered.csv", "Ready");
  await describe(page);
  await page.getByRole("button", { name: "Check and upload 1 file" }).click();
  await verdict(page, "remembered.csv", "Accepted");
  await open(page);
  assert.equal(await page.getByLabel("Cohort").inputValue(), COHORT);
});

inPage("the page is used by keyboard alone", {}, async (page) => {
  await open(page);
  await describe(page);
  await page.getByLabel("Table").focus();
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement?.id), "file");
  await page.setInputFiles("#file", file("keyboard.csv", GOOD));
  for (const next of ["choose-folder", "send"]) {
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement?.id), next);
  }
  await page.keyboard.press("Enter");
  await verdict(page, "keyboard.csv", "Accepted");
});

inPage("a plain form works without scripts", { javaScriptEnabled: false }, async (page) => {
  for (const [cohort, name, heading] of [
    [COHORT, "plain.csv", "Your file is stored"],
    [BAD_COHORT, "plain-bad.csv", "Your file was not stored"],
  ]) {
    await page.goto(site);
    await describe(page, cohort);
    await page.getByLabel("Data files").setInputFiles(file(name, GOOD));
    await page.getByRole("button", { name: "Check and upload" }).click();
    await page.getByRole("heading", { name: heading }).waitFor();
    assert.equal(await page.locator(".filename").innerText(), name);
    await picture(page, name);
  }
  assert.equal(await page.locator("tbody tr").count(), FINDINGS);
  await page.getByRole("link", { name: "Send more files" }).click();
  await page.getByRole("heading", { name: "Send data files" }).waitFor();
});

for (const colorScheme of ["light", "dark"]) {
  inPage(`axe finds no barrier, ${colorScheme}`, { colorScheme }, async (page, context) => {
    await open(page);
    assert.deepEqual(await barriers(page), []);
    await describe(page, BAD_COHORT);
    const bad = file(`axe-${colorScheme}-bad.csv`, GOOD);
    await page.setInputFiles("#file", [bad, file(`axe-${colorScheme}-program.csv`, PROGRAM)]);
    assert.deepEqual(await barriers(page), []);
    await page.getByRole("button", { name: "Check and upload 2 files" }).click();
    await verdict(page, bad.name, "Rejected");
    await verdict(page, `axe-${colorScheme}-program.csv`, "Rejected");
    for (const summary of await page.locator("summary").all()) await summary.click();
    assert.deepEqual(await barriers(page), []);
    await picture(page, `axe-${colorScheme}`);

    // The plain form's answer, in a browser that runs scripts so that axe can look at it.
    await context.route("**/assets/*.js", (route) => route.abort());
    await page.goto(site);
    await describe(page, BAD_COHORT);
    await page.getByLabel("Data files").setInputFiles(bad);
    await page.getByRole("button", { name: "Check and upload" }).click();
    await page.getByRole("heading", { name: "Your file was not stored" }).waitFor();
    assert.deepEqual(await barriers(page), []);
  });
}
