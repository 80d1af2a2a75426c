/**
 * `npm run test:contract`: an independent property tester (schemathesis) against a stack of its own, knowing nothing but
 * `/openapi.json`. It finds answers with an undocumented status, a 5xx, or a body that does not fit its schema, invalid
 * requests that are accepted, and routes that forget to ask for the key.
 *
 * Needs `pip install -r test/contract/requirements.txt` for the Python named by OMNI_IML_PYTHON (or found as `python3`).
 * Takes some minutes, and is therefore no part of `npm test`. Arguments are handed on: `-- --phases fuzzing -n 100`.
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { freePort } from "../../infra/local/ports.ts";
import { LocalService, temporaryState } from "../end-to-end/local-service.ts";

const checks = [
  "not_a_server_error",
  "status_code_conformance",
  "content_type_conformance",
  "response_headers_conformance",
  "response_schema_conformance",
  "negative_data_rejection",
  "missing_required_header",
  "unsupported_method",
  "ignored_auth",
  "use_after_free",
];

const python = process.env["OMNI_IML_PYTHON"] || "python3";
const known = spawnSync(python, ["-m", "schemathesis.cli", "--version"], { encoding: "utf8" });
if (known.status !== 0) {
  process.stderr.write(`${python} has no schemathesis: pip install -r test/contract/requirements.txt\n`);
  process.exit(2);
}

// Broken off, it takes its stack along (LocalService ends it when this process exits).
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(130));

await using state = await temporaryState();
const service = await LocalService.start(state.path, await freePort());
const tester = spawn(
  python,
  [
    ...["-m", "schemathesis.cli", "run", `${service.baseUrl}/openapi.json`],
    ...["--header", `Authorization: Bearer ${service.apiKey}`],
    ...["--checks", checks.join(","), "--phases", "examples,coverage,stateful", "--max-examples", "5"],
    // Its account has a rate limit like any other.
    ...["--rate-limit", "auto", "--request-timeout", "90", "--no-color"],
    ...process.argv.slice(2),
  ],
  // What it keeps between runs is of no use to the next one.
  { cwd: state.path, stdio: ["ignore", "inherit", "inherit"] },
);
const [code] = await once(tester, "exit");
await service.interrupt();
process.exitCode = code ?? 1;
