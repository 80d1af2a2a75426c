/**
 * Words in a picture, by Tesseract 5 (LSTM, compiled to WebAssembly) with its English model, which reads Latin letters
 * and digits. Program and model come as npm packages (Apache-2.0, MIT): nothing is fetched. Runs in the thread of
 * checks; the recogniser's own thread ends with it.
 */
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { createWorker, OEM, PSM, type Worker } from "tesseract.js";

export interface Word {
  readonly text: string;
  /** 0 to 1, the recogniser's own; not calibrated. */
  readonly confidence: number;
  /** Counts the lines of the picture. */
  readonly line: number;
  /** In pixels of the picture, the ends exclusive. */
  readonly box: { readonly left: number; readonly top: number; readonly right: number; readonly bottom: number };
}

let loaded: Promise<Worker> | null = null;

async function load(): Promise<Worker> {
  const model = dirname(createRequire(import.meta.url).resolve("@tesseract.js-data/eng/package.json"));
  const worker = await createWorker("eng", OEM.LSTM_ONLY, {
    langPath: join(model, "4.0.0_best_int"),
    // It would write the unpacked model into the working directory.
    cacheMethod: "none",
    // What fails is told by the promise as well; without this it would be thrown a second time, for nobody to catch.
    errorHandler: () => undefined,
  });
  // A region and its surroundings are no page with a layout. On crops of the bundled receipt and sign, this reads nearly all
  // lines; the automatic layout and the search for sparse text each miss a third of them, and take longer.
  // A resolution, because without one every picture is warned of.
  await worker.setParameters({ tessedit_pageseg_mode: PSM.SINGLE_BLOCK, user_defined_dpi: "150" });
  return worker;
}

/**
 * @param picture a PNG
 * @throws where the recogniser cannot be loaded, or fails
 */
export async function recognize(picture: Uint8Array): Promise<Word[]> {
  loaded ??= load();
  const worker = await loaded;
  const { data } = await worker.recognize(Buffer.from(picture), {}, { blocks: true, text: false });
  const lines = (data.blocks ?? []).flatMap(({ paragraphs }) => paragraphs.flatMap(({ lines }) => lines));
  return lines.flatMap(({ words }, line) =>
    words.map(({ text, confidence, bbox: { x0: left, y0: top, x1: right, y1: bottom } }) => ({
      text,
      confidence: confidence / 100,
      line,
      box: { left, top, right, bottom },
    })),
  );
}
