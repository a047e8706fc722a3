// The upload page in a real browser, against the pair that `portcullis dev` starts.
//
//   cargo xtask browser
//
// CHROMIUM names the browser; SCREENSHOTS a folder for pictures of what was tested, if somebody wants to look.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { chromium } from "playwright-core";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const BINARIES = process.env.PORTCULLIS_BIN_DIR ?? join(ROOT, "target/debug");
const GUESTS = process.env.PORTCULLIS_GUEST_DIR ?? join(ROOT, "target/guests");
const SCREENSHOTS = process.env.SCREENSHOTS;
const BROWSER = process.env.CHROMIUM ?? "/usr/bin/chromium";
const ARGUMENTS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-quic",
  "--disable-sync",
  "--no-first-run",
];
/** How long anything may take, in milliseconds. */
const PATIENCE_MS = 20_000;
/** Longer than what lies in buffers on the way: the refusal comes while the browser still sends. */
const LONG_BYTES = 64 << 20;
const GOOD = "patid,sex\n1,F\n2,M\n";
/** A program, whatever it is called. */
const PROGRAM = "\x7fELF\x02\x01\x01\0";
/** Uploads of this cohort are refused at their end, with this many findings. */
const BAD_COHORT = "bad";
const FINDINGS = 7;
/** Uploads of this cohort are held against a data definition. */
const TABLE_COHORT = "tables";
/** Uploads of this cohort are set apart. */
const APART_COHORT = "apart";
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
/** The policies that ship, and before the last one two that find something wrong with the bad cohort. */
const POLICIES = (components) => `
[[policy]]
name = "file-type"
component = "${components}/file-type.wasm"

[[policy]]
name = "finds"
component = "${GUESTS}/hostile.wasm"
match = { cohort = "${BAD_COHORT}" }
settings = { do = "many-findings:${FINDINGS}", when = "chunk" }

[[policy]]
name = "rejects"
component = "${GUESTS}/hostile.wasm"
match = { cohort = "${BAD_COHORT}" }
settings = { do = "reject", when = "finish" }

[[policy]]
name = "csv-schema"
component = "${components}/csv-schema.wasm"
match = { cohort = "${TABLE_COHORT}" }

[[policy]]
name = "sets-apart"
component = "${GUESTS}/hostile.wasm"
match = { cohort = "${APART_COHORT}" }
settings = { do = "quarantine" }

[[policy]]
name = "route-by-attributes"
component = "${components}/route-by-attributes.wasm"
disks = ["local"]
settings = { template = "submissions/{cohort}/{protocol_year}/{table}/{filename}" }
`;
const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const COHORT = "c1";

let site;
let servers;
let folder;
let browser;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "portcullis-browser-"));
  await writeFile(join(folder, "policies.toml"), POLICIES(join(ROOT, "policies/components")));
  await cp(join(ROOT, "policies/definitions"), join(folder, "definitions"), { recursive: true });
  if (SCREENSHOTS) await mkdir(SCREENSHOTS, { recursive: true });
  const ports = ["--web-port", "0", "--services-port", "0"];
  const places = ["--storage", join(folder, "storage"), "--policies", folder];
  servers = spawn(join(BINARIES, "portcullis"), ["dev", ...ports, ...places], { stdio: ["ignore", "pipe", "inherit"] });
  const lines = createInterface({ input: servers.stdout });
  site = await new Promise((resolve, reject) => {
    servers.once("error", reject);
    servers.once("exit", (code) => reject(new Error(`portcullis dev ended with ${code}`)));
    lines.on("line", (line) => {
      const address = /upload page\s+(http:\S+)/.exec(line)?.[1];
      if (address) resolve(address);
    });
  });
  browser = await chromium.launch({ executablePath: BROWSER, args: ARGUMENTS, timeout: PATIENCE_MS });
});

after(async () => {
  await browser?.close();
  if (servers?.exitCode === null) {
    const ended = new Promise((resolve) => servers.once("exit", resolve));
    servers.kill("SIGTERM");
    await ended;
  }
  if (folder) await rm(folder, { recursive: true });
});

/** A picture of the page as it is now, for whoever wants to look. */
async function picture(page, name) {
  if (SCREENSHOTS) await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`), fullPage: true });
}

/** A test with a fresh browser profile. Nothing on the page may be against its security policy. */
function inPage(name, options, body) {
  test(name, { timeout: 4 * PATIENCE_MS }, async () => {
    const context = await browser.newContext({ locale: "en-US", timezoneId: "UTC", ...options });
    context.setDefaultTimeout(PATIENCE_MS);
    const complaints = [];
    try {
      const page = await context.newPage();
      page.on("pageerror", (error) => complaints.push(String(error)));
      page.on("console", (message) => {
        if (/content security policy|trusted ?type|refused to/i.test(message.text())) complaints.push(message.text());
      });
      await body(page, context);
      assert.deepEqual(complaints, []);
    } finally {
      await context.close();
    }
  });
}

async function open(page) {
  await page.goto(site);
  const scripts = await page.locator("script[src]").count();
  assert.ok(scripts > 0, "the page has no script: run `npm run build` in host/ui, then build portcullis-web again");
  await page.locator("html.enhanced").waitFor();
}

async function describe(page, cohort = COHORT, table = "patient") {
  await page.getByLabel("Cohort").fill(cohort);
  await page.getByLabel("Protocol year").fill("2024");
  await page.getByLabel("Table").fill(table);
}

function file(name, content) {
  return { name, mimeType: "text/csv", buffer: Buffer.from(content) };
}

function upload(page, name) {
  return page.locator("#upload-list > li").filter({ has: page.getByRole("heading", { name, exact: true }) });
}

async function verdict(page, name, word) {
  await upload(page, name).locator(".verdict", { hasText: new RegExp(`^${word}$`) }).waitFor();
}

/** What axe finds that keeps people from using the page. */
async function barriers(page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document));
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
}

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

inPage("without a network the page says so, and trying again works", {}, async (page, context) => {
  await open(page);
  await describe(page);
  await page.setInputFiles("#file", file("again.csv", GOOD));
  await context.setOffline(true);
  await page.getByRole("button", { name: "Check and upload 1 file" }).click();
  await verdict(page, "again.csv", "Not stored");
  assert.match(await upload(page, "again.csv").locator(".sentence").innerText(), /offline/);
  await context.setOffline(false);
  await upload(page, "again.csv").getByRole("button", { name: /^Try again/ }).click();
  await verdict(page, "again.csv", "Accepted");
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
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement?.id), "send");
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
