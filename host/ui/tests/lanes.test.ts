import assert from "node:assert/strict";
import { test } from "node:test";

import { Lanes } from "../src/lanes.ts";

/** Tasks that end when they are told to. */
class Tasks {
  readonly started: string[] = [];
  readonly #ends = new Map<string, () => void>();

  task(name: string): () => Promise<void> {
    return () => {
      this.started.push(name);
      return new Promise((resolve) => this.#ends.set(name, resolve));
    };
  }

  async end(name: string): Promise<void> {
    this.#ends.get(name)?.();
    await new Promise(setImmediate);
  }
}

test("at most so many run at once, the others in the order in which they came", async () => {
  const tasks = new Tasks();
  const lanes = new Lanes(2);
  for (const name of ["a", "b", "c", "d"]) lanes.add(tasks.task(name));
  assert.deepEqual(tasks.started, ["a", "b"]);
  await tasks.end("b");
  assert.deepEqual(tasks.started, ["a", "b", "c"]);
  await tasks.end("a");
  assert.deepEqual(tasks.started, ["a", "b", "c", "d"]);
});

test("what is withdrawn is not run", async () => {
  const tasks = new Tasks();
  const lanes = new Lanes(1);
  lanes.add(tasks.task("a"));
  const withdraw = lanes.add(tasks.task("b"));
  lanes.add(tasks.task("c"));
  withdraw();
  await tasks.end("a");
  assert.deepEqual(tasks.started, ["a", "c"]);
});
