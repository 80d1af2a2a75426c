/** The look of the HTML report, on screen and on paper of either common size. */
export const style = `
:root { color-scheme: light; --ink: #1b2128; --soft: #55606c; --line: #d5dae0; --paper: #fff; --tone: #55606c; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 2rem 1.5rem 3rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 "Helvetica Neue", Arial, "Liberation Sans", sans-serif; }
header { display: flex; justify-content: space-between; align-items: flex-end; gap: 2rem; border-bottom: 2px solid var(--ink); padding-bottom: .6rem; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0; }
header p { margin: 0; color: var(--soft); }
header .made { text-align: right; font-size: .85rem; white-space: nowrap; }
h2 { font-size: 1.1rem; margin: 1.8rem 0 .6rem; padding-bottom: .2rem; border-bottom: 1px solid var(--line); break-after: avoid; }
h3 { font-size: .9rem; margin: 0 0 .3rem; color: var(--soft); break-after: avoid; }
p { margin: .4rem 0; }
.verdict { border-left: .4rem solid var(--tone); background: #f4f6f8; padding: .8rem 1.1rem; margin: 1.2rem 0 1rem; break-inside: avoid;
  print-color-adjust: exact; -webkit-print-color-adjust: exact; }
.tampered { --tone: #b3261e; } .inconclusive { --tone: #b26a00; } .no_tampering_detected { --tone: #44556a; }
.verdict strong { display: block; font-size: 1.35rem; line-height: 1.25; color: var(--tone); }
.verdict span { color: var(--soft); font-size: .9rem; }
.figures { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem; }
figure { margin: 0; break-inside: avoid; }
figure img { display: block; width: 100%; max-height: 11cm; object-fit: contain; object-position: left top; border: 1px solid var(--line); }
figcaption { color: var(--soft); font-size: .8rem; line-height: 1.35; margin-top: .3rem; }
table { border-collapse: collapse; width: 100%; font-size: .86rem; line-height: 1.4; }
th { text-align: left; font-weight: 600; color: var(--soft); border-bottom: 1px solid var(--ink); padding: .3rem .6rem .3rem 0; }
td { vertical-align: top; border-bottom: 1px solid var(--line); padding: .5rem .6rem .5rem 0; overflow-wrap: anywhere; }
thead { display: table-header-group; } tr { break-inside: avoid; }
td.crop { width: 6.6rem; } td.crop img { display: block; width: 5.8rem; max-height: 5.8rem; object-fit: contain; object-position: left top; }
td.crop b { display: block; margin-bottom: .2rem; }
td ul { margin: 0; padding-left: 1rem; } td div { color: var(--soft); }
td.weight { width: 6.6rem; } .high { color: #b3261e; font-weight: 600; } .medium { color: #b26a00; font-weight: 600; } .low, .info { color: var(--soft); }
.quote { font-style: italic; }
.facts { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem 2rem; }
.facts section { break-inside: avoid; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem .8rem; margin: 0; font-size: .82rem; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
.exact { font: .78rem/1.45 Menlo, Consolas, "Liberation Mono", monospace; overflow-wrap: anywhere; }
footer { margin-top: 2rem; padding-top: .5rem; border-top: 1px solid var(--line); color: var(--soft); font-size: .78rem; }
@page { margin: 16mm 15mm; }
@media print { body { padding: 0; max-width: none; font-size: 10.5pt; } .figures img { max-height: 9.5cm; } h2 { margin-top: 1.3rem; } }
@media (max-width: 40rem) { .figures, .facts { grid-template-columns: 1fr; } header { display: block; } header .made { text-align: left; } }
`;
