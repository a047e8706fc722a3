// The pair that `portcullis dev` starts, a browser, and what the tests do on the upload page.
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
export const PATIENCE_MS = 20_000;
export const GOOD = "patid,sex\n1,F\n2,M\n";
/** Uploads of this cohort are refused at their end, with this many findings. */
export const BAD_COHORT = "bad";
export const FINDINGS = 7;
/** Uploads of this cohort are held against a data definition. */
export const TABLE_COHORT = "tables";
/** Uploads of this cohort are set apart. */
export const APART_COHORT = "apart";
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
settings = { template = "submissions/{cohort}/{protocol_year}/{table}/{folder}/{filename}" }
`;
const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export const COHORT = "c1";

/** Where the page is, and a folder for files of the tests; what is stored lies in `storage` beneath it. */
export let site;
export let folder;
let servers;
let browser;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "portcullis-browser-"));
  await writeFile(join(folder, "policies.toml"), POLICIES(join(ROOT, "policies/components")));
  await cp(join(ROOT, "policies/definitions"), join(folder, "definitions"), { recursive: true });
  if (SCREENSHOTS) await mkdir(SCREENSHOTS, { recursive: true });
  const listeners = ["web", "services", "traces", "web-metrics", "services-metrics"];
  const ports = listeners.flatMap((listener) => [`--${listener}-port`, "0"]);
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
export async function picture(page, name) {
  if (SCREENSHOTS) await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`), fullPage: true });
}

/** A test with a fresh browser profile. Nothing on the page may be against its security policy. */
export function inPage(name, options, body) {
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

export async function open(page, address = site) {
  await page.goto(address);
  const scripts = await page.locator("script[src]").count();
  assert.ok(scripts > 0, "the page has no script: run `npm run build` in host/ui, then build portcullis-web again");
  await page.locator("html.enhanced").waitFor();
}

export async function describe(page, cohort = COHORT, table = "patient") {
  await page.getByLabel("Cohort").fill(cohort);
  await page.getByLabel("Protocol year").fill("2024");
  await page.getByLabel("Table").fill(table);
}

export function file(name, content) {
  return { name, mimeType: "text/csv", buffer: Buffer.from(content) };
}

export function upload(page, name) {
  return page.locator("#upload-list > li").filter({ has: page.getByRole("heading", { name, exact: true }) });
}

export async function verdict(page, name, word) {
  await upload(page, name).locator(".verdict", { hasText: new RegExp(`^${word}$`) }).waitFor();
}

/** What axe finds that keeps people from using the page. */
export async function barriers(page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document));
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
}
