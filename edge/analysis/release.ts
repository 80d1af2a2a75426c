/** The model release that this deployment asks its runners for. The one place that reads the manifest, so that tests can replace it. */
import { releaseManifest } from "@omni-iml/shared/release";
import manifest from "../../model/release/manifest.json" with { type: "json" };

export const release = releaseManifest.parse(manifest);
