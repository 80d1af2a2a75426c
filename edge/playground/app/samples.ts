/** Pictures to try: each as it was, and edited. Where they come from: test/samples/README.md. */
const files = import.meta.glob<string>("../../../test/samples/{*-forged,*-authentic}.jpg", {
  eager: true,
  query: "?url",
  import: "default",
});
const thumbnails = import.meta.glob<string>("../samples/*.webp", { eager: true, query: "?url", import: "default" });

export interface Sample {
  name: string;
  url: string;
  thumbnail: string;
  domain: string;
  title: string;
  /** What was done to it. */
  note: string;
}

const texts = [
  ["kitten", "natural", "Kitten on a lawn", "An egg pasted into the grass"],
  ["receipt", "document", "Shop receipt", "The total painted over and typed anew"],
  ["portrait", "face", "Painted portrait", "Mouth and cheek retouched"],
  ["label", "scene_text", "Serial number", "Three of its digits covered and set anew"],
] as const;

export const samples: readonly Sample[] = texts.flatMap(([stem, domain, title, edit]) =>
  (["forged", "authentic"] as const).map((kind) => ({
    name: `${stem}-${kind}.jpg`,
    url: files[`../../../test/samples/${stem}-${kind}.jpg`] ?? "",
    thumbnail: thumbnails[`../samples/${stem}-${kind}.webp`] ?? "",
    domain,
    title,
    note: kind === "forged" ? edit : "As it was",
  })),
);
