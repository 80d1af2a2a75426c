/** The same analysis by other means, and the answer as a program gets it. */
import type { Analysis } from "@omni-iml/shared/analysis";
import { useState } from "preact/hooks";
import { Icon } from "./icons.tsx";

const quoted = (name: string) => (/^[\w.-]+$/.test(name) ? name : `'${name.replaceAll("'", "'\\''")}'`);

function curl(name: string): string {
  return `curl -F image=@${quoted(name)} \\
  -H "Authorization: Bearer $OMNI_IML_KEY" \\
  -H "Prefer: wait=60" \\
  ${location.origin}/v1/analyses`;
}

function typescript(name: string): string {
  return `import { readFile } from "node:fs/promises";
import { OmniIml } from "@omni-iml/sdk";

const client = new OmniIml({
  apiKey: process.env.OMNI_IML_KEY ?? "",
  baseUrl: ${JSON.stringify(location.origin)},
});
const analysis = await client.analyses.create({
  image: await readFile(${JSON.stringify(name)}),
  filename: ${JSON.stringify(name)},
  wait: 60,
});
console.log(analysis.verdict, analysis.regions);`;
}

const command = (name: string) => `export OMNI_IML_URL=${location.origin}
npx omni-iml analyze ${quoted(name)} --out results`;

const forms = [
  ["curl", "curl"],
  ["typescript", "TypeScript"],
  ["command", "Command line"],
  ["json", "JSON"],
] as const;
type Form = (typeof forms)[number][0];

export function Snippets({ analysis, name }: { analysis: Analysis; name: string }) {
  const [form, setForm] = useState<Form>("curl");
  const text = { curl, typescript, command, json: () => JSON.stringify(analysis, null, 2) }[form](name);
  const move = (event: KeyboardEvent) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step === undefined) return;
    const index = forms.findIndex(([each]) => each === form);
    const next = forms[(index + step + forms.length) % forms.length]?.[0] ?? form;
    setForm(next);
    document.getElementById(`form-${next}`)?.focus();
  };
  return (
    <section class="card" aria-labelledby="code">
      <h2 id="code">Do it by program</h2>
      <div class="tabs" role="tablist" aria-labelledby="code">
        {forms.map(([each, label]) => (
          <button
            key={each}
            id={`form-${each}`}
            type="button"
            role="tab"
            aria-selected={each === form}
            aria-controls="snippet"
            tabIndex={each === form ? 0 : -1}
            onClick={() => setForm(each)}
            onKeyDown={move}
          >
            {label}
          </button>
        ))}
      </div>
      <div class="snippet" id="snippet" role="tabpanel" aria-labelledby={`form-${form}`}>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys. */}
        <pre tabIndex={0}>
          <code>{text}</code>
        </pre>
      </div>
      <div class="snippet-foot">
        <p class="quiet">
          {form === "json" ? (
            <>
              Every field is explained in the <a href="/docs">reference</a>.
            </>
          ) : (
            <>
              Needs an API key; <code>npm start</code> prints one. <a href="/docs">Reference</a>
            </>
          )}
        </p>
        <CopyButton text={text} label="Copy" />
      </div>
    </section>
  );
}

export function CopyButton({ text, label }: { text: string; label: string }) {
  const [state, setState] = useState<"ready" | "copied" | "refused">("ready");
  const copy = async () => {
    const copied = await navigator.clipboard.writeText(text).then(
      () => true,
      () => false,
    );
    setState(copied ? "copied" : "refused");
    setTimeout(() => setState("ready"), 1_800);
  };
  const words = { ready: label, copied: "Copied", refused: "Not allowed" }[state];
  return (
    <button type="button" class="button is-small" onClick={copy} aria-live="polite">
      <Icon name={state === "copied" ? "check" : "copy"} />
      {words}
    </button>
  );
}
