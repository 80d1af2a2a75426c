/** The reference's style sheet: `/docs/style.css`. */
export const referenceStyle = `
:root { color-scheme: light dark; --line: light-dark(#d8dce2, #343a43); --soft: light-dark(#f4f6f8, #1b1f25);
  --ground: light-dark(#fff, #111418); --text: light-dark(#1c2128, #d8dde4); --quiet: light-dark(#57606a, #98a2ae);
  --link: light-dark(#0a58ca, #79b0ff);
  --get: light-dark(#0b6bcb, #6cb2ff); --post: light-dark(#13783a, #5fcf8a); --patch: light-dark(#8a5a00, #e5b454);
  --delete: light-dark(#b3261e, #ff8f86); }
* { box-sizing: border-box; }
html { scroll-padding-top: 1rem; }
body { margin: 0; background: var(--ground); color: var(--text); font: 16px/1.55 system-ui, sans-serif;
  display: grid; grid-template-columns: 17rem minmax(0, 1fr); }
a { color: var(--link); text-decoration: none; } a:hover { text-decoration: underline; }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
code, pre { font: 13.5px/1.5 ui-monospace, SFMono-Regular, Menlo, monospace; }
:not(pre) > code { background: var(--soft); padding: .1em .3em; border-radius: 4px; overflow-wrap: anywhere; }
pre { background: var(--soft); border: 1px solid var(--line); border-radius: 8px; padding: .8rem 1rem; margin: .5rem 0;
  overflow: auto; max-height: 26rem; tab-size: 2; }
nav { position: sticky; top: 0; height: 100vh; overflow-y: auto; padding: 1.25rem 1rem 3rem; font-size: 14px;
  border-right: 1px solid var(--line); }
nav strong { display: block; margin: 1.1rem 0 .2rem; } nav ul { list-style: none; margin: 0; padding: 0; }
nav li a { display: block; padding: .15rem .4rem; border-radius: 4px; color: inherit; }
nav li a:hover { background: var(--soft); text-decoration: none; }
main { padding: 1.25rem clamp(1rem, 3vw, 3rem) 6rem; max-width: 84rem; }
h1 { margin: 0 0 .5rem; line-height: 1.2; } h2 { margin: 3.5rem 0 0; padding-bottom: .25rem; border-bottom: 2px solid var(--line); }
h3 { margin: 0; font-size: 1.15rem; } h4 { margin: 1.1rem 0 .25rem; font-size: .95rem; }
.quiet, small { color: var(--quiet); }
article { display: grid; grid-template-columns: minmax(0, 1fr); gap: 0 2rem; padding: 1.75rem 0; border-bottom: 1px solid var(--line); }
article p { margin: .35rem 0; max-width: 46rem; }
.address { margin: .3rem 0; } .address code { background: none; padding: 0; font-size: 14.5px; }
.method { font: 600 12px/1 ui-monospace, monospace; text-transform: uppercase; padding: .3em .5em; border-radius: 4px;
  border: 1px solid currentColor; }
.get > .method { color: var(--get); } .post > .method { color: var(--post); }
.patch > .method { color: var(--patch); } .delete > .method { color: var(--delete); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14.5px; }
th { text-align: left; font-weight: 600; color: var(--quiet); }
td, th { vertical-align: top; padding: .35rem .9rem .35rem 0; border-bottom: 1px solid var(--line); }
td:first-child { white-space: nowrap; } tr:last-child td { border-bottom: 0; }
summary { cursor: pointer; color: var(--link); font-size: 14.5px; padding: .2rem 0; }
.status { font: 600 13px ui-monospace, monospace; }
@media (min-width: 75rem) { article { grid-template-columns: minmax(0, 7fr) minmax(0, 5fr); }
  .shown { position: sticky; top: 1rem; align-self: start; } }
@media (max-width: 52rem) { body { display: block; } nav { position: static; height: auto; max-height: 45vh; border: 0;
    border-bottom: 1px solid var(--line); padding-bottom: 1rem; } td:first-child { white-space: normal; } }
@media print { nav { display: none; } body { display: block; } pre { max-height: none; } }`;
