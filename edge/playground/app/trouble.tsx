/** What went wrong, and what to do about it. */
import { useEffect, useRef } from "preact/hooks";
import { Icon } from "./icons.tsx";
import type { Trouble } from "./service.ts";

interface TroubleProps {
  trouble: Trouble;
  onAgain: (() => void) | null;
  onNew: () => void;
}

/** Remedies that the page can say better than the service, which does not know who reads them. */
const here: Readonly<Record<string, string>> = {
  unauthorized: "Analyses belong to the browser that made them. Ask whoever sent you this for a shared link.",
  quota_exceeded: "This browser has used its free analyses of this month. With an API key you can go on.",
  rate_limited: "Wait a minute, then try again.",
  unsupported_media_type: "Choose a JPEG, PNG, WebP, TIFF, AVIF or HEIC. Of a PDF, export the page as a PNG first.",
  image_too_small: "Choose a larger version, at least 64 pixels on its shorter side and not enlarged.",
  gone: "Send the image again if you still have it.",
};

export function TroubleCard({ trouble, onAgain, onNew }: TroubleProps) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []);
  const { title, detail, remedy, code, instance } = trouble;
  return (
    <section class="card trouble" role="alert">
      <h2 ref={heading} tabIndex={-1}>
        <Icon name="alert" /> {title}
      </h2>
      {detail && <p>{detail}</p>}
      <p class="remedy">{here[code] ?? remedy}</p>
      <div class="actions">
        {onAgain && (
          <button type="button" class="button is-primary" onClick={onAgain}>
            Try again
          </button>
        )}
        <button type="button" class={onAgain ? "button" : "button is-primary"} onClick={onNew}>
          Choose another image
        </button>
      </div>
      {instance && (
        <p class="quiet">
          To report it, quote <code>{instance}</code>.
        </p>
      )}
    </section>
  );
}
