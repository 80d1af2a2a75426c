// `npm start`. Plain JavaScript, because a Node that is too old could not even read what follows.
const wanted = 24;
const found = Number.parseInt(process.versions.node, 10);

if (found < wanted) {
  console.error(
    `omni-iml: Node ${wanted} or newer is needed, this is ${process.versions.node}. Run it by \`npm start\` after \`npm ci\`, which brings its own.`,
  );
  process.exit(1);
}
await import("./start.ts");
