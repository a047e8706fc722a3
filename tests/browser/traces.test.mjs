// From a receipt to its trace, in the viewer that `portcullis dev` starts.
//
//   cargo xtask browser

import assert from "node:assert/strict";

import { COHORT, describe, file, GOOD, inPage, open, picture, upload, verdict } from "./page.mjs";

/** Both servers send their spans a moment after they have ended. */
const TRIES = 20;
const PATIENCE_MS = 1_500;

inPage("a receipt leads to its trace, across both servers", {}, async (page, context) => {
  await open(page);
  await describe(page, COHORT);
  await page.setInputFiles("#file", file("traced.csv", GOOD));
  await page.getByRole("button", { name: "Check and upload 1 file" }).click();
  await verdict(page, "traced.csv", "Accepted");
  const item = upload(page, "traced.csv");
  await item.getByText("Receipt").click();
  const link = item.getByRole("link", { name: /^[0-9a-f]{32}$/ });
  await picture(page, "receipt-with-trace");
  const [trace] = await Promise.all([context.waitForEvent("page"), link.click()]);
  await arrived(trace, "portcullis-services");
  const shown = await trace.locator("body").innerText();
  for (const span of ["POST /uploads", "policy file-type", "fsync", "publish"]) assert.ok(shown.includes(span), span);
  await picture(trace, "trace");

  // All of them are listed, the newest first.
  await trace.goto(new URL("/search?service=portcullis-web&limit=20", trace.url()).href);
  await trace.getByText("portcullis-web: POST /uploads").first().waitFor();
  await picture(trace, "traces");
});

async function arrived(trace, service) {
  for (let tries = 0; tries < TRIES; tries += 1) {
    try {
      await trace.getByText(service).first().waitFor({ timeout: PATIENCE_MS });
      return;
    } catch {
      await trace.reload();
    }
  }
  assert.fail(`no span of ${service} arrived`);
}
