/** One picture: on its way, and with what was found in it. */
import type { Analysis } from "@omni-iml/shared/analysis";
import type { Share } from "@omni-iml/shared/shares";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { forget } from "./history.ts";
import { Icon } from "./icons.tsx";
import { linksIn } from "./links.ts";
import { Progress } from "./progress.tsx";
import { Caveats, Evidence, Facts, Files, Regions, Verdict } from "./result.tsx";
import { type Target, useRun } from "./run.ts";
import {
  cancelAnalysis,
  eraseAnalysis,
  sendFeedback,
  shareAnalysis,
  type Trouble,
  TroubleError,
  unshareAnalysis,
} from "./service.ts";
import { CopyButton, Snippets } from "./snippets.tsx";
import { TroubleCard } from "./trouble.tsx";
import { type View, Viewer, views } from "./viewer.tsx";
import { percent, relative } from "./words.ts";

const firstStrength = 0.65;

export function AnalysisPage({ target, onHome }: { target: Target; onHome: () => void }) {
  const [again, setAgain] = useState(0);
  const [run, setAnalysis] = useRun(target, again);
  const { analysis, picture, map, phase } = run;
  const [view, setView] = useState<View>("overlay");
  const [strength, setStrength] = useState(firstStrength);
  const [chosen, setChosen] = useState<number | null>(null);
  const [active, setActive] = useState<string | null>(null);
  const [focus, setFocus] = useState<{ region: string } | null>(null);
  const heading = useRef<HTMLHeadingElement>(null);
  const threshold = chosen ?? analysis?.threshold ?? 0.5;
  const regions = analysis?.regions ?? [];
  const links = linksIn(analysis?.evidence ?? null);
  const own = target.kind !== "shared";
  const name = target.kind === "sent" ? target.name : (analysis?.input.filename ?? (own ? "Image" : "Shared analysis"));
  const ended = phase === "ended" && analysis !== null;
  const failed = ended && analysis.status !== "succeeded" ? failureOf(analysis) : null;
  const trouble = phase === "trouble" ? run.trouble : failed;

  // Nothing to look at: the trouble has the page to itself.
  const alone = trouble !== null && picture === null;

  useEffect(() => heading.current?.focus(), []);
  useEffect(() => {
    document.title = `${name} – Omni-IML`;
  }, [name]);

  // A new object each time: asked for again, it is looked at again.
  const look = useCallback((region: string) => setFocus({ region }), []);

  return (
    <main class="analysis">
      <div class="bar-top">
        <button type="button" class="button is-quiet" onClick={onHome}>
          <Icon name="back" /> New image
        </button>
        <h1 ref={heading} tabIndex={-1}>
          {name}
        </h1>
        {own && analysis && <Actions analysis={analysis} ended={ended} onGone={onHome} onAnalysis={setAnalysis} />}
      </div>
      {!run.connected && (
        <p class="banner" role="status">
          <span class="spinner" aria-hidden="true" />
          The connection is lost.{" "}
          {phase === "sending" ? "The image will be sent again" : "The analysis goes on; this page picks it up"} as soon
          as it is back.
        </p>
      )}
      {target.kind === "shared" && analysis && (
        <p class="banner is-calm">
          Somebody shared this analysis with you.
          {analysis.expires_at !== null && ` It ends ${relative(analysis.expires_at)}.`}
        </p>
      )}
      <div class={alone ? "workbench is-alone" : "workbench"}>
        <div class="desk" hidden={alone}>
          {picture ? (
            <Viewer
              picture={picture}
              map={map}
              regions={regions}
              links={links}
              view={map ? view : "overlay"}
              strength={strength}
              threshold={threshold}
              active={active}
              onActive={setActive}
              focus={focus}
              busy={phase === "sending" || phase === "following"}
            />
          ) : (
            <div class="viewer">
              <div class="stage is-empty">
                <p class="quiet">
                  {run.missing ??
                    (target.kind === "sent" && !ended
                      ? "Your browser cannot show this format before it is analysed"
                      : "Loading the image")}
                </p>
              </div>
            </div>
          )}
          {map && picture && (
            <Controls
              {...{ view, strength, threshold }}
              usual={analysis?.threshold ?? 0.5}
              onView={setView}
              onStrength={setStrength}
              onThreshold={setChosen}
            />
          )}
          {run.substitute && (
            <p class="quiet">
              Your browser cannot show this format; what you see is the overlay that the service drew.
            </p>
          )}
          {picture && run.missing && <p class="quiet">{run.missing}</p>}
        </div>
        <div class="panel">
          {trouble ? (
            <TroubleCard
              trouble={trouble}
              onAgain={
                trouble.retryable && (phase === "trouble" || target.kind === "sent") ? () => setAgain(again + 1) : null
              }
              onNew={onHome}
            />
          ) : ended ? (
            <>
              <Verdict analysis={analysis} />
              <Caveats analysis={analysis} />
              <Regions regions={regions} active={active} onActive={setActive} onLook={look} />
              <Evidence analysis={analysis} />
              {own && <Feedback analysis={analysis} onAnalysis={setAnalysis} />}
              <Files analysis={analysis} />
              <Snippets analysis={analysis} name={name} />
              <Facts analysis={analysis} />
            </>
          ) : (
            <Progress run={run} size={target.kind === "sent" ? target.image.size : (analysis?.input.bytes ?? null)} />
          )}
        </div>
      </div>
      <p class="sr-only" role="status">
        {ended && analysis.explanation}
      </p>
    </main>
  );
}

function failureOf(analysis: Analysis): Trouble {
  if (analysis.error) return { ...analysis.error };
  return {
    code: analysis.status,
    status: 0,
    title: "The analysis was canceled",
    detail: "Nothing was kept of a result.",
    remedy: "Send the image again when you like.",
    retryable: true,
  };
}

interface ControlsProps {
  view: View;
  strength: number;
  threshold: number;
  /** The threshold of the release, or of the request. */
  usual: number;
  onView: (view: View) => void;
  onStrength: (strength: number) => void;
  onThreshold: (threshold: number) => void;
}

function Controls({ view, strength, threshold, usual, onView, onStrength, onThreshold }: ControlsProps) {
  return (
    <div class="controls">
      <fieldset class="segments">
        <legend class="sr-only">View</legend>
        {views.map(([each, label]) => (
          <label key={each}>
            <input type="radio" name="view" checked={view === each} onChange={() => onView(each)} />
            <span>{label}</span>
          </label>
        ))}
      </fieldset>
      <label class="range">
        <span>
          Overlay <output>{percent(strength)}</output>
        </span>
        <input
          type="range"
          name="strength"
          min="0"
          max="1"
          step="0.01"
          value={strength}
          onInput={({ currentTarget }) => onStrength(currentTarget.valueAsNumber)}
        />
      </label>
      <label class="range">
        <span>
          Threshold <output>{percent(threshold)}</output>
          {Math.abs(threshold - usual) > 0.001 && (
            <button type="button" class="link" onClick={() => onThreshold(usual)}>
              back to {percent(usual)}
            </button>
          )}
        </span>
        <input
          type="range"
          name="threshold"
          min="0.01"
          max="0.99"
          step="0.01"
          value={threshold}
          onInput={({ currentTarget }) => onThreshold(currentTarget.valueAsNumber)}
        />
      </label>
    </div>
  );
}

interface ActionsProps {
  analysis: Analysis;
  ended: boolean;
  onGone: () => void;
  onAnalysis: (analysis: Analysis) => void;
}

function Actions({ analysis, ended, onGone, onAnalysis }: ActionsProps) {
  const { id } = analysis;
  const [shared, setShared] = useState<Share | null>(null);
  const [sure, setSure] = useState(false);
  const [complaint, setComplaint] = useState<string | null>(null);
  const attempt = async (work: () => Promise<void>) => {
    setComplaint(null);
    await work().catch((error: unknown) => {
      setComplaint(error instanceof TroubleError ? `${error.trouble.title}. ${error.trouble.remedy}` : String(error));
    });
  };
  const share = () => attempt(async () => setShared(await shareAnalysis(id)));
  const unshare = () =>
    attempt(async () => {
      await unshareAnalysis(id);
      setShared(null);
    });
  const erase = () =>
    attempt(async () => {
      await eraseAnalysis(id);
      forget(id);
      onGone();
    });
  const link = shared && location.origin + shared.url;
  return (
    <div class="actions">
      {!ended && (
        <button type="button" class="button" onClick={() => attempt(async () => onAnalysis(await cancelAnalysis(id)))}>
          Cancel
        </button>
      )}
      {ended && analysis.status === "succeeded" && (
        <button
          type="button"
          class="button"
          aria-expanded={shared !== null}
          onClick={shared ? () => setShared(null) : share}
        >
          <Icon name="share" /> Share
        </button>
      )}
      {ended && !sure && (
        <button type="button" class="button" onClick={() => setSure(true)}>
          <Icon name="bin" /> Delete
        </button>
      )}
      {sure && (
        <span class="confirm" role="alert">
          Erase image and results?
          <button type="button" class="button is-alarm" onClick={erase}>
            Erase
          </button>
          <button type="button" class="button is-quiet" onClick={() => setSure(false)}>
            Keep
          </button>
        </span>
      )}
      {shared && link && (
        <div class="popover" role="dialog" aria-label="Shared link">
          <p>
            Anybody with this link sees the image and what was found, without its file name
            {shared.expires_at !== null && `. It ends ${relative(shared.expires_at)}, or when you delete the analysis`}.
          </p>
          <div class="copy-line">
            <input readOnly aria-label="Link" value={link} onFocus={({ currentTarget }) => currentTarget.select()} />
            <CopyButton text={link} label="Copy" />
          </div>
          <button type="button" class="link" onClick={unshare}>
            Stop sharing: the link dies at once
          </button>
        </div>
      )}
      {complaint && (
        <p class="complaint" role="alert">
          {complaint}
        </p>
      )}
    </div>
  );
}

const findings = [
  ["right", "It is right"],
  ["wrong_region", "Wrong place"],
  ["false_alarm", "False alarm"],
  ["missed", "It missed something"],
] as const;

function Feedback({ analysis, onAnalysis }: { analysis: Analysis; onAnalysis: (analysis: Analysis) => void }) {
  const given = analysis.feedback?.finding;
  const fitting = findings.filter(([finding]) =>
    analysis.verdict === "tampered" ? finding !== "missed" : finding === "right" || finding === "missed",
  );
  const send = async (finding: (typeof findings)[number][0]) => {
    // Not having said it is no harm; the buttons stay as they are.
    const noted = await sendFeedback(analysis.id, finding).catch(() => null);
    if (noted) onAnalysis({ ...analysis, feedback: noted.feedback });
  };
  return (
    <section class="card feedback" aria-labelledby="feedback">
      <h2 id="feedback">Do you know better?</h2>
      <div class="chips">
        {fitting.map(([finding, label]) => (
          <button
            key={finding}
            type="button"
            class="chip"
            aria-pressed={given === finding}
            onClick={() => send(finding)}
          >
            {label}
          </button>
        ))}
      </div>
      <p class="quiet">{given ? "Noted with the analysis, and erased with it." : "Kept with this analysis only."}</p>
    </section>
  );
}
