/** The picture under its probability map: three views of it, zoom and pan, and the regions drawn over it. */
import type { Region } from "@omni-iml/shared/analysis";
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { colour, heatColours } from "./heat.ts";
import { Icon } from "./icons.tsx";
import { type Link, middleOf } from "./links.ts";
import type { Picture } from "./picture.ts";
import { fit, lookAt, type Place, type Size, settle, visible, zoom } from "./viewport.ts";
import { percent } from "./words.ts";

export const views = [
  ["overlay", "Overlay"],
  ["swipe", "Swipe"],
  ["side", "Side by side"],
] as const;
export type View = (typeof views)[number][0];

interface ViewerProps {
  picture: Picture;
  map: ImageBitmap | null;
  regions: readonly Region[];
  /** From where to where places were copied. */
  links: readonly Link[];
  view: View;
  strength: number;
  threshold: number;
  /** The region that is lit, and the one that is to be looked at. */
  active: string | null;
  onActive: (region: string | null) => void;
  focus: { region: string } | null;
  busy: boolean;
}

interface Pane extends Size {
  left: number;
  top: number;
  heat: boolean;
}

const gap = 8;
/** Pixels of the map that are coloured for one picture of the screen; more would not be seen. */
const mostHeat = 1_600_000;
/** A wheel's notch, a key, a button. */
const stepFactor = 1.4;

/** The panes of a stage: beside each other where it is wide, else one over the other. */
function panesOf(view: View, stage: Size): Pane[] {
  if (view !== "side") return [{ left: 0, top: 0, ...stage, heat: true }];
  if (stage.width > 1.1 * stage.height) {
    const width = (stage.width - gap) / 2;
    return [
      { left: 0, top: 0, width, height: stage.height, heat: false },
      { left: width + gap, top: 0, width, height: stage.height, heat: true },
    ];
  }
  const height = (stage.height - gap) / 2;
  return [
    { left: 0, top: 0, width: stage.width, height, heat: false },
    { left: 0, top: height + gap, width: stage.width, height, heat: true },
  ];
}

const minimum = (low: number, value: number, high: number) => Math.min(high, Math.max(low, value));

export function Viewer(props: ViewerProps) {
  const { picture, map, regions, links, view, strength, threshold, active, onActive, focus, busy } = props;
  const stage = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const scratch = useMemo(() => document.createElement("canvas"), []);
  const [size, setSize] = useState<Size>({ width: 0, height: 0 });
  const [moved, setMoved] = useState<Place | null>(null);
  const [split, setSplit] = useState(0.5);
  const [cursor, setCursor] = useState<{ x: number; y: number; probability: number | null } | null>(null);
  const colours = useMemo(() => heatColours(threshold, strength), [threshold, strength]);

  const panes = panesOf(view, size);
  const pane: Size = panes[0] ?? size;
  const whole = fit(picture.size, pane);
  const place = moved === null ? whole : settle(moved, picture.size, pane);
  const zoomed = place.scale > whole.scale * 1.001;

  useLayoutEffect(() => {
    const element = stage.current;
    if (!element) return;
    const measure = () => setSize({ width: element.clientWidth, height: element.clientHeight });
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  useEffect(() => {
    const region = regions.find(({ id }) => id === focus?.region);
    if (region) setMoved(lookAt(region.bbox, picture.size, pane));
  }, [focus]);

  useLayoutEffect(() => {
    const element = canvas.current;
    const context = element?.getContext("2d");
    if (!element || !context || size.width === 0) return;
    const density = devicePixelRatio;
    element.width = Math.round(size.width * density);
    element.height = Math.round(size.height * density);
    for (const { left, top, width, height, heat } of panes) {
      context.save();
      context.setTransform(density, 0, 0, density, left * density, top * density);
      context.beginPath();
      context.rect(0, 0, width, height);
      context.clip();
      context.translate(place.x, place.y);
      context.scale(place.scale, place.scale);
      // Enlarged, pixels stay what they are: squares.
      context.imageSmoothingEnabled = place.scale * density < 2.5;
      context.imageSmoothingQuality = "high";
      context.drawImage(picture.photo, 0, 0, picture.size.width, picture.size.height);
      if (heat && map) drawHeat(context, { width, height }, density);
      context.restore();
    }

    function drawHeat(target: CanvasRenderingContext2D, room: Size, pixels: number): void {
      if (!map) return;
      const seen = visible(place, picture.size, room);
      if (seen.width === 0 || seen.height === 0 || strength === 0) return;
      const wanted = Math.min(1, place.scale * pixels, Math.sqrt(mostHeat / (seen.width * seen.height)));
      scratch.width = Math.max(1, Math.round(seen.width * wanted));
      scratch.height = Math.max(1, Math.round(seen.height * wanted));
      const sketch = scratch.getContext("2d", { willReadFrequently: true });
      if (!sketch) return;
      const across = map.width / picture.size.width;
      const down = map.height / picture.size.height;
      const { width, height } = scratch;
      sketch.drawImage(
        map,
        seen.x * across,
        seen.y * down,
        seen.width * across,
        seen.height * down,
        0,
        0,
        width,
        height,
      );
      const levels = sketch.getImageData(0, 0, width, height);
      colour(levels, colours);
      sketch.putImageData(levels, 0, 0);
      if (view === "swipe") {
        target.beginPath();
        target.rect((split * room.width - place.x) / place.scale, 0, picture.size.width * 2, picture.size.height);
        target.clip();
      }
      target.drawImage(scratch, seen.x, seen.y, seen.width, seen.height);
    }
  });

  /** A point of the screen in the pane that it lies in, in the pane's own coordinates. */
  const inPane = (event: { clientX: number; clientY: number }) => {
    const box = stage.current?.getBoundingClientRect();
    const x = event.clientX - (box?.left ?? 0);
    const y = event.clientY - (box?.top ?? 0);
    const under = panes.find(
      (each) =>
        x >= each.left - gap / 2 &&
        x < each.left + each.width + gap / 2 &&
        y >= each.top - gap / 2 &&
        y < each.top + each.height + gap / 2,
    );
    return { x: x - (under?.left ?? 0), y: y - (under?.top ?? 0) };
  };

  const zoomBy = (factor: number, at = { x: pane.width / 2, y: pane.height / 2 }) =>
    setMoved(zoom(place, factor, at, picture.size, pane));
  const panBy = (x: number, y: number) =>
    setMoved(settle({ ...place, x: place.x + x, y: place.y + y }, picture.size, pane));

  // Not by an attribute: it has to be able to keep the page from scrolling.
  const wheel = useRef<(event: WheelEvent) => void>(() => undefined);
  wheel.current = (event) => {
    if (!zoomed && event.deltaY > 0 && !event.ctrlKey) return;
    event.preventDefault();
    const notches = event.deltaMode === 1 ? event.deltaY * 16 : event.deltaY;
    zoomBy(Math.exp(-minimum(-120, notches, 120) * (event.ctrlKey ? 0.01 : 0.003)), inPane(event));
  };
  useEffect(() => {
    const element = stage.current;
    const listener = (event: WheelEvent) => wheel.current(event);
    element?.addEventListener("wheel", listener, { passive: false });
    return () => element?.removeEventListener("wheel", listener);
  }, []);

  const pointers = useRef(new Map<number, { x: number; y: number }>());
  const onPointerDown = (event: PointerEvent) => {
    if (event.button !== 0 || !(event.currentTarget instanceof HTMLElement)) return;
    pointers.current.set(event.pointerId, inPane(event));
    if (zoomed || pointers.current.size > 1) event.currentTarget.setPointerCapture(event.pointerId);
  };
  const onPointerMove = (event: PointerEvent) => {
    const at = inPane(event);
    const before = pointers.current.get(event.pointerId);
    if (before === undefined) {
      setCursor(probe(at));
      return;
    }
    const other = [...pointers.current].find(([id]) => id !== event.pointerId)?.[1];
    if (other) {
      const spread =
        Math.hypot(at.x - other.x, at.y - other.y) / Math.max(1, Math.hypot(before.x - other.x, before.y - other.y));
      zoomBy(spread, { x: (at.x + other.x) / 2, y: (at.y + other.y) / 2 });
    } else panBy(at.x - before.x, at.y - before.y);
    pointers.current.set(event.pointerId, at);
  };
  const onPointerUp = (event: PointerEvent) => {
    pointers.current.delete(event.pointerId);
  };

  /** The pixel under the cursor, and what the map says of it. */
  const probe = useCallback(
    (at: { x: number; y: number }) => {
      const x = Math.floor((at.x - place.x) / place.scale);
      const y = Math.floor((at.y - place.y) / place.scale);
      if (x < 0 || y < 0 || x >= picture.size.width || y >= picture.size.height) return null;
      return { x, y, probability: map ? levelAt(map, x / picture.size.width, y / picture.size.height) / 255 : null };
    },
    [place.x, place.y, place.scale, picture, map],
  );

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.target !== event.currentTarget || event.ctrlKey || event.metaKey || event.altKey) return;
    const stride = event.shiftKey ? 200 : 50;
    const actions: Record<string, () => void> = {
      "+": () => zoomBy(stepFactor),
      "=": () => zoomBy(stepFactor),
      "-": () => zoomBy(1 / stepFactor),
      "0": () => setMoved(null),
      "1": () => zoomBy(1 / devicePixelRatio / place.scale),
      ArrowLeft: () => panBy(stride, 0),
      ArrowRight: () => panBy(-stride, 0),
      ArrowUp: () => panBy(0, stride),
      ArrowDown: () => panBy(0, -stride),
    };
    const action = actions[event.key];
    if (!action || (event.key.startsWith("Arrow") && !zoomed)) return;
    event.preventDefault();
    action();
  };

  return (
    <div class={`viewer${busy ? " is-busy" : ""}`}>
      {/* biome-ignore lint/a11y/useSemanticElements: a picture that is moved by keys is no fieldset. */}
      <div
        ref={stage}
        class={`stage${zoomed ? " is-zoomed" : ""}`}
        role="group"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it is operated by keys.
        tabIndex={0}
        aria-label="Picture. Plus and minus zoom, arrow keys move, 0 shows all of it."
        onPointerDown={onPointerDown}
        onPointerMove={onPointerMove}
        onPointerUp={onPointerUp}
        onPointerCancel={onPointerUp}
        onPointerLeave={() => setCursor(null)}
        onDblClick={(event: MouseEvent) => (zoomed ? setMoved(null) : zoomBy(3, inPane(event)))}
        onKeyDown={onKeyDown}
      >
        <canvas ref={canvas} role="img" aria-label={describe(regions, links, map)} />
        {panes.map(({ left, top, width, height, heat }, index) => (
          <svg
            key={index}
            class="outlines"
            style={{ left: `${left}px`, top: `${top}px` }}
            width={width}
            height={height}
            aria-hidden="true"
          >
            <g transform={`translate(${place.x} ${place.y}) scale(${place.scale})`}>
              {links.map((link) => (
                <CopyTrace
                  key={link.source.join()}
                  link={link}
                  scale={place.scale}
                  active={link.region === active}
                  onActive={onActive}
                />
              ))}
              {regions.map(({ id, polygon }) => (
                <polygon
                  key={id}
                  class={id === active ? "outline is-active" : heat ? "outline" : "outline is-faint"}
                  data-region={id}
                  points={polygon.map((point) => point.join(",")).join(" ")}
                  vector-effect="non-scaling-stroke"
                  onPointerEnter={() => onActive(id)}
                  onPointerLeave={() => onActive(null)}
                />
              ))}
            </g>
            {regions.map(({ id, bbox }) => {
              const [left, top] = [bbox.x * place.scale + place.x, bbox.y * place.scale + place.y];
              const seen =
                left < width &&
                left + bbox.width * place.scale > 0 &&
                top < height &&
                top + bbox.height * place.scale > 0;
              if (!seen) return null;
              const x = minimum(14, left + (bbox.width / 2) * place.scale, width - 14);
              const y = minimum(14, top - 12, height - 14);
              return (
                <g key={id} class={id === active ? "tag is-active" : "tag"} transform={`translate(${x} ${y})`}>
                  <rect x="-13" y="-9" width="26" height="18" rx="9" />
                  <text y="4">{id}</text>
                </g>
              );
            })}
          </svg>
        ))}
        {view === "swipe" && <SwipeHandle split={split} onSplit={setSplit} stage={stage} />}
        {view === "side" &&
          panes.map(({ left, top, heat }) => (
            <span key={String(heat)} class="caption" style={{ left: `${left + 12}px`, top: `${top + 12}px` }}>
              {heat ? "With probability" : "Image"}
            </span>
          ))}
        {cursor && (
          <p class="probe" aria-hidden="true">
            {cursor.x}, {cursor.y}
            {cursor.probability !== null && <b>{percent(cursor.probability)}</b>}
          </p>
        )}
      </div>
      <div class="zoom" role="toolbar" aria-label="Zoom">
        <button type="button" aria-label="Zoom out" disabled={!zoomed} onClick={() => zoomBy(1 / stepFactor)}>
          <Icon name="minus" />
        </button>
        <button
          type="button"
          class="scale"
          title="Show at full resolution"
          onClick={() => zoomBy(1 / devicePixelRatio / place.scale)}
        >
          {percent(place.scale * devicePixelRatio)}
          <span class="sr-only">, show at full resolution</span>
        </button>
        <button type="button" aria-label="Zoom in" onClick={() => zoomBy(stepFactor)}>
          <Icon name="plus" />
        </button>
        <button type="button" aria-label="Show all" disabled={!zoomed} onClick={() => setMoved(null)}>
          <Icon name="fit" />
        </button>
      </div>
    </div>
  );
}

interface TraceProps {
  link: Link;
  /** Pixels of the screen for one of the picture. */
  scale: number;
  active: boolean;
  onActive: (region: string | null) => void;
}

/** Where a region was copied from, and the way from there to the copy. */
function CopyTrace({ link: { region, source, target }, scale, active, onActive }: TraceProps) {
  const [[x1, y1], [x2, y2]] = [middleOf(source), middleOf(target)];
  return (
    <g class={active ? "trace is-active" : "trace"} data-copy={region}>
      <polygon
        points={source.map((point) => point.join(",")).join(" ")}
        vector-effect="non-scaling-stroke"
        onPointerEnter={() => onActive(region)}
        onPointerLeave={() => onActive(null)}
      />
      <line x1={x1} y1={y1} x2={x2} y2={y2} vector-effect="non-scaling-stroke" />
      <circle cx={x2} cy={y2} r={3.5 / scale} />
    </g>
  );
}

function describe(regions: readonly Region[], links: readonly Link[], map: ImageBitmap | null): string {
  if (!map) return "The image";
  if (regions.length === 0) return "The image with its probability map; no region is marked";
  const marked = regions.length === 1 ? "one region is" : `${regions.length} regions are`;
  const copied = [...new Set(links.map(({ region }) => region))];
  const traced = copied.length === 0 ? "" : `, and where ${copied.join(" and ")} was copied from`;
  return `The image with its probability map; ${marked} marked${traced}`;
}

let pixel: CanvasRenderingContext2D | null = null;

/** The map's level at a place given as parts of its width and height. */
function levelAt(map: ImageBitmap, x: number, y: number): number {
  if (!pixel) {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 1;
    pixel = canvas.getContext("2d", { willReadFrequently: true });
  }
  pixel?.drawImage(map, Math.floor(x * map.width), Math.floor(y * map.height), 1, 1, 0, 0, 1, 1);
  return pixel?.getImageData(0, 0, 1, 1).data[0] ?? 0;
}

interface SwipeProps {
  split: number;
  onSplit: (split: number) => void;
  stage: { current: HTMLDivElement | null };
}

function SwipeHandle({ split, onSplit, stage }: SwipeProps) {
  const onPointerMove = (event: PointerEvent) => {
    if (!(event.currentTarget instanceof HTMLElement) || !event.currentTarget.hasPointerCapture(event.pointerId))
      return;
    event.stopPropagation();
    const box = stage.current?.getBoundingClientRect();
    if (box) onSplit(minimum(0.02, (event.clientX - box.left) / box.width, 0.98));
  };
  const onPointerDown = (event: PointerEvent) => {
    if (!(event.currentTarget instanceof HTMLElement)) return;
    event.stopPropagation();
    event.currentTarget.setPointerCapture(event.pointerId);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const change = { ArrowLeft: -0.02, ArrowRight: 0.02, PageDown: -0.1, PageUp: 0.1 }[event.key];
    if (change === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    onSplit(minimum(0.02, split + change, 0.98));
  };
  return (
    <div
      class="swipe"
      role="slider"
      tabIndex={0}
      aria-label="Border between image and overlay"
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.round(100 * split)}
      style={{ left: `${100 * split}%` }}
      onPointerDown={onPointerDown}
      onPointerMove={onPointerMove}
      onKeyDown={onKeyDown}
    >
      <span>
        <Icon name="swipe" />
      </span>
    </div>
  );
}
