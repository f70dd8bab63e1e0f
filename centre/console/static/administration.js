// The page is made anew when the number of alarms that wait has changed; whoever is typing loses nothing else.
"use strict";
const EVERY_MS = 4000;
const shown = Number(document.getElementById("held").dataset.waiting);

async function look() {
  try {
    const answer = await fetch("/console/administration/waiting", { cache: "no-store" });
    if (!answer.ok || (await answer.json()).waiting !== shown) location.reload();
  } catch {
    document.title = "▲ ? · " + document.title.replace(/^▲ \? · /, "");  // the centre does not answer
  }
}
setInterval(look, EVERY_MS);
