/** Programs that change pictures, as they name themselves in metadata. */

const editors: readonly (readonly [pattern: RegExp, name: string])[] = [
  [/photoshop/i, "Adobe Photoshop"],
  [/lightroom/i, "Adobe Lightroom"],
  [/\bgimp\b/i, "GIMP"],
  [/affinity/i, "Affinity Photo"],
  [/pixelmator/i, "Pixelmator"],
  [/paint\.net/i, "paint.net"],
  [/paintshop|paint shop/i, "PaintShop Pro"],
  [/photoscape/i, "PhotoScape"],
  [/photofiltre/i, "PhotoFiltre"],
  [/snapseed/i, "Snapseed"],
  [/vsco/i, "VSCO"],
  [/picsart/i, "PicsArt"],
  [/canva\b/i, "Canva"],
  [/faceapp/i, "FaceApp"],
  [/facetune/i, "Facetune"],
  [/meitu/i, "Meitu"],
  [/beautyplus|youcam|b612/i, "a beauty app"],
  [/luminar/i, "Luminar"],
  [/capture one/i, "Capture One"],
  [/coreldraw|corel photo/i, "Corel"],
  [/photopea/i, "Photopea"],
  [/fotor/i, "Fotor"],
  [/airbrush/i, "AirBrush"],
  [/acdsee/i, "ACDSee"],
  [/darktable/i, "darktable"],
  [/rawtherapee/i, "RawTherapee"],
  [/digikam/i, "digiKam"],
  [/polarr/i, "Polarr"],
  [/picasa/i, "Picasa"],
  [/krita/i, "Krita"],
  [/inpaint|cleanup\.pictures/i, "an inpainting program"],
  [/\bpaint\b.*windows|microsoft.*paint/i, "Microsoft Paint"],
  [/windows photo (viewer|gallery|editor)/i, "Windows Photos"],
];

/** The editor that a metadata text names; null where it names none: a camera's firmware, an operating system. */
export function editorNamed(text: string): string | null {
  return editors.find(([pattern]) => pattern.test(text))?.[1] ?? null;
}
