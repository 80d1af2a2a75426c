import { render } from "preact";

const place = document.getElementById("app");
if (place) render(<h1>Omni-IML</h1>, place);
