/** What the runner and model/interpretation have to say alike, though neither imports the other. */
import { readFileSync } from "node:fs";
import { artifactTitles, domains, manipulationKinds } from "@omni-iml/shared/analysis";
import { releaseManifest } from "@omni-iml/shared/release";
import { expect, it } from "vitest";
import { z } from "zod";
import { messagesFor } from "./language-model-prompt.ts";

const model = new URL("../../model/", import.meta.url);
const read = (path: string) => readFileSync(new URL(path, model), "utf8");

it("the closed sets are those of the annotations, and the released network's, in its order", () => {
  const enumeration = z.object({ enum: z.array(z.string().nullable()) });
  const schema = z
    .object({
      properties: z.object({ domain: enumeration, manipulation: enumeration }),
      $defs: z.object({
        instance: z.object({
          properties: z.object({
            artifacts: z.object({ items: z.object({ properties: z.object({ title: enumeration }) }) }),
          }),
        }),
      }),
    })
    .parse(JSON.parse(read("interpretation/schema/omni-273k-1.0.0.json")));
  expect(schema.properties.domain.enum).toEqual([...domains]);
  expect(schema.properties.manipulation.enum).toEqual([...manipulationKinds, null]);
  const { artifacts } = schema.$defs.instance.properties;
  expect(artifacts.items.properties.title.enum).toEqual([...artifactTitles]);
  const { interpretation } = releaseManifest.parse(JSON.parse(read("release/manifest.json")));
  expect(interpretation?.kinds).toEqual([...manipulationKinds]);
  expect(interpretation?.artifacts).toEqual([...artifactTitles]);
  expect(interpretation?.model.bytes).toBeLessThanOrEqual(8_000_000);
});

/** The text of a Python expression that is string literals side by side. */
function literals(source: string): string {
  return [...source.matchAll(/f?"((?:[^"\\]|\\.)*)"/g)].map(([, text = ""]) => text.replaceAll("\\n", "\n")).join("");
}

it("a language model is asked in the words that it was fine-tuned on", () => {
  const prompts = read("interpretation/prompts.py");
  const between = (start: string, end: string) => {
    const from = prompts.indexOf(start);
    if (from < 0) throw new Error(`prompts.py has no ${start}`);
    return prompts.slice(from + start.length, prompts.indexOf(end, from + start.length));
  };
  const meaning = [...between("MEANING = {\n", "\n}").matchAll(/^ {4}"(\w+)": "(.*)",$/gm)];
  expect(meaning.map(([, title]) => title)).toEqual([...artifactTitles]);
  const list = meaning.map(([, title, words]) => `- ${title}: ${words}`).join("\n");
  const question = literals(between("def question(", "\n\n\n").replace(/"""[\s\S]*?"""/, ""))
    .replace("{width}×{height}", "640×480")
    .replace("{boxes_in_words(boxes, 'r')}", "- r1: x 10 to 90, y 20 to 80\n- r2: x 100 to 300, y 0 to 50")
    .replace("{LIST}", list);
  const none = new Uint8Array(0);
  const boxes = [
    { id: "r1", left: 10, top: 20, right: 90, bottom: 80 },
    { id: "r2", left: 100, top: 0, right: 300, bottom: 50 },
  ];
  const [system, user] = messagesFor({ image: none, reference: none, width: 640, height: 480, boxes });
  expect(system?.content).toBe(literals(between("SERVED = (", "\n)")));
  const parts = z.array(z.looseObject({ type: z.string(), text: z.string().optional() })).parse(user?.content);
  // Twice a picture, as in the conversations of finetune.py: "<image><image>" and the question.
  expect(parts.map(({ type }) => type)).toEqual(["image_url", "image_url", "text"]);
  expect(parts.at(-1)?.text).toBe(question);
});
