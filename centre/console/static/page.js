"use strict";
// Shows what /console/live says. No alarm is known here that the centre does not know.

const LOST_MS = 15000; // three missed heartbeats
const AGAIN_MS = 3000; // between two tries to be live again
const ACT_MS = 10000; // an act that is not answered by then is not taken, for all that is known
const HERE_MS = 20000; // how often this desk says that it is one
const ENDING_MS = 15 * 60000; // of the session: said so long before
const ARM_MS = 800; // a button that has just appeared under the hand is not pressed by it

const $ = (id) => document.getElementById(id);
const board = $("board");
const sheet = $("sheet");
const own = document.body.dataset;
const words = JSON.parse(own.words);
let state = JSON.parse(board.dataset.state);
let takes_alarms = state.takes_alarms; // whether the centre can store one now
let is_heard = false; // the stream has said something
let ahead_ms = state.now_ms - Date.now(); // the centre's clock rules
let heard_ms = performance.now();
let opened = sheet.dataset.incident; // the incident whose sheet is shown, or ""
let signed_out = false; // the session is over: nothing comes any more
let here_ms = -HERE_MS;
let told_sound = false; // what the centre knows of it
let asked = 0; // of a sheet: only the newest answer counts
const shown_ms = new Map();

const two = (n) => String(n).padStart(2, "0");
const fill = (text, values) => text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
/** Only what is new is written: a screen reader reads again what is written again. */
const put = (node, text) => node.textContent === text || (node.textContent = text);

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
  put($("clock"), clock(now));
  document.title = title(now);
  const icon = document.querySelector("link[rel=icon]");
  const href = state.untaken ? "/console/static/alarm.svg" : "/console/static/calm.svg";
  if (icon.getAttribute("href") !== href) icon.setAttribute("href", href);

  const silence_ms = performance.now() - heard_ms;
  follow_again(silence_ms);
  const lost = silence_ms > LOST_MS || given_up;
  const trouble = signed_out ? words.js_signed_out : lost ? words.js_not_live : takes_alarms ? "" : words.js_takes_none;
  $("signed-out").hidden = !signed_out;
  $("lost").hidden = !lost || signed_out;
  $("takes-none").hidden = takes_alarms || lost || signed_out;
  $("ending").hidden = signed_out || Number(own.ends) - now > ENDING_MS;
  document.body.classList.toggle("is-lost", Boolean(trouble));
  if (lost) put($("lost"), `✕ ${fill(words.js_lost, { s: Math.floor(silence_ms / 1000) })}`);
  if (trouble) document.title = `✕ ${trouble}`;
  if (trouble) put($("live"), `✕ ${trouble}`);
  else if (is_heard) put($("live"), `● ${sound.is_on() ? words.live : words.live_silent}`);
  for (const part of ["untaken", "mine", "others"]) put($(part), fill(words[`count_${part}`], { count: state[part] }));
  put($("desks"), state.desks);
  $("all-away").hidden = !state.all_away;
  point_out();
  sound.follow(state, Boolean(trouble));
}

// --- what comes while the board is scrolled, or a sheet is in view

const waiting = () => [...board.querySelectorAll(".untaken article")];
const ids = () => new Set(waiting().map((card) => card.id));
let known = ids();

/** The first alarm that waits and is not in view: a button in the bar leads to it. */
function point_out() {
  board.firstElementChild.classList.toggle("many", waiting().length > 2 || innerHeight < 560); // no room for posters
  point_to(first_unseen());
  document.documentElement.style.scrollPaddingTop = `${$("strip").offsetHeight}px`;
}

function first_unseen() {
  const top = $("strip").getBoundingClientRect().bottom - 1;
  return waiting().find((one) => {
    const at = one.querySelector("h3").getBoundingClientRect();
    return at.top < top || at.bottom > innerHeight;
  });
}

function point_to(card) {
  const news = $("news");
  news.hidden = !card;
  news.dataset.card = card?.id ?? "";
  if (!card) return;
  const title = card.querySelector("h3");
  const since = card.querySelector("time").textContent;
  put(news, `${title.firstElementChild.textContent} ${title.dataset.short} · ${since} · ${words.js_show}`);
  news.classList.toggle("duress", card.classList.contains("duress"));
}

function go_there() {
  const card = $($("news").dataset.card);
  card?.scrollIntoView({ block: "center" });
  card?.querySelector("button, a").focus({ preventScroll: true });
}

/** One line for who does not look: to a screen reader, and over other windows where that is allowed. */
function announce() {
  const fresh = waiting().filter((card) => !known.has(card.id));
  known = ids();
  if (!fresh.length) return;
  const text = fill(words.js_news, { what: fresh[0].querySelector("h3").dataset.short, count: state.untaken });
  $("said").textContent = text;
  if (document.hidden && window.Notification?.permission === "granted") {
    new Notification(text, { tag: "alarm", renotify: true }).onclick = () => window.focus();
  }
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
  const fitting = innerHeight < 560 ? html.replace('class="untaken"', 'class="untaken many"') : html; // no jump
  const { focused, again } = replace(board, fitting);
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
      from_top();
    }
    if (!again || (focused && !kept)) sheet.focus({ preventScroll: true });
    tick();
  } catch {
    if (number === asked) say(words.js_sheet_failed);
  }
}

/** Its name, its flags and its acts are what is seen first: also where the sheet stands under the board. */
function from_top() {
  sheet.scrollTop = 0;
  sheet.scrollIntoView();
  point_out(); // the bar has become higher
  sheet.scrollIntoView();
}

function mark_opened() {
  for (const card of board.querySelectorAll("article")) {
    card.classList.toggle("opened", card.id === `i-${opened}`);
  }
}

// --- the stream: a browser opens six connections to a host, so of its tabs one has it, and tells the others

const shared = `board ${own.user} ${document.documentElement.lang}`;
const tabs = new BroadcastChannel(shared);
let source = null; // of the tab that has the stream
let last = null; // what it said last of the board
let given_up = false;
let followed_ms = performance.now();

function alive(data) {
  heard_ms = performance.now();
  given_up = false;
  ahead_ms = data.now_ms - Date.now();
  takes_alarms = data.takes_alarms;
  state.desks = data.desks;
  state.all_away = data.all_away;
  is_heard = true;
  if (heard_ms - here_ms > HERE_MS || sound.is_on() !== told_sound) here();
  tick();
}

function on_board(data) {
  const { html, ...told } = data;
  const changed = opened && told.versions[opened] !== state.versions[opened];
  state = told;
  show_board(html);
  mark_opened();
  announce();
  if (changed) open_sheet(opened, true);
  alive(data);
}

const HEARS = { alive, board: on_board, signed_out: here };

function hear([kind, text]) {
  HEARS[kind](JSON.parse(text));
}

function pass_on(event) {
  const told = [event.type, event.data];
  if (event.type === "board") last = told;
  tabs.postMessage(told);
  hear(told);
}

tabs.onmessage = ({ data }) => {
  if (data !== "asks") hear(data);
  else if (last) tabs.postMessage(last);
};

function listen() {
  followed_ms = performance.now();
  source = new EventSource("/console/live");
  for (const kind of Object.keys(HEARS)) source.addEventListener(kind, pass_on);
}

/** Wait for the stream; `steal`: from a tab that tells nothing. */
function follow(steal = false) {
  followed_ms = performance.now();
  const have = () => {
    listen();
    return new Promise(() => {}); // until the tab is closed, or another takes it
  };
  navigator.locks.request(shared, { steal }, have).catch(() => {
    source.close();
    source = null;
    follow();
  });
  tabs.postMessage("asks");
}

/** The session is over, by its term or by somebody's hand: the page says so, and what was typed stays. */
function leave() {
  signed_out = true;
  here_ms = performance.now();
  source?.close();
  tick();
}

/** Say that this desk is one; signed in anew by the same user, also in another tab, the page goes on. */
async function here() {
  here_ms = performance.now();
  told_sound = sound.is_on();
  const asking = fetch(`/console/here?sound=${told_sound}`, { signal: AbortSignal.timeout(ACT_MS) });
  const answer = await asking.catch(() => null); // the centre is gone: the page says so already
  if (!answer) return;
  if (answer.status === 401) return leave();
  const user = answer.headers.get("X-User");
  if (user && user !== own.user) return location.reload();
  own.csrf = answer.headers.get("X-CSRF-Token") ?? own.csrf;
  for (const field of document.querySelectorAll("[name=csrf]")) field.value = own.csrf;
  signed_out = false;
}

/** A browser that was once refused (busy, a proxy whose centre starts again) does not ask anew by itself. */
function follow_again(silence_ms) {
  const asked_ms = performance.now() - Math.max(followed_ms, signed_out ? here_ms : 0);
  given_up ||= source?.readyState === EventSource.CLOSED;
  if (asked_ms < AGAIN_MS) return;
  if (signed_out || given_up) {
    here(); // a stream does not tell why it was refused
    if (source && !signed_out) listen();
  } else if (!source && silence_ms > LOST_MS && asked_ms > LOST_MS && !document.hidden) follow(true);
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
  body.set("csrf", own.csrf);
  (form.closest("article") ?? sheet).focus({ preventScroll: true }); // the hand stays with what it took
  button.disabled = true;
  try {
    const headers = { Accept: "application/json", "X-CSRF-Token": own.csrf };
    const answer = await fetch(form.action, { method: "POST", headers, body, signal: AbortSignal.timeout(ACT_MS) });
    if ([401, 403].includes(answer.status)) here();
    const done = await answer.json();
    if (!answer.ok) throw Object.assign(new Error(done.detail), { name: done.reason });
    ($(button.id)?.form ?? form).reset(); // what was typed is kept by the centre now
    const who = { name: done.by || words.somebody, when: clock(done.at_ms) };
    say(done.taken_now ? "" : fill(form.dataset.known, who));
    await open_sheet(done.incident, opened === done.incident);
    // On a small screen the board above has become shorter: the sheet stays where it is read.
    if (sheet.getBoundingClientRect().top > $("strip").getBoundingClientRect().bottom + 8) from_top();
  } catch (error) {
    const why = words[`js_why_${error.name}`];
    say(why ? `${form.dataset.failed} ${why}` : error.message);
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
    const copy = event.target.dataset.copy;
    if (copy) navigator.clipboard.writeText(copy);
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
  n: go_there,
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
$("sound").addEventListener("click", () => {
  window.Notification?.requestPermission(); // asked once by the browser, at a hand's click
  sound.toggle();
});
$("news").addEventListener("click", go_there);

note(document);
if (opened) trail.show(opened, sheet.querySelector(".map-place"));
mark_opened();
(opened ? sheet : board.querySelector(".untaken button"))?.focus({ preventScroll: true });
if (opened) from_top();
follow();
tick();
setInterval(tick, 1000);
sound.wake();
