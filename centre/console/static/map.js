"use strict";
// Where the protected person is, and the way there. Without a tile server: a plain map of lines, a scale and times.

const trail = (() => {
  const LABELS_MAX = 8;
  const STEPS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 45];
  const node = document.createElement("div");
  node.className = "map";
  let map = null;
  let lines, drawn;
  let incident = "";
  let fixes = [];
  let newest = []; // numbers, as the centre says: two where two phones differ
  let asking = false;

  function make() {
    const { tiles, tilesBy, tilesZoom } = document.body.dataset;
    map = L.map(node, { attributionControl: Boolean(tiles), zoomControl: false, zoomSnap: 0.5, fadeAnimation: false });
    L.control.zoom({ position: "topright" }).addTo(map);
    if (tiles) {
      map.attributionControl.setPrefix(false);
      L.tileLayer(tiles, { attribution: plain(tilesBy), maxZoom: 19, maxNativeZoom: Number(tilesZoom) }).addTo(map);
    }
    L.control.scale({ imperial: false, maxWidth: 160 }).addTo(map);
    lines = L.layerGroup().addTo(map);
    drawn = L.featureGroup().addTo(map);
    if (!tiles) map.on("moveend", graticule);
    map.on("moveend", apart);
    map.setView([50.85, 4.35], 12);
  }

  function plain(text) {
    const safe = document.createElement("span");
    safe.textContent = text;
    return safe.innerHTML;
  }

  /** Lines of latitude and longitude, so that a plain map has a size and a place. */
  function graticule() {
    lines.clearLayers();
    const bounds = map.getBounds();
    // A label has room beside the next one: a number is wider than it is high.
    const step_of = (span, px, label_px) => STEPS.find((one) => (one * px) / Math.max(span, 1e-4) >= label_px) ?? 45;
    const { x, y } = map.getSize();
    const up = step_of(bounds.getNorth() - bounds.getSouth(), y, 60);
    const along = step_of(bounds.getEast() - bounds.getWest(), x, 90);
    const written = (degrees, step) => `${degrees.toFixed(Math.max(0, Math.ceil(-Math.log10(step))))}°`;
    const line = (ends, at, text) => {
      L.polyline(ends, { className: "graticule", interactive: false, weight: 1 }).addTo(lines);
      L.marker(at, { icon: label("graticule-label", text), interactive: false, keyboard: false }).addTo(lines);
    };
    for (let lat = Math.ceil(bounds.getSouth() / up) * up; lat < bounds.getNorth(); lat += up) {
      line([[lat, bounds.getWest()], [lat, bounds.getEast()]], [lat, bounds.getWest()], written(lat, up));
    }
    for (let lon = Math.ceil(bounds.getWest() / along) * along; lon < bounds.getEast(); lon += along) {
      line([[bounds.getSouth(), lon], [bounds.getNorth(), lon]], [bounds.getNorth(), lon], written(lon, along));
    }
  }

  function label(className, text) {
    const inside = document.createElement("span");
    inside.textContent = text;
    return L.divIcon({ className, html: inside, iconSize: null });
  }

  const by_time = (a, b) => a.taken_at_ms - b.taken_at_ms || a.number - b.number;

  function draw() {
    drawn.clearLayers();
    if (!fixes.length) return;
    const heads = fixes.filter((fix) => newest.includes(fix.number) || (fix.old && !newest.length));
    if (!heads.length) heads.push(fixes.at(-1));
    // The way goes through what can be believed; a doubtful position stands beside it.
    const way = fixes.filter((fix) => !fix.marks.length);
    L.polyline(way.map((fix) => [fix.lat, fix.lon]), { className: "way", weight: 4, interactive: false }).addTo(drawn);
    const every = Math.ceil(fixes.length / LABELS_MAX);
    fixes.forEach((fix, n) => {
      const at = [fix.lat, fix.lon];
      const doubts = fix.marks.map((mark) => words[`js_${mark}`]).join(", ");
      const is_head = heads.includes(fix);
      if (!is_head) {
        const shape = doubts ? "□" : "●";
        L.marker(at, { icon: label(doubts ? "fix doubtful" : "fix", shape), keyboard: false }).addTo(drawn);
      }
      if (!is_head && (doubts || (n % every === 0 && n < fixes.length - every))) {
        const text = doubts ? `${clock(fix.taken_at_ms)} ! ${doubts}` : clock(fix.taken_at_ms);
        L.marker(at, { icon: label("fix-time", text), interactive: false, keyboard: false }).addTo(drawn);
      }
    });
    for (const fix of heads) head(fix);
    apart();
  }

  function head(fix) {
    const at = [fix.lat, fix.lon];
    const doubts = fix.marks.map((mark) => words[`js_${mark}`]);
    if (fix.old) doubts.unshift(words.js_old);
    L.circle(at, { radius: fix.radius_m, className: doubts.length ? "radius-ring doubtful" : "radius-ring" }).addTo(drawn);
    const text = [clock(fix.taken_at_ms), fill(words.js_within, { m: fix.within }), ...doubts].join(" · ");
    const shape = fix.old ? "◇" : doubts.length ? "□" : "◉";
    L.marker(at, { icon: label(`head${doubts.length ? " doubtful" : ""}`, shape), keyboard: false, zIndexOffset: 900 }).addTo(drawn);
    L.marker(at, { icon: label("head-text", text), interactive: false, keyboard: false, zIndexOffset: 1000 }).addTo(drawn);
  }

  /** What says where the person is now has its place first. */
  function apart() {
    set_apart([...node.querySelectorAll(".head-text span"), ...node.querySelectorAll(".fix-time span")], node);
  }

  function fit() {
    if (drawn.getLayers().length) map.fitBounds(drawn.getBounds().pad(0.15), { maxZoom: 17, animate: false });
  }

  /** Only what has not been drawn: by number, as much as there is. */
  async function follow() {
    if (asking) return;
    asking = true;
    const which = incident;
    try {
      for (let more = true; more && which === incident; ) {
        const after = fixes.reduce((most, fix) => Math.max(most, fix.number), 0);
        const answer = await fetch(`/console/incidents/${which}/fixes?after=${after}`);
        if (!answer.ok) return;
        const told = await answer.json();
        more = told.more;
        if (which !== incident) continue;
        newest = told.newest;
        if (!told.fixes.length) continue;
        const first = fixes.every((fix) => fix.old);
        fixes = [...fixes.filter((fix) => !fix.old), ...told.fixes].sort(by_time);
        draw();
        if (first || !map.getBounds().contains([fixes.at(-1).lat, fixes.at(-1).lon])) fit();
      }
    } catch {
      // the page says by itself that it is not live, and asks again at the next change
    } finally {
      asking = false;
      if (which !== incident) follow();
    }
  }

  function old_of(place) {
    const { oldLat, oldLon, oldRadius, oldWithin, oldTaken } = place.dataset;
    if (oldLat === undefined) return [];
    const where = { lat: Number(oldLat), lon: Number(oldLon), radius_m: Number(oldRadius), within: oldWithin };
    return [{ number: 0, ...where, taken_at_ms: Number(oldTaken), marks: [], old: true }];
  }

  return {
    node,
    fixes: () => fixes,
    /** Into `place`, which each new sheet brings along; the map itself stays. */
    show(which, place) {
      if (!place) return;
      place.append(node);
      node.setAttribute("aria-label", place.dataset.label);
      if (!map) make();
      map.invalidateSize({ animate: false });
      if (which !== incident) {
        incident = which;
        newest = [];
        fixes = old_of(place);
        draw();
        fit();
      }
      follow();
    },
    focus() {
      if (map && node.isConnected) {
        node.scrollIntoView({ block: "nearest" });
        node.focus({ preventScroll: true });
      }
    },
  };
})();
