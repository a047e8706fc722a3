// A line between a browser and a server that breaks when it is told to.

import { connect, createServer } from "node:net";

export class Line {
  /** Bytes that went towards the server, in all. */
  sent = 0;
  /** How many may go before it breaks. */
  #breaksAt = Number.POSITIVE_INFINITY;
  #dropsAnswerAt = Number.POSITIVE_INFINITY;
  #isOpen = true;
  #sockets = new Set();
  #server;
  #broken;

  /** A line to the server at this address. */
  static async to(address) {
    const line = new Line();
    const { hostname, port } = new URL(address);
    line.#server = createServer((near) => line.#join(near, connect(Number(port), hostname)));
    await new Promise((resolve) => line.#server.listen(0, "127.0.0.1", resolve));
    return line;
  }

  get address() {
    return `http://127.0.0.1:${this.#server.address().port}/`;
  }

  /** Breaks after so many more bytes, and stays broken until it is mended. The result comes when it has broken. */
  breakAfter(bytes) {
    this.#breaksAt = this.sent + bytes;
    return new Promise((resolve) => (this.#broken = resolve));
  }

  /** Breaks when an answer comes after so many more bytes, which the browser never sees. It is whole again at once. */
  dropAnswerAfter(bytes) {
    this.#dropsAnswerAt = this.sent + bytes;
    return new Promise((resolve) => (this.#broken = resolve));
  }

  mend() {
    this.#breaksAt = Number.POSITIVE_INFINITY;
    this.#isOpen = true;
  }

  async close() {
    this.#cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #join(near, far) {
    for (const socket of [near, far]) {
      this.#sockets.add(socket);
      socket.on("error", () => socket.destroy());
      socket.on("close", () => {
        this.#sockets.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    if (!this.#isOpen) {
      near.destroy();
      return;
    }
    near.on("data", (bytes) => {
      this.sent += bytes.length;
      if (this.sent >= this.#breaksAt) {
        this.#isOpen = false;
        this.#cut();
      } else if (!far.write(bytes)) {
        near.pause();
        far.once("drain", () => near.resume());
      }
    });
    far.on("data", (bytes) => {
      if (this.sent >= this.#dropsAnswerAt) {
        this.#dropsAnswerAt = Number.POSITIVE_INFINITY;
        this.#cut();
      } else {
        near.write(bytes);
      }
    });
  }

  #cut() {
    for (const socket of this.#sockets) socket.destroy();
    this.#broken?.();
  }
}
