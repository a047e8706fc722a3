/** One request with one file. XMLHttpRequest, because `fetch` does not say how much has been sent. */

export type Ending =
  | { readonly kind: "answered"; readonly status: number; readonly body: string }
  /** No answer came. `sent` and `total` are bytes of the request. */
  | { readonly kind: "broken"; readonly sent: number; readonly total: number }
  | { readonly kind: "cancelled" };

export interface Transfer {
  readonly ending: Promise<Ending>;
  cancel(): void;
}

/** Sends the form; `onProgress` hears of bytes sent, of the whole request. */
export function transfer(
  address: string,
  form: FormData,
  onProgress: (sent: number, total: number) => void,
): Transfer {
  const request = new XMLHttpRequest();
  let sent = 0;
  let total = 0;
  const ending = new Promise<Ending>((resolve) => {
    request.upload.addEventListener("progress", (event) => {
      sent = event.loaded;
      total = event.total;
      onProgress(sent, total);
    });
    request.upload.addEventListener("load", (event) => {
      sent = event.loaded;
      total = event.loaded;
      onProgress(sent, total);
    });
    // A refusal may come while the file is still being sent; then this is all that happens.
    request.addEventListener("load", () =>
      resolve({ kind: "answered", status: request.status, body: request.responseText }),
    );
    request.addEventListener("error", () => resolve({ kind: "broken", sent, total }));
    request.addEventListener("abort", () => resolve({ kind: "cancelled" }));
  });
  request.open("POST", address);
  request.setRequestHeader("Accept", "application/json, application/problem+json");
  request.send(form);
  return { ending, cancel: () => request.abort() };
}
