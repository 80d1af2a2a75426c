/** Where everything begins: a place to drop a picture, samples, and what this browser has analysed. */
import { useEffect, useRef, useState } from "preact/hooks";
import { forget, type Remembered, remembered } from "./history.ts";
import { Icon } from "./icons.tsx";
import { addressOf } from "./place.ts";
import { type Sample, samples } from "./samples.ts";
import { eraseAnalysis, TroubleError } from "./service.ts";
import { domainNames, percent, relative, verdicts } from "./words.ts";

interface HomeProps {
  onImage: (image: Blob, name: string) => void;
  /** What could not be taken, in words. */
  complaint: string | null;
}

const accepted = "image/jpeg,image/png,image/webp,image/tiff,image/avif,image/heic,image/heif,.heic,.heif,.tif,.tiff";

export function Home({ onImage, complaint }: HomeProps) {
  const input = useRef<HTMLInputElement>(null);
  const [missing, setMissing] = useState<string | null>(null);
  useEffect(() => {
    document.title = "Omni-IML: see what was changed in a picture";
  }, []);
  const take = async (sample: Sample) => {
    setMissing(null);
    try {
      const response = await fetch(sample.url);
      if (!response.ok) throw new Error(`${response.status}`);
      onImage(await response.blob(), sample.name);
    } catch {
      setMissing("The sample could not be loaded. Check the connection and try again.");
    }
  };
  const shown = complaint ?? missing;
  return (
    <main class="home">
      <div class="intro">
        <h1>See what was changed in a picture</h1>
        <p>
          Photographs, documents, faces, text in a scene: Omni-IML marks the pixels that look manipulated, says how sure
          it is, and why.
        </p>
      </div>
      <div class="drop">
        <Icon name="upload" />
        <p class="drop-title">Drop an image here</p>
        <p class="quiet drop-or">or paste it, or</p>
        <button type="button" class="button is-primary" onClick={() => input.current?.click()}>
          Choose an image
        </button>
        <input
          ref={input}
          type="file"
          class="sr-only"
          accept={accepted}
          aria-label="Image file"
          tabIndex={-1}
          onChange={({ currentTarget }) => {
            const [file] = currentTarget.files ?? [];
            if (file) onImage(file, file.name);
            currentTarget.value = "";
          }}
        />
        <p class="quiet formats">JPEG, PNG, WebP, TIFF, AVIF or HEIC, up to 20 MB. Best is the file as you got it.</p>
        {shown && (
          <p class="complaint" role="alert">
            {shown}
          </p>
        )}
      </div>
      <section aria-labelledby="samples">
        <h2 id="samples">Or try one of these</h2>
        <ul class="samples">
          {samples.map((sample) => (
            <li key={sample.name}>
              <button type="button" class="sample" onClick={() => take(sample)}>
                <img src={sample.thumbnail} alt="" width="320" height="240" loading="lazy" decoding="async" />
                <span class="sample-text">
                  <small>{domainNames[sample.domain]}</small>
                  <strong>{sample.title}</strong>
                  <span>{sample.note}</span>
                </span>
              </button>
            </li>
          ))}
        </ul>
      </section>
      <History />
      <ul class="promises">
        <li>
          <strong>Nothing found is not proof</strong>
          “No tampering detected” does not mean authentic. Screenshots and re-saved copies hide most traces.
        </li>
        <li>
          <strong>Yours, for a day</strong>
          Images and results are erased after 24 hours or when you delete them, and are used for nothing else.
        </li>
        <li>
          <strong>No account</strong>A cookie tells this browser's analyses apart. Programs use the{" "}
          <a href="/docs">API</a>.
        </li>
      </ul>
    </main>
  );
}

function History() {
  const [list, setList] = useState<Remembered[]>(() => remembered());
  const [complaint, setComplaint] = useState<string | null>(null);
  if (list.length === 0) return null;
  const erase = async (id: string) => {
    setComplaint(null);
    try {
      await eraseAnalysis(id);
    } catch (error) {
      const known = error instanceof TroubleError ? error.trouble : null;
      // What is gone already needs no erasing.
      if (known?.code !== "not_found" && known?.code !== "unauthorized") {
        setComplaint("It could not be erased now. Check the connection and try again.");
        return;
      }
    }
    forget(id);
    setList(remembered());
  };
  return (
    <section aria-labelledby="history">
      <h2 id="history">Your analyses</h2>
      {complaint && (
        <p class="complaint" role="alert">
          {complaint}
        </p>
      )}
      <ul class="history">
        {list.map(({ id, name, at, verdict, score, thumbnail }) => (
          <li key={id}>
            <a href={addressOf({ kind: "own", id })}>
              {thumbnail ? <img src={thumbnail} alt="" /> : <span class="no-thumbnail" />}
              <span class="history-text">
                <strong>{name}</strong>
                <small>{relative(at)}</small>
              </span>
              <span class={`pill is-${verdict ? verdicts[verdict].tone : "open"}`}>
                {verdict ? verdicts[verdict].short : "Not ended"}
                {verdict && score !== null && ` ${percent(score)}`}
              </span>
            </a>
            <button
              type="button"
              class="button is-quiet is-icon"
              aria-label={`Erase ${name}`}
              onClick={() => erase(id)}
            >
              <Icon name="close" />
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
