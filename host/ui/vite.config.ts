import { defineConfig } from "vite";

// The Rust side reads the manifest and serves the files flat below /assets/. The page is not built here:
// it is rendered there.
export default defineConfig({
  base: "/assets/",
  publicDir: false,
  build: {
    target: "es2022",
    outDir: "dist",
    assetsDir: "",
    // A data: URL would be against the page's content security policy.
    assetsInlineLimit: 0,
    manifest: true,
    modulePreload: false,
    // What is built in has licences that ask to be passed on with it.
    license: { fileName: "licenses.md" },
    rolldownOptions: { input: "src/main.ts" },
  },
});
