/** A line plot as SVG, for light and dark pages alike. */

export interface Line {
  readonly name: string;
  /** By rising x. */
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface Plot {
  readonly title: string;
  readonly xTitle: string;
  readonly yTitle: string;
  /** Both axes, or only x, by powers. */
  readonly logarithmicX: boolean;
  readonly lines: readonly Line[];
}

const width = 640;
const height = 360;
const margin = { left: 72, right: 20, top: 40, bottom: 52 };
const colours = ["#2f7ed8", "#d0662f", "#2f9e5b", "#8a5bd0", "#b0873a"];
/** Legible on white and on black. */
const ink = "#808080";

/** Numbers from 0 on, at most six, whose steps are 1, 2 or 5 times a power of ten. */
function ticks(largest: number): number[] {
  const rough = largest / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10) * power;
  return Array.from({ length: Math.ceil(largest / step) + 1 }, (_, i) => i * step);
}

function short(value: number): string {
  return String(Number(value.toPrecision(3)));
}

export function drawPlot({ title, xTitle, yTitle, logarithmicX, lines }: Plot): string {
  const points = lines.flatMap((line) => line.points);
  const xs = [...new Set(points.map(([x]) => x))].sort((a, b) => a - b);
  const scaleX = (x: number) => (logarithmicX ? Math.log(x) : x);
  const [firstX, lastX] = [scaleX(xs[0] ?? 1), scaleX(xs.at(-1) ?? 2)];
  const yTicks = ticks(Math.max(...points.map(([, y]) => y)));
  const largestY = yTicks.at(-1) ?? 1;
  const px = (x: number) =>
    margin.left + ((scaleX(x) - firstX) / (lastX - firstX || 1)) * (width - margin.left - margin.right);
  const py = (y: number) => height - margin.bottom - (y / largestY) * (height - margin.top - margin.bottom);
  const text = (x: number, y: number, content: string, more = "") =>
    `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" fill="${ink}" ${more}>${content}</text>`;
  const parts = [
    text(margin.left, 22, title, 'font-size="15" font-weight="600"'),
    ...yTicks.map(
      (y) =>
        `<path d="M${margin.left} ${py(y).toFixed(1)}H${width - margin.right}" stroke="${ink}" stroke-opacity=".25"/>` +
        text(margin.left - 8, py(y) + 4, short(y), 'text-anchor="end"'),
    ),
    ...xs.map((x) => text(px(x), height - margin.bottom + 20, short(x), 'text-anchor="middle"')),
    text((margin.left + width - margin.right) / 2, height - 10, xTitle, 'text-anchor="middle"'),
    text(0, 0, yTitle, `text-anchor="middle" transform="translate(18 ${height / 2}) rotate(-90)"`),
    ...lines.flatMap(({ name, points: own }, i) => {
      const colour = colours[i % colours.length];
      const path = own.map(([x, y], at) => `${at === 0 ? "M" : "L"}${px(x).toFixed(1)} ${py(y).toFixed(1)}`).join("");
      return [
        `<path d="${path}" fill="none" stroke="${colour}" stroke-width="2"/>`,
        ...own.map(([x, y]) => `<circle cx="${px(x).toFixed(1)}" cy="${py(y).toFixed(1)}" r="3" fill="${colour}"/>`),
        text(margin.left + 12, margin.top + 16 * (i + 1), name, `style="fill:${colour}"`),
      ];
    }),
  ];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="12">
<title>${title}</title>
${parts.join("\n")}
</svg>
`;
}
