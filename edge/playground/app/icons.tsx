/** Line icons of one weight, 20 × 20. They only repeat what a label says. */
const paths = {
  upload: "M10 13V4m0 0L6.5 7.5M10 4l3.5 3.5M4 13v2.5A1.5 1.5 0 0 0 5.5 17h9a1.5 1.5 0 0 0 1.5-1.5V13",
  back: "M12 4l-6 6 6 6",
  plus: "M10 4v12M4 10h12",
  minus: "M4 10h12",
  fit: "M4 8V5.5A1.5 1.5 0 0 1 5.5 4H8m4 0h2.5A1.5 1.5 0 0 1 16 5.5V8m0 4v2.5a1.5 1.5 0 0 1-1.5 1.5H12m-4 0H5.5A1.5 1.5 0 0 1 4 14.5V12",
  share:
    "M13.5 6.5a2 2 0 1 0 0-4 2 2 0 0 0 0 4ZM6.5 12a2 2 0 1 0 0-4 2 2 0 0 0 0 4Zm7 5.5a2 2 0 1 0 0-4 2 2 0 0 0 0 4ZM8.3 9l3.5-3M8.3 11l3.5 3",
  bin: "M4 6h12M8 6V4.5h4V6m-6.5 0 .7 10h7.6l.7-10M8.5 9v4m3-4v4",
  copy: "M7.5 7.5V4h8.5v8.5h-3.5M4 7.5h8.5V16H4Z",
  check: "M4.5 10.5l3.5 3.5 7.5-8",
  alert: "M10 3.5 17.5 16h-15Zm0 4.5v4m0 2v.2",
  file: "M6 3h5.5L15 6.5V17H6Zm5.5 0v3.5H15",
  sun: "M10 13.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7ZM10 2v1.5M10 16.5V18M2 10h1.5M16.5 10H18M4.3 4.3l1.1 1.1M14.6 14.6l1.1 1.1M4.3 15.700l1.1-1.1M14.6 5.400l1.1-1.1",
  moon: "M16 11.5A6.5 6.5 0 0 1 8.5 4a6.5 6.5 0 1 0 7.5 7.5Z",
  auto: "M10 3a7 7 0 1 0 0 14Zm0 0a7 7 0 0 1 0 14",
  close: "M5 5l10 10M15 5 5 15",
  swipe: "M10 3v14M7 7l-3 3 3 3m6-6 3 3-3 3",
} as const;
export type IconName = keyof typeof paths;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 20 20" aria-hidden="true">
      <path d={paths[name]} />
    </svg>
  );
}

export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
      <path d="M4 11V7.5A3.5 3.5 0 0 1 7.5 4H11M21 4h3.5A3.5 3.5 0 0 1 28 7.5V11M28 21v3.5a3.5 3.5 0 0 1-3.5 3.5H21M11 28H7.5A3.5 3.5 0 0 1 4 24.5V21" />
      <circle cx="16" cy="16" r="5.5" />
    </svg>
  );
}
