"use strict";
// Labels of a map that do not lie over one another: each looks for a free side; what finds none is hidden.

/** `spans` in the order of their weight; `frame`: the map, which cuts off what stands out of it. */
function set_apart(spans, frame) {
  const placed = [];
  const edge = frame.getBoundingClientRect();
  const is_free = (at) =>
    at.left >= edge.left && at.right <= edge.right && at.top >= edge.top && at.bottom <= edge.bottom &&
    placed.every((one) => at.left > one.right || at.right < one.left || at.top > one.bottom || at.bottom < one.top);
  for (const span of spans) {
    const side = ["right", "left", "above", "below"].find((one) => {
      span.className = one;
      return is_free(span.getBoundingClientRect());
    });
    span.style.visibility = side || !placed.length ? "" : "hidden"; // the first one is always read
    if (side) placed.push(span.getBoundingClientRect());
  }
}
