/**
 * Regions described by a vision-language model behind OpenAI's chat completions interface (vLLM, SGLang, llama.cpp, or
 * a hosted one), with the question that model/interpretation/finetune.py trains such models on.
 *
 * Its answer is untrusted: a model can fail, and what stands written in the image can speak to it. So it chooses from
 * closed sets and describes regions that are there already; verdict, score, regions and certainty are never its own,
 * and an answer that does anything else is dropped as a whole. Whatever goes wrong, the built-in words stay.
 */
import { artifactTitles, manipulationKinds, type Region } from "@omni-iml/shared/analysis";
import { z } from "zod";
import type { Configuration } from "../configuration.ts";
import type { PixelFinding } from "../inference/protocol.ts";
import { explain } from "../result/explanation.ts";
import { english } from "../wording/en.ts";
import type { LanguageModelShortcoming, Wording } from "../wording/wording.ts";
import { messagesFor } from "./language-model-prompt.ts";
import type { PromptPictures } from "./prompt-pictures.ts";

export interface LanguageModel {
  /** Ends before `/chat/completions`. */
  readonly url: string;
  readonly model: string;
  /** null: the endpoint asks for none. */
  readonly key: string | null;
  /** Milliseconds for the whole of it, second try included. */
  readonly timeout: number;
}

/** The configured one; null where there is none. */
export function languageModelOf(configuration: Configuration): LanguageModel | null {
  const { INTERPRETER_URL: url, INTERPRETER_MODEL: model, INTERPRETER_KEY: key } = configuration;
  if (url === undefined || model === undefined) return null;
  return { url, model, key: key ?? null, timeout: configuration.INTERPRETER_SECONDS * 1000 };
}

/** Why the answer of a language model is not used; what the caller is told of it is a matter of wording. */
class LanguageModelFailure extends Error {
  override readonly name = "LanguageModelFailure";
  readonly shortcoming: LanguageModelShortcoming;

  constructor(shortcoming: LanguageModelShortcoming, options?: ErrorOptions) {
    super(shortcoming.reason, options);
    this.shortcoming = shortcoming;
  }
}

const sentence = z.string().trim().min(1).max(500);
/** The answer that models are fine-tuned to give (model/interpretation/prompts.py: ANSWER). */
const answer = z.strictObject({
  manipulation: z.enum([...manipulationKinds, "unknown"]),
  instances: z.array(
    z.strictObject({
      id: z.string(),
      content: sentence,
      relative: sentence.nullable(),
      artifacts: z
        .array(z.strictObject({ title: z.enum(artifactTitles), description: sentence }))
        .max(artifactTitles.length),
    }),
  ),
});
type Answer = z.infer<typeof answer>;

const completion = z.object({
  choices: z
    .array(z.object({ message: z.object({ content: z.string() }), finish_reason: z.string().nullish() }))
    .min(1),
});

const mostAnswerBytes = 256 * 1024;
const mostTokens = 1500;
const tries = 2;
const worthAnotherTry = new Set([408, 429, 500, 502, 503, 504]);

/** Text that speaks to a reader of instructions rather than of the picture. */
const addressesModel =
  /\b(ignore|disregard|forget|override)\b.{0,40}\b(instruction|prompt|previous|above|prior|rule)|\b(system|developer) prompt\b|\byou are (now )?(an? )?(ai|assistant|language model|chatbot)\b|\b(respond|reply|answer) (only )?with\b|\bas an ai\b/i;
/** What a description may not hold: addresses, markup, and judgements that are not the describer's to make. */
const notDescription =
  /https?:|www\.|<\/?[a-z][^>]*>|```|\b(verdict|authentic(ity)?|genuine|unaltered|untampered|not (been )?(manipulated|tampered|edited|altered)|no (manipulation|tampering|signs? of))\b/i;

/**
 * The finding with the language model's words for its regions, or as it was, with the reason among its degraded checks.
 *
 * @param model null where none is configured.
 * @throws the signal's reason.
 */
export async function describeByLanguageModel(
  finding: PixelFinding,
  pictures: PromptPictures | null,
  model: LanguageModel | null,
  signal: AbortSignal,
  wording: Wording = english,
): Promise<PixelFinding> {
  if (pictures === null || pictures.boxes.length === 0) return finding;
  try {
    if (model === null) throw new LanguageModelFailure({ reason: "not_configured" });
    refuseWrittenInstructions(finding.regions.flatMap(({ content }) => content ?? []));
    const given = await ask(model, pictures, signal);
    refuseNonsense(given, pictures);
    const regions = finding.regions.map((region) => described(region, given, wording));
    return {
      ...finding,
      regions,
      explanation: explain({ ...finding, regions }, { wording, languageModel: model.model }),
    };
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof LanguageModelFailure)) throw error;
    const reason = wording.shortcoming({ part: "language_model", ...error.shortcoming });
    return { ...finding, degraded_checks: [...finding.degraded_checks, { check: "vlm", reason, retryable: true }] };
  }
}

async function ask(model: LanguageModel, pictures: PromptPictures, signal: AbortSignal): Promise<Answer> {
  const time = AbortSignal.timeout(model.timeout);
  const limited = AbortSignal.any([signal, time]);
  const body = JSON.stringify({
    model: model.model,
    temperature: 0,
    max_tokens: mostTokens,
    messages: messagesFor(pictures),
    response_format: {
      type: "json_schema",
      json_schema: { name: "answer", strict: true, schema: z.toJSONSchema(answer) },
    },
  });
  for (let left = tries; ; left--) {
    try {
      const response = await fetch(`${model.url.replace(/\/+$/, "")}/chat/completions`, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          ...(model.key === null ? {} : { authorization: `Bearer ${model.key}` }),
        },
        body,
        redirect: "error",
        signal: limited,
      });
      if (response.ok) return parse(await limitedText(response));
      await response.body?.cancel();
      if (left > 1 && worthAnotherTry.has(response.status)) continue;
      throw new LanguageModelFailure({ reason: "status", status: response.status });
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof LanguageModelFailure) throw error;
      if (time.aborted) {
        throw new LanguageModelFailure({ reason: "out_of_time", seconds: model.timeout / 1000 });
      }
      if (left <= 1) throw new LanguageModelFailure({ reason: "unreachable" }, { cause: error });
    }
  }
}

async function limitedText(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > mostAnswerBytes) throw new LanguageModelFailure({ reason: "too_long" });
  }
  return text + decoder.decode();
}

function parse(text: string): Answer {
  const outer = completion.safeParse(json(text));
  const content = outer.data?.choices[0]?.message.content;
  if (content === undefined) throw new LanguageModelFailure({ reason: "no_completion" });
  // Models without an enforced schema put a code fence around JSON.
  const inner = answer.safeParse(json(content.trim().replace(/^```\w*\n([\s\S]*)\n```$/, "$1")));
  if (inner.success) return inner.data;
  throw new LanguageModelFailure({ reason: "not_schema" });
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function refuseWrittenInstructions(texts: readonly string[]): void {
  if (texts.some((text) => addressesModel.test(text.replace(/\s+/g, " ")))) {
    throw new LanguageModelFailure({ reason: "instructions_in_image" });
  }
}

/** @throws LanguageModelFailure for what fits the schema and still is no description of these regions. */
function refuseNonsense({ instances }: Answer, { boxes }: PromptPictures): void {
  const asked = boxes.map(({ id }) => id).sort();
  const answered = instances.map(({ id }) => id).sort();
  if (asked.join() !== answered.join()) {
    throw new LanguageModelFailure({ reason: "other_regions" });
  }
  const written = instances.flatMap(({ content, relative, artifacts }) => [
    content,
    relative ?? "",
    ...artifacts.map(({ description }) => description),
  ]);
  refuseWrittenInstructions(written);
  if (written.some((text) => notDescription.test(text))) {
    throw new LanguageModelFailure({ reason: "no_description" });
  }
  const descriptions = instances.flatMap(({ artifacts }) => artifacts.map(({ description }) => description));
  if (descriptions.length > 2 && new Set(descriptions).size === 1) {
    throw new LanguageModelFailure({ reason: "says_the_same" });
  }
}

function described(region: Region, { manipulation, instances }: Answer, wording: Wording): Region {
  const instance = instances.find(({ id }) => id === region.id);
  // Of what is taken for a false alarm nothing is said: there is no manipulation to be of a kind.
  if (instance === undefined || region.interpretation?.certainty === "unlikely") return region;
  const kind = manipulation === "unknown" ? null : manipulation;
  // A title said twice is one reason.
  const reasons = artifactTitles.flatMap((artifact) => {
    const said = instance.artifacts.filter(({ title }) => title === artifact);
    return said.length === 0
      ? []
      : [{ artifact, probability: null, description: said.map(({ description }) => plain(description)).join(" ") }];
  });
  const known = region.interpretation;
  return {
    ...region,
    manipulation: kind,
    artifacts: reasons.map(({ artifact }) => artifact),
    interpretation: {
      source: "vlm",
      certainty: known?.certainty ?? null,
      true_region: known?.true_region ?? null,
      manipulation_probability: null,
      reasons,
      description: wording.seen({
        content: plain(instance.content),
        relative: instance.relative === null ? null : plain(instance.relative),
        kind,
        reasons: reasons.map(({ description }) => description),
      }),
    },
  };
}

/** One line of text without control characters. */
function plain(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\s]+/gu, " ").trim();
}
