// One upload by tus-js-client, as its options say, for a test that watches: one JSON object on each line of the output.
//
//   node upload.mjs '{"endpoint": ..., "file": ..., "metadata": {...}, "chunkSize": ..., "url": ...}'

import { createReadStream, statSync } from "node:fs";
import { PassThrough } from "node:stream";

import { Upload } from "tus-js-client";

const options = JSON.parse(process.argv[2]);
/** Often and soon: the tests end what is in the way by themselves. */
const RETRY_DELAYS_MS = Array.from({ length: 60 }, () => 100);

function tell(event, more = {}) {
  process.stdout.write(`${JSON.stringify({ event, ...more })}\n`);
}

const file = createReadStream(options.file);
// Of a file it knows the length, whether it says so or not: only of a stream it does not.
const upload = new Upload(options.deferred ? file.pipe(new PassThrough()) : file, {
  endpoint: options.endpoint,
  uploadUrl: options.url ?? null,
  metadata: options.metadata,
  headers: options.headers ?? {},
  chunkSize: options.chunkSize ?? Number.POSITIVE_INFINITY,
  uploadSize: options.deferred || options.parallel ? null : statSync(options.file).size,
  uploadLengthDeferred: options.deferred ?? false,
  uploadDataDuringCreation: options.duringCreation ?? false,
  parallelUploads: options.parallel ?? 1,
  overridePatchMethod: options.override ?? false,
  retryDelays: options.retry === false ? null : RETRY_DELAYS_MS,
  onUploadUrlAvailable: () => tell("url", { url: upload.url }),
  onProgress: (sent, total) => tell("progress", { sent, total }),
  onAfterResponse: (request, response) =>
    tell("response", { method: request.getMethod(), status: response.getStatus() }),
  onSuccess: () => tell("success", { url: upload.url }),
  onError: (error) => {
    const response = error.originalResponse;
    tell("error", { status: response?.getStatus() ?? 0, body: response?.getBody() ?? "", message: error.message });
    process.exitCode = 1;
  },
});
upload.start();
