"use strict";
// Shows what /console/live says. No alarm is known here that the centre does not know.

const LOST_MS = 15000; // three missed heartbeats
const AGAIN_MS = 3000; // between two tries to be live again
const ACT_MS = 10000; // an act that is not answered by then is not taken, for all that is known
const ENDING_MS = 15 * 60000; // of the session: said so long before
const ARM_MS = 800; // a button that has just appeared under the hand is not pressed by it

const $ = (id) => document.getElementById(id);
const board = $("board");
const sheet = $("sheet");
const words = JSON.parse(document.body.dataset.words);
let state = JSON.parse(board.dataset.state);
let takes_alarms = state.takes_alarms; // whether the centre can store one now
let is_heard = false; // the stream has said something
let ahead_ms = state.now_ms - Date.now(); // the centre's clock rules
let heard_ms = performance.now();
let opened = sheet.dataset.incident; // the incident whose sheet is shown, or ""
let signed_out = false; // the session is over: nothing comes any more
let asked = 0; // of a sheet: only the newest answer counts
const shown_ms = new Map();

const two = (n) => String(n).padStart(2, "0");
const fill = (text, values) => text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);

function age(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 60) return fill(words.js_s, { s });
  if (s < 3600) return fill(words.js_min, { min: Math.floor(s / 60), s: two(s % 60) });
  if (s < 172800) return fill(words.js_h, { h: Math.floor(s / 3600), min: two(Math.floor(s / 60) % 60) });
  return fill(words.js_days, { days: Math.floor(s / 86400) });
}

// By the centre's zone, not the browser's; Swedes write a day and a time as the centre does.
const zoned = new Intl.DateTimeFormat("sv", { timeZone: document.body.dataset.zone, dateStyle: "short", timeStyle: "medium" });

function clock(ms) {
  const [day, time] = zoned.format(ms).split(" ");
  return zoned.format(Date.now() + ahead_ms).startsWith(day) ? time : `${day} ${time}`;
}

function title(now) {
  if (!state.untaken) return words.title_calm;
  const mark = Math.floor(now / 1000) % 2 ? "▲" : "△";
  const key = state.duress ? "title_duress" : state.untaken === 1 ? "title_one" : "title_many";
  return `${mark} ${fill(words[key], { count: state.untaken })}`;
}

function tick() {
  const now = Date.now() + ahead_ms;
  for (const time of document.querySelectorAll("time[data-since]")) {
    time.textContent = age(now - Number(time.dataset.since));
  }
  for (const time of document.querySelectorAll("time[data-clock]")) {
    time.textContent = clock(Number(time.dataset.clock));
  }
  $("clock").textContent = clock(now);
  document.title = title(now);
  const icon = document.querySelector("link[rel=icon]");
  const href = state.untaken ? "/console/static/alarm.svg" : "/console/static/calm.svg";
  if (icon.getAttribute("href") !== href) icon.setAttribute("href", href);

  const silence_ms = performance.now() - heard_ms;
  follow_again();
  const lost = silence_ms > LOST_MS || given_up;
  const trouble = signed_out ? words.js_signed_out : lost ? words.js_not_live : takes_alarms ? "" : words.js_takes_none;
  $("signed-out").hidden = !signed_out;
  $("lost").hidden = !lost || signed_out;
  $("takes-none").hidden = takes_alarms || lost || signed_out;
  $("ending").hidden = signed_out || Number(document.body.dataset.ends) - now > ENDING_MS;
  document.body.classList.toggle("is-lost", Boolean(trouble));
  if (lost) $("lost").textContent = `✕ ${fill(words.js_lost, { s: Math.floor(silence_ms / 1000) })}`;
  if (trouble) {
    $("live").textContent = `✕ ${trouble}`;
    document.title = `✕ ${trouble}`;
  } else if (is_heard) {
    $("live").textContent = `● ${words.live}`;
  }
  $("count").textContent = fill(words.js_count, { waiting: state.untaken, open: state.open });
  sound.follow(state, Boolean(trouble));
}

// --- what is shown is replaced, and the hand that works in it notices nothing

function note(place) {
  const now = performance.now();
  for (const button of place.querySelectorAll("button[id]")) {
    if (!shown_ms.has(button.id)) shown_ms.set(button.id, now);
  }
}

/** What stood under a mouse and has moved is as new to it as what has just appeared. */
function tops(place) {
  return new Map([...place.querySelectorAll("button[id]")].map((one) => [one.id, one.getBoundingClientRect().top]));
}

const moved_ms = new Map();

function replace(place, html) {
  const active = document.activeElement;
  const focused = place.contains(active) ? active.id : "";
  const cursor = active?.selectionStart;
  const map_focused = trail.node.contains(active);
  const open = [...place.querySelectorAll("details[open]")].map((details) => details.id);
  const written = [...place.querySelectorAll("input[id], select[id], textarea[id]")].map((field) => [field.id, field.value]);
  const before = tops(place);
  place.innerHTML = html; // the centre has escaped every value
  for (const id of open) $(id)?.setAttribute("open", "");
  for (const [id, value] of written) if ($(id)) $(id).value = value; // a hand may be writing just now
  note(place);
  for (const [id, top] of tops(place)) {
    if (before.has(id) && Math.abs(before.get(id) - top) > 8) moved_ms.set(id, performance.now());
  }
  const again = focused && $(focused);
  if (again) {
    again.focus({ preventScroll: true });
    if (cursor != null && again.setSelectionRange) again.setSelectionRange(cursor, cursor);
  }
  return { focused, again, map_focused };
}

function show_board(html) {
  const nowhere = [document.body, null].includes(document.activeElement);
  const { focused, again } = replace(board, html);
  if (again || (!focused && !nowhere)) return;
  // Another operator took what was under this hand: stay there, a second Enter must not take the next.
  const taken = /^(take|open)-/.test(focused) && $(focused.replace(/^\w+-/, "i-"));
  if (taken) taken.focus();
  else if (!opened) board.querySelector(".untaken button")?.focus();
}

// --- the sheet of one incident

async function open_sheet(incident, again = false) {
  const number = (asked += 1);
  try {
    const answer = await fetch(`/console/incidents/${incident}/sheet${again ? "?again=1" : ""}`);
    if (!answer.ok) throw new Error(String(answer.status));
    const html = await answer.text();
    if (number !== asked) return;
    const was = opened;
    opened = incident;
    const { focused, again: kept, map_focused } = replace(sheet, html);
    trail.show(incident, sheet.querySelector(".map-place"));
    if (map_focused) trail.focus();
    mark_opened();
    if (was !== incident) {
      history.replaceState(null, "", `/console/incidents/${incident}`);
      sheet.scrollTop = 0;
    }
    if (!again || (focused && !kept)) sheet.focus({ preventScroll: again });
    tick();
  } catch {
    if (number === asked) say(words.js_sheet_failed);
  }
}

function mark_opened() {
  for (const card of board.querySelectorAll("article")) {
    card.classList.toggle("opened", card.id === `i-${opened}`);
  }
}

// --- the stream

function alive(event) {
  const data = JSON.parse(event.data);
  heard_ms = performance.now();
  given_up = false;
  ahead_ms = data.now_ms - Date.now();
  takes_alarms = data.takes_alarms;
  is_heard = true;
  return data;
}

function on_board(event) {
  const data = alive(event);
  const { html, ...told } = data;
  const changed = opened && told.versions[opened] !== state.versions[opened];
  state = told;
  show_board(html);
  mark_opened();
  if (changed) open_sheet(opened, true);
  tick();
}

function follow() {
  const stream = new EventSource("/console/live");
  stream.addEventListener("alive", (event) => {
    alive(event);
    tick();
  });
  stream.addEventListener("signed_out", leave);
  stream.addEventListener("board", on_board);
  return stream;
}

let source = follow();
let given_up = false;
let followed_ms = performance.now();

/** The session is over, by its term or by somebody's hand: the page says so, and asks no more. */
function leave() {
  signed_out = true;
  source.close();
  tick();
}

/** A browser that was once refused (busy, a proxy whose centre starts again) does not ask anew by itself. */
function follow_again() {
  if (signed_out) return;
  given_up ||= source.readyState === EventSource.CLOSED;
  if (source.readyState !== EventSource.CLOSED || performance.now() - followed_ms < AGAIN_MS) return;
  followed_ms = performance.now();
  source = follow();
  // A stream does not tell why it was refused.
  fetch("/console/here", { signal: AbortSignal.timeout(ACT_MS) }).then(
    (answer) => [401, 403].includes(answer.status) && leave(),
    () => {}, // the centre is gone: the page says so already
  );
}

// --- acts

function say(text) {
  $("notice").textContent = text;
  $("notice").hidden = !text;
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (form.dataset.known === undefined) return; // signing out; the help's own button
  event.preventDefault();
  const button = form.querySelector("button");
  if (button.disabled || performance.now() - (shown_ms.get(button.id) ?? 0) < ARM_MS) return;
  const incident = form.action.split("/").at(-2);
  const body = new URLSearchParams(new FormData(form));
  body.set("csrf", document.body.dataset.csrf);
  (form.closest("article") ?? sheet).focus({ preventScroll: true }); // the hand stays with what it took
  button.disabled = true;
  try {
    const headers = { Accept: "application/json", "X-CSRF-Token": document.body.dataset.csrf };
    const answer = await fetch(form.action, { method: "POST", headers, body, signal: AbortSignal.timeout(ACT_MS) });
    if (answer.status === 401) leave();
    const done = await answer.json();
    if (!answer.ok) throw new Error(done.detail, { cause: "refused" });
    form.reset(); // what was typed is kept by the centre now
    const who = { name: done.by || words.somebody, when: clock(done.at_ms) };
    say(done.taken_now ? "" : fill(form.dataset.known, who));
    await open_sheet(done.incident, opened === done.incident);
  } catch (error) {
    say(error.cause === "refused" ? error.message : form.dataset.failed);
    button.disabled = false;
    button.focus();
  }
});

document.addEventListener(
  "click",
  (event) => {
    const button = event.target.closest("button[id]");
    const late = button && performance.now() - (moved_ms.get(button.id) ?? -ARM_MS) < ARM_MS;
    if (late && event.detail > 0) event.preventDefault(); // a mouse meant what was here before
    const link = event.target.closest("a[id^=open-]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    open_sheet(link.id.slice("open-".length));
  },
  true,
);

// --- keys: they move the focus; only Enter acts, on what has it

function stops() {
  return [...board.querySelectorAll("article")].map((card) => ({
    card,
    stop: card.querySelector(".acknowledge button, a[id^=open-]"),
  }));
}

function move(by) {
  const all = stops();
  const at = all.findIndex(({ card }) => card.contains(document.activeElement));
  const to = at < 0 ? all.findIndex(({ card }) => card.id === `i-${opened}`) : at + by;
  const next = all[Math.min(Math.max(to, 0), all.length - 1)];
  next?.stop.focus({ preventScroll: true });
  next?.card.scrollIntoView({ block: "nearest" });
}

const KEYS = {
  j: () => move(1),
  ArrowDown: () => move(1),
  k: () => move(-1),
  ArrowUp: () => move(-1),
  o: () => {
    const card = document.activeElement?.closest("article");
    if (card) open_sheet(card.id.slice("i-".length));
  },
  d: () => sheet.querySelector(".dispatch input")?.focus(),
  c: () => sheet.querySelector(".close select")?.focus(),
  r: () => sheet.querySelector(".remark textarea")?.focus(),
  u: () => sheet.querySelector(".undo button")?.focus(),
  m: () => trail.focus(),
  b: () => move(0),
  Escape: () => move(0),
  s: () => sound.toggle(),
  a: () => $("away").focus(),
  "?": () => $("help").showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.repeat) event.preventDefault(); // a finger left on it acts once
  if (event.ctrlKey || event.altKey || event.metaKey || $("help").open) return;
  const typing = event.target.closest("input, select, textarea");
  if (typing || trail.node.contains(event.target)) {
    if (event.key === "Escape") sheet.focus({ preventScroll: true });
    return;
  }
  const act = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!act) return;
  event.preventDefault();
  act();
});

$("help-button").addEventListener("click", () => $("help").showModal());
$("sound").addEventListener("click", () => sound.toggle());

note(document);
if (opened) trail.show(opened, sheet.querySelector(".map-place"));
mark_opened();
(opened ? sheet : board.querySelector(".untaken button"))?.focus();
tick();
setInterval(tick, 1000);
sound.wake();
