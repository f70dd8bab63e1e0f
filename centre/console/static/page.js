"use strict";
// Shows what /console/live says. No alarm is known here that the centre does not know.

const LOST_MS = 15000; // three missed heartbeats
const ARM_MS = 800; // a button that has just appeared under the hand is not pressed by it

const $ = (id) => document.getElementById(id);
const board = $("board");
let ahead_ms = Number(board.dataset.now) - Date.now(); // the centre's clock rules
let untaken = Number(board.dataset.untaken);
let duress = board.dataset.duress === "true";
let heard_ms = performance.now();
const shown_ms = new Map();

const two = (n) => String(n).padStart(2, "0");

function age(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 60) return `${s} s ago`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${two(s % 60)} s ago`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${two(Math.floor(s / 60) % 60)} min ago`;
  return `${Math.floor(s / 86400)} days ago`;
}

function clock(ms) {
  const at = new Date(ms);
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  const today = at.toDateString() === new Date(Date.now() + ahead_ms).toDateString();
  return today ? time : `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${time}`;
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

  const mark = Math.floor(now / 1000) % 2 ? "▲" : "△";
  const alarms = untaken === 1 ? "ALARM" : "ALARMS";
  const waiting = duress ? `${mark} DURESS · ${untaken} NOT SEEN` : `${mark} ${untaken} ${alarms} NOT TAKEN`;
  document.title = untaken ? waiting : "No alarm";
  const icon = document.querySelector("link[rel=icon]");
  const href = untaken ? "/console/static/alarm.svg" : "/console/static/calm.svg";
  if (icon.getAttribute("href") !== href) icon.setAttribute("href", href);

  const silence_ms = performance.now() - heard_ms;
  const lost = silence_ms > LOST_MS || source.readyState === EventSource.CLOSED;
  $("lost").hidden = !lost;
  document.body.classList.toggle("is-lost", lost);
  if (lost) {
    const s = Math.floor(silence_ms / 1000);
    $("lost").textContent = `✕ NOT LIVE: no word from the centre for ${s} s. New alarms do not show here.`;
    $("live").textContent = "✕ Not live";
    document.title = "✕ NOT LIVE";
  }
}

function note() {
  const now = performance.now();
  for (const button of board.querySelectorAll("button")) {
    if (!shown_ms.has(button.id)) shown_ms.set(button.id, now);
  }
}

function show(html) {
  const focused = document.activeElement?.id;
  const cursor = document.activeElement?.selectionStart;
  const open = [...board.querySelectorAll("details[open]")].map((details) => details.id);
  const written = [...board.querySelectorAll("input[id], select[id]")].map((field) => [field.id, field.value]);
  board.innerHTML = html; // the centre has escaped every value
  for (const id of open) $(id)?.setAttribute("open", "");
  for (const [id, value] of written) if ($(id)) $(id).value = value; // a hand may be writing just now
  note();
  const wanted = focused && $(focused);
  // Another operator took what was under this hand: stay there, a second Enter must not take the next.
  const taken = focused?.startsWith("take-") && $(focused.replace("take-", "i-"));
  (wanted || taken || board.querySelector(".untaken button"))?.focus({ preventScroll: Boolean(wanted) });
  if (wanted && cursor != null && wanted.setSelectionRange) wanted.setSelectionRange(cursor, cursor);
}

function alive(event) {
  const data = JSON.parse(event.data);
  heard_ms = performance.now();
  ahead_ms = data.now_ms - Date.now();
  $("live").textContent = "● Live";
  return data;
}

const source = new EventSource("/console/live");
source.addEventListener("alive", alive);
source.addEventListener("board", (event) => {
  const data = alive(event);
  untaken = data.untaken;
  duress = data.duress;
  show(data.html);
  tick();
});

function say(text) {
  $("notice").textContent = text;
  $("notice").hidden = !text;
}

document.addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const button = form.querySelector("button");
  if (performance.now() - (shown_ms.get(button.id) ?? 0) < ARM_MS) return;
  const body = new URLSearchParams(new FormData(form));
  form.closest("article").focus(); // the hand stays with the alarm that it took
  button.disabled = true;
  try {
    const headers = { Accept: "application/json", "X-CSRF-Token": document.body.dataset.csrf };
    const answer = await fetch(form.action, { method: "POST", headers, body });
    if (!answer.ok) throw new Error(String(answer.status));
    const done = await answer.json();
    say(done.taken_now ? "" : form.dataset.known);
  } catch {
    say(form.dataset.failed);
    button.disabled = false;
    button.focus();
  }
});

note();
board.querySelector(".untaken button")?.focus();
tick();
setInterval(tick, 1000);
