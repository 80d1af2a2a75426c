/** The frame around every page, which is also where pictures can be dropped and pasted. */
import { useCallback, useEffect, useState } from "preact/hooks";
import { AnalysisPage } from "./analysis-page.tsx";
import { Home } from "./home.tsx";
import { Mark } from "./icons.tsx";
import { addressOf, type Place, placeIn } from "./place.ts";
import type { Target } from "./run.ts";
import { ThemeButton } from "./theme.tsx";

const targetOf = (place: Place): Target | null => (place.kind === "home" ? null : place);
const firstImage = (files: Iterable<File>) =>
  [...files].find(({ type, name }) => type.startsWith("image/") || /\.(heic|heif|tiff?|avif)$/i.test(name));

export function App() {
  const [target, setTarget] = useState<Target | null>(() => targetOf(placeIn(location.hash)));
  const [dragged, setDragged] = useState(false);
  const [complaint, setComplaint] = useState<string | null>(null);

  const open = useCallback((next: Target | null) => {
    setTarget(next);
    setComplaint(null);
    scrollTo(0, 0);
  }, []);
  const home = useCallback(() => {
    history.pushState(null, "", addressOf({ kind: "home" }));
    open(null);
  }, [open]);
  const send = useCallback(
    (image: Blob, name: string) => {
      // Going back leads here; where the analysis is, its run says once it has an id.
      history.pushState(null, "", "#/new");
      open({ kind: "sent", image, name, key: randomKey() });
    },
    [open],
  );
  const receive = useCallback(
    (files: Iterable<File>, empty: string) => {
      const list = [...files];
      const image = firstImage(list) ?? list[0];
      if (image) send(image, image.name);
      else setComplaint(empty);
    },
    [send],
  );

  useEffect(() => {
    const moved = () => open(targetOf(placeIn(location.hash)));
    const pasted = (event: ClipboardEvent) => {
      if (event.target instanceof HTMLInputElement) return;
      receive(
        event.clipboardData?.files ?? [],
        "There is no image on the clipboard. Copy the image itself, not its address.",
      );
    };
    const over = (event: DragEvent) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      setDragged(true);
    };
    const left = (event: DragEvent) => {
      if (event.relatedTarget === null) setDragged(false);
    };
    const dropped = (event: DragEvent) => {
      event.preventDefault();
      setDragged(false);
      receive(event.dataTransfer?.files ?? [], "That was no file. Save the image first, then drop it here.");
    };
    const listeners = [
      ["popstate", moved],
      ["paste", pasted],
      ["dragover", over],
      ["dragleave", left],
      ["drop", dropped],
    ] as const;
    for (const [name, listener] of listeners) addEventListener(name, listener as EventListener);
    return () => {
      for (const [name, listener] of listeners) removeEventListener(name, listener as EventListener);
    };
  }, [open, receive]);

  return (
    <>
      <header class="top">
        <a class="brand" href="#/">
          <Mark /> Omni-IML
        </a>
        <nav aria-label="Site">
          <a href="/docs">API reference</a>
          <ThemeButton />
        </nav>
      </header>
      {target ? (
        <AnalysisPage key={keyOf(target)} target={target} onHome={home} />
      ) : (
        <Home onImage={send} complaint={complaint} />
      )}
      {dragged && (
        <div class="drop-here" aria-hidden="true">
          <p>Drop it to analyse it</p>
        </div>
      )}
    </>
  );
}

/** Not `randomUUID`, which pages served over plain http from another machine do not have. */
const randomKey = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

const keyOf = (target: Target) =>
  target.kind === "sent" ? target.key : target.kind === "own" ? target.id : target.token;
