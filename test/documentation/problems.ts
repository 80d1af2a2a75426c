/** docs/problems.md, made from the closed list of problems. */
import { problemKinds } from "@omni-iml/shared/problems";

export function problemsPage(): string {
  const rows = Object.entries(problemKinds).map(
    ([code, { status, title, cause, remedy, retryable }]) =>
      `| <a id="${code}"></a>\`${code}\` | ${status} | **${title}.** ${cause} | ${remedy} | ${retryable ? "yes" : "no"} |`,
  );
  return `# Problems

<!-- Made from shared/problems.ts by \`npm run docs\`; a test holds it to that. -->

Every refusal is \`application/problem+json\` (RFC 9457) with one of these codes, which stay what they are within \`/v1\`:

\`\`\`json
{
  "type": "https://omni-iml.dev/problems/invalid_request",
  "title": "${problemKinds.invalid_request.title}",
  "status": 400,
  "code": "invalid_request",
  "detail": "options.treshold: is not known here",
  "remedy": "${problemKinds.invalid_request.remedy}",
  "retryable": false,
  "instance": "rq_01kaw4v3r8h7t2m9c5x1q6zd0e",
  "errors": [{ "path": "options.treshold", "message": "is not known here" }]
}
\`\`\`

\`detail\` is this case in words, \`errors\` names each field, \`instance\` is what to quote when you report it. Where sending the very
same request again can succeed, \`retryable\` is true and \`Retry-After\` may say when; the client does that by itself, under the
same \`Idempotency-Key\`. An analysis that was accepted and failed has its problem as \`error\`, an item of a batch that was
refused as well.

| code | status | cause | what to do | again? |
| --- | --- | --- | --- | --- |
${rows.join("\n")}
`;
}
