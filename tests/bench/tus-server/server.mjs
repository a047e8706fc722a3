// @tus/server with its file store, on a free port: node server.mjs FOLDER

import http from "node:http";

import { FileStore } from "@tus/file-store";
import { Server } from "@tus/server";

const server = new Server({ path: "/files", datastore: new FileStore({ directory: process.argv[2] }) });
const listener = http.createServer(server.handle.bind(server));
listener.listen(0, "127.0.0.1", () => {
  const { address, port } = listener.address();
  process.stdout.write(`listening on http://${address}:${port}\n`);
});
