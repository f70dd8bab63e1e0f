// The page is made anew when what waits, or what is wrong, has changed: nobody types anything on it.
"use strict";
const EVERY_MS = 4000;
const shown = document.getElementById("held").dataset;

async function look() {
  try {
    const answer = await fetch("/console/administration/waiting", { cache: "no-store" });
    if (!answer.ok) return location.reload();
    const now = await answer.json();
    const seen = JSON.stringify([String(now.waiting), now.troubles.join(" "), String(now.checking)]);
    if (seen !== JSON.stringify([shown.waiting, shown.troubles, shown.checking])) location.reload();
  } catch {
    document.title = "▲ ? · " + document.title.replace(/^▲ \? · /, "");  // the centre does not answer
  }
}
setInterval(look, EVERY_MS);
