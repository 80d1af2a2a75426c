/** What was found, in words: verdict, regions, evidence, caveats, files, facts. */
import type { Analysis, Region } from "@omni-iml/shared/analysis";
import { useEffect, useRef } from "preact/hooks";
import { Icon } from "./icons.tsx";
import {
  bytes,
  certaintyWords,
  domainNames,
  kindNames,
  meaning,
  moment,
  percent,
  plain,
  relative,
  seconds,
  sentence,
  verdicts,
} from "./words.ts";

export function Verdict({ analysis }: { analysis: Analysis }) {
  const { verdict, score, threshold, explanation, domain, modality, cached } = analysis;
  if (verdict === null || score === null) return null;
  const { title, tone } = verdicts[verdict];
  return (
    <section class={`card verdict is-${tone}`} aria-labelledby="verdict">
      <h2 id="verdict" tabIndex={-1}>
        {title}
      </h2>
      <p class="lead">{meaning(analysis)}</p>
      <div class="score">
        <div class="score-line">
          <span>Probability that anything was edited</span>
          <strong>{percent(score)}</strong>
        </div>
        <div class="bar" aria-hidden="true">
          <span style={{ width: `${100 * score}%` }} />
          {threshold !== null && <i style={{ left: `${100 * threshold}%` }} />}
        </div>
      </div>
      {explanation && <p class="explanation">{explanation}</p>}
      <ul class="chips" aria-label="How it was judged">
        {domain && (
          <li title={`Confidence ${percent(domain.confidence)}`}>{domainNames[domain.name] ?? plain(domain.name)}</li>
        )}
        {modality && <li>{modality === "fused" ? "Pixels and JPEG traces" : "Pixels only"}</li>}
        {cached && <li title="The same bytes were analysed before; this cost nothing">From cache</li>}
      </ul>
    </section>
  );
}

const checkNames: Readonly<Record<string, string>> = { vlm: "The description by a language model" };

export function Caveats({ analysis }: { analysis: Analysis }) {
  const caveats = analysis.input_quality ?? [];
  const degraded = analysis.degraded_checks ?? [];
  if (caveats.length + degraded.length === 0) return null;
  return (
    <section class="card caveats" aria-labelledby="caveats">
      <h2 id="caveats">
        <Icon name="alert" /> Keep in mind
      </h2>
      <ul>
        {caveats.map(({ code, summary }) => (
          <li key={code}>{summary}</li>
        ))}
        {degraded.map(({ check, reason }) => (
          <li key={check}>
            {fileNames[check] ?? checkNames[check] ?? sentence(check)} was left out: {reason}
          </li>
        ))}
      </ul>
    </section>
  );
}

interface RegionsProps {
  regions: readonly Region[];
  active: string | null;
  onActive: (region: string | null) => void;
  onLook: (region: string) => void;
}

export function Regions({ regions, active, onActive, onLook }: RegionsProps) {
  return (
    <section class="card" aria-labelledby="regions">
      <h2 id="regions">
        Regions <span class="count">{regions.length}</span>
      </h2>
      {regions.length === 0 ? (
        <p class="quiet">No area stands out. Lower the threshold beneath the picture to see what comes closest.</p>
      ) : (
        <ul class="regions">
          {regions.map((region) => (
            <RegionItem
              key={region.id}
              region={region}
              active={region.id === active}
              onActive={onActive}
              onLook={onLook}
            />
          ))}
        </ul>
      )}
    </section>
  );
}

interface RegionItemProps {
  region: Region;
  active: boolean;
  onActive: (region: string | null) => void;
  onLook: (region: string) => void;
}

function RegionItem({ region, active, onActive, onLook }: RegionItemProps) {
  const { id, position, score, area_fraction, manipulation, artifacts, interpretation, content, content_confidence } =
    region;
  const item = useRef<HTMLLIElement>(null);
  useEffect(() => {
    // Lit from the picture, it must be seen; only within the list, never by moving the page.
    const list = item.current?.closest(".panel");
    if (!active || !item.current || !list) return;
    const [outer, inner] = [list.getBoundingClientRect(), item.current.getBoundingClientRect()];
    if (inner.top < outer.top) list.scrollBy({ top: inner.top - outer.top - 12 });
    else if (inner.bottom > outer.bottom) list.scrollBy({ top: inner.bottom - outer.bottom + 12 });
  }, [active]);
  const reasons = interpretation?.reasons ?? [];
  // What the built-in module says in sentences stands here already, in its parts.
  const parts = interpretation?.source === "builtin" && reasons.length > 0;
  const words = parts ? "" : (interpretation?.description ?? "");
  return (
    <li
      ref={item}
      class={active ? "region is-active" : "region"}
      data-region={id}
      onPointerEnter={() => onActive(id)}
      onPointerLeave={() => onActive(null)}
    >
      <button
        type="button"
        class="region-head"
        onFocus={() => onActive(id)}
        onBlur={() => onActive(null)}
        onClick={() => onLook(id)}
      >
        <span class="sr-only">{"Look at region "}</span>
        <span class="tag-id">{id}</span>
        <span class="region-title">
          {manipulation === null ? sentence(position.absolute) : kindNames[manipulation]}
          <small>
            {manipulation === null ? "" : `${position.absolute} · `}
            {position.relative ? `${position.relative} · ` : ""}
            {percent(area_fraction)} of the image
          </small>
        </span>
        <span class="region-score">{percent(score)}</span>
      </button>
      {(words || content || reasons.length > 0 || artifacts.length > 0) && (
        <div class="region-body">
          {interpretation?.certainty && (
            <p class="quiet">
              {certaintyWords[interpretation.certainty]}
              {interpretation.manipulation_probability !== null &&
                manipulation !== null &&
                ` · of this kind ${percent(interpretation.manipulation_probability)}`}
            </p>
          )}
          {words && <p>{words}</p>}
          {content && !words.includes(content) && (
            <p>
              Reads <q>{content}</q>
              {content_confidence !== null && <small> with {percent(content_confidence)} confidence</small>}
            </p>
          )}
          {reasons.length > 0 ? (
            <dl class="reasons">
              {reasons.map(({ artifact, probability, description }) => (
                <div key={artifact}>
                  <dt>
                    {sentence(artifact)}
                    {probability !== null && <small>{percent(probability)}</small>}
                  </dt>
                  <dd>{description}</dd>
                </div>
              ))}
            </dl>
          ) : (
            <ul class="chips">
              {artifacts.map((artifact) => (
                <li key={artifact}>{plain(artifact)}</li>
              ))}
            </ul>
          )}
        </div>
      )}
    </li>
  );
}

const severities = ["high", "medium", "low", "info"] as const;
const longestDetail = 160;

export function Evidence({ analysis }: { analysis: Analysis }) {
  const list = [...(analysis.evidence ?? [])].sort(
    (a, b) => severities.indexOf(a.severity) - severities.indexOf(b.severity),
  );
  if (list.length === 0) return null;
  return (
    <section class="card" aria-labelledby="evidence">
      <h2 id="evidence">
        Evidence <span class="count">{list.length}</span>
      </h2>
      <p class="quiet">What else the file says, apart from the model.</p>
      <ul class="evidence">
        {list.map(({ code, family, severity, summary, meaning: says, next_step, details }, index) => (
          <li key={`${code}-${index}`} class={`is-${severity}`}>
            <details>
              <summary>
                <span class="evidence-head">
                  <span class="severity">{severity}</span>
                  <span class="family">{plain(family)}</span>
                </span>
                {summary}
              </summary>
              {says && <p>{says}</p>}
              {next_step && (
                <p>
                  <b>Next:</b> {next_step}
                </p>
              )}
              <dl class="facts">
                {Object.entries(details).map(([name, value]) => (
                  <div key={name}>
                    <dt>{plain(name)}</dt>
                    <dd>{shortened(value)}</dd>
                  </div>
                ))}
              </dl>
            </details>
          </li>
        ))}
      </ul>
    </section>
  );
}

function shortened(value: unknown): string {
  if (typeof value === "boolean") return value ? "yes" : "no";
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length > longestDetail ? `${text.slice(0, longestDetail)}…` : text;
}

const fileNames: Readonly<Record<string, string>> = {
  probability: "Probability map",
  mask: "Mask",
  overlay: "Overlay",
  report: "Report, JSON",
  report_html: "Report to read",
  report_pdf: "Report, PDF",
};

export function Files({ analysis }: { analysis: Analysis }) {
  const files = Object.entries(analysis.files);
  if (files.length === 0) return null;
  return (
    <section class="card" aria-labelledby="files">
      <h2 id="files">Files</h2>
      <ul class="files">
        {files.map(([name, file]) => (
          <li key={name}>
            <a href={file.url} target="_blank" rel="noopener noreferrer">
              <Icon name="file" />
              <span>{fileNames[name] ?? sentence(name)}</span>
              <small>{bytes(file.bytes)}</small>
            </a>
          </li>
        ))}
      </ul>
    </section>
  );
}

export function Facts({ analysis }: { analysis: Analysis }) {
  const { image, model, timings, created_at, expires_at, id } = analysis;
  const rows: [string, string][] = [];
  if (image) {
    const { format, width, height, jpeg } = image;
    rows.push(["Image", `${width} × ${height} ${format.toUpperCase()}, ${bytes(image.bytes)}`]);
    if (jpeg) {
      const quality = jpeg.quality === null ? "" : `quality ${jpeg.quality}, `;
      rows.push(["JPEG", `${quality}${jpeg.subsampling ?? "greyscale"}${jpeg.progressive ? ", progressive" : ""}`]);
    }
    rows.push(["SHA-256", image.sha256]);
  }
  if (model)
    rows.push(["Model", `${model.name} ${model.version}, ${model.precision} on ${model.provider.toUpperCase()}`]);
  const spent = Object.entries(timings ?? {}).map(([stage, time]) => `${plain(stage)} ${seconds(time)}`);
  if (spent.length > 0) rows.push(["Time", spent.join(", ")]);
  rows.push(["Analysed", moment(created_at)]);
  if (expires_at !== null) rows.push(["Erased", `${relative(expires_at)}, or when you delete it`]);
  rows.push(["Id", id]);
  return (
    <section class="card" aria-labelledby="facts">
      <h2 id="facts">Details</h2>
      <dl class="facts">
        {rows.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
