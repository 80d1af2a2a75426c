/** Examples in the API's description. Each is checked against its schema by a test, so that none goes out of date. */
const id = "an_01kaw4v3r8h7t2m9c5x1q6zd0e";
const sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
const times = {
  created_at: "2026-11-24T09:30:00.000Z",
  ended_at: "2026-11-24T09:30:01.420Z",
  expires_at: "2026-12-01T09:30:01.420Z",
};

function file(name: string, content_type: string) {
  return {
    url: `https://storage.example.com/omni-iml/results/…/${name}?X-Amz-Signature=…`,
    expires_at: "2026-11-24T10:30:02.000Z",
    content_type,
    bytes: 20_480,
    sha256,
  };
}

export const summaryExample = {
  id,
  object: "analysis",
  status: "succeeded",
  ...times,
  cached: false,
  verdict: "tampered",
  score: 0.93,
};

export const analysisExample = {
  ...summaryExample,
  started_at: "2026-11-24T09:30:00.050Z",
  attempts: 1,
  stage: null,
  options: {
    outputs: ["probability", "mask", "overlay", "report", "report_html", "report_pdf"],
    interpretation: "builtin",
    evidence: true,
    priority: "interactive",
  },
  metadata: { case: "17" },
  input: { sha256, bytes: 284_113, content_type: "image/jpeg", filename: "photo.jpg" },
  model: { name: "omni-iml", version: "0.1.0", release: "0.1.0-3f9c2a7d", precision: "fp32", provider: "cuda" },
  image: {
    sha256,
    format: "jpeg",
    width: 1280,
    height: 853,
    bytes: 284_113,
    orientation: 1,
    frames: 1,
    jpeg: { quality: 88, subsampling: "4:2:0", progressive: false },
  },
  threshold: 0.5,
  domain: { name: "natural", confidence: 0.98 },
  modality: "fused",
  regions: [
    {
      id: "r1",
      bbox: { x: 412, y: 130, width: 96, height: 120 },
      polygon: [
        [412, 130],
        [508, 130],
        [508, 250],
        [412, 250],
      ],
      area_fraction: 0.0105,
      score: 0.86,
      manipulation: "splice",
      artifacts: ["compression", "edge"],
      position: { absolute: "upper centre", relative: null },
      content: null,
      content_confidence: null,
      interpretation: {
        source: "builtin",
        certainty: "very_likely",
        true_region: 0.88,
        manipulation_probability: 0.71,
        reasons: [
          {
            artifact: "compression",
            probability: 0.83,
            description: "its compression traces do not match those of its surroundings",
          },
          { artifact: "edge", probability: 0.64, description: "its outline does not blend with what lies around it" },
        ],
        description:
          "r1, at the upper centre, was very likely manipulated; it probably comes from another picture. Its compression traces do not match those of its surroundings and its outline does not blend with what lies around it.",
      },
    },
  ],
  explanation:
    "The image has very likely been manipulated (score 93 %), in one place. r1, at the upper centre, was very likely manipulated; it probably comes from another picture. Its compression traces do not match those of its surroundings and its outline does not blend with what lies around it.",
  evidence: [
    {
      code: "jpeg_grid_shifted",
      family: "compression",
      severity: "medium",
      summary: "The 8×8 grid of an earlier JPEG lies elsewhere in r1 than in the rest of the image.",
      meaning: "The region was compressed in another place before it came here, as happens when it is pasted in.",
      next_step: "Look at the edges of r1, and ask for the file from which the image was made.",
      details: { region: "r1", region_offset: [3, 5], image_offset: [0, 0] },
    },
  ],
  input_quality: [],
  degraded_checks: [],
  timings: { download: 12, decode: 31, inference: 1_240, encode: 58, upload: 20 },
  files: {
    probability: file("probability.png", "image/png"),
    mask: file("mask.png", "image/png"),
    overlay: file("overlay.png", "image/png"),
    report: file("report.json", "application/json"),
    report_html: file("report.html", "text/html; charset=utf-8"),
    report_pdf: file("report.pdf", "application/pdf"),
  },
  error: null,
  feedback: null,
};
