/** How the playground becomes static files: a page, one script, one style sheet, and the samples. */
import { join } from "node:path";
import { defineConfig } from "vite";

export default defineConfig({
  root: import.meta.dirname,
  // Relative paths only in what is written here; the worker serves it at the root.
  base: "/",
  build: {
    outDir: join(import.meta.dirname, "dist"),
    emptyOutDir: true,
    target: "es2023",
    // Nothing as `data:`: files can be cached, and the policy stays strict.
    assetsInlineLimit: 0,
    modulePreload: false,
  },
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  logLevel: "warn",
});
