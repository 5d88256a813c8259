// Entry for notebooks: anywidget gives the model and an element.

import { make } from "./dom.js";
import { Explorer } from "./explorer.js";

function render({ model, el }) {
  const root = make("div");
  el.append(root);
  root.explorer = new Explorer(model, root);
  return () => root.explorer.close();
}

export default { render };
