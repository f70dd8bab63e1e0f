"use strict";
// All open alarms of this page on one map, each under the number that it has in the list; asked anew every 5 s.

const place = document.getElementById("overview");
const map = L.map(place, { attributionControl: Boolean(place.dataset.tiles), zoomControl: false, fadeAnimation: false });
const drawn = L.featureGroup().addTo(map);
let shown = "";

function icon(kind, text) {
  const span = document.createElement("span");
  span.textContent = text;
  return L.divIcon({ className: kind, html: span, iconSize: null });
}

function apart() {
  set_apart([...place.querySelectorAll(".head-text span")], place);
}

function draw() {
  if (place.dataset.points === shown) return;
  const first = !shown;
  shown = place.dataset.points;
  const points = JSON.parse(shown);
  drawn.clearLayers();
  for (const { lat, lon, radius_m, text, shape, href, kind } of points) {
    L.circle([lat, lon], { radius: radius_m, className: `radius-ring ${kind}` }).addTo(drawn);
    L.marker([lat, lon], { icon: icon(`head ${kind}`, shape), title: text, alt: text }).addTo(drawn)
      .on("click", () => location.assign(href));
    L.marker([lat, lon], { icon: icon(`head-text ${kind}`, text), interactive: false, keyboard: false }).addTo(drawn);
  }
  if (first && points.length) map.fitBounds(drawn.getBounds().pad(0.2), { maxZoom: 15, animate: false });
  apart();
}

async function refresh() {
  const answer = await fetch(location.href, { signal: AbortSignal.timeout(10000) });
  if (!answer.ok || answer.redirected) return location.reload(); // signed out: the page to sign in says so
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  place.dataset.points = fresh.getElementById("overview").dataset.points;
  document.getElementById("open-alarms").replaceWith(fresh.getElementById("open-alarms"));
  draw();
}

L.control.zoom({ position: "topright" }).addTo(map);
L.control.scale({ imperial: false }).addTo(map);
if (place.dataset.tiles) {
  L.tileLayer(place.dataset.tiles, { attribution: place.dataset.tilesBy, maxZoom: 19, maxNativeZoom: Number(place.dataset.tilesZoom) }).addTo(map);
}
map.setView([50.85, 4.35], 9);
map.on("moveend", apart);
draw();
setInterval(() => refresh().catch(() => {}), 5000);
