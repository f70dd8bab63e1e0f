"use strict";
// Shows what /status says, in the words that /words gives; without the secret there is neither.

const POLL_MS = 40000; // the server answers within 25 s
const AGAIN_MS = 2000;
const BUSY_MS = 7200000; // for how long the button follows a click that was sent
const CHECK_MS = 60000; // as long as the button itself waits before it says "not confirmed"
const PAD_MS = 60000; // digits that nobody sends do not stay
const DIGITS_MIN = 4;
const DIGITS_MAX = 8;
const OWN = { fr: "Français", nl: "Nederlands", de: "Deutsch", en: "English" };

const $ = (id) => document.getElementById(id);
const kept = { get: (name) => { try { return localStorage.getItem(name); } catch { return null; } },
  set: (name, value) => { try { localStorage.setItem(name, value); } catch { /* asked for again next time */ } } };

let secret = "";
let words = null;
let language = "";
let state = null;
let got_ms = 0; // when, by performance.now()
let heard = false; // the last poll was answered
let poll = null;
let shown = "rest";
let check = null; // the check that is under way
let pad = null; // what is being undone
let pin = ""; // never in the document
let pad_until = 0;
const cards = new Map(); // by tag
const reached = new Map(); // press -> when this page saw it reach a stage

// -- the server ---------------------------------------------------------------------------------

class Failed extends Error {}

async function call(path, body, signal = AbortSignal.timeout(POLL_MS)) {
  const headers = { Authorization: `Bearer ${secret}` };
  if (body) headers["Content-Type"] = "application/json";
  const method = body ? "POST" : "GET";
  const answer = await fetch(path, { method, headers, signal, body: body && JSON.stringify(body), cache: "no-store",
    credentials: "omit", redirect: "error", referrerPolicy: "no-referrer" });
  if (!answer.ok) throw Object.assign(new Failed(), { status: answer.status });
  return answer.json();
}

const wait = (ms) => new Promise((done) => setTimeout(done, ms));

// The secret comes behind the address's #. It is kept only once it has opened the page, so that a link
// with a wrong one takes nothing away.
async function start() {
  const given = location.hash.slice(1);
  if (given) history.replaceState(null, "", "/");
  for (const candidate of [given, kept.get("key")].filter(Boolean)) {
    secret = candidate;
    for (;;) {
      try {
        await speak(kept.get("language") ?? "");
        kept.set("key", secret);
        go("home");
        return follow();
      } catch (error) {
        if (error.status === 401 || error.status === 403) break;
        await wait(AGAIN_MS);
      }
    }
  }
}

async function speak(wanted) {
  const answer = await call(`/words?language=${encodeURIComponent(wanted)}`);
  words = answer.words;
  language = answer.language;
  document.documentElement.lang = language;
  for (const node of document.querySelectorAll("[data-word]")) node.textContent = words[node.dataset.word];
  for (const node of document.querySelectorAll("[data-label]")) node.setAttribute("aria-label", words[node.dataset.label]);
  put($("hide"), words.hide);
  const select = $("language");
  select.replaceChildren(...answer.languages.map((code) => new Option(OWN[code], code, false, code === language)));
  select.setAttribute("aria-label", words.language);
  for (const card of cards.values()) card.remove();
  cards.clear();
}

async function follow() {
  let seen = "";
  for (;;) {
    poll = new AbortController();
    try {
      const signal = AbortSignal.any([poll.signal, AbortSignal.timeout(POLL_MS)]);
      const answer = await call(`/status?language=${language}&seen=${seen}`, null, signal);
      note(state, answer);
      state = answer;
      got_ms = performance.now();
      seen = answer.seen;
      heard = true;
    } catch (error) {
      if (error.status === 401 || error.status === 403) return close();
      seen = "";
      if (!poll.signal.aborted) {
        heard = false;
        show();
        await wait(AGAIN_MS);
      }
      continue;
    }
    show();
  }
}

// Another secret rules now: nothing of what was shown may stay.
function close() {
  state = words = check = null;
  $("notices").replaceChildren();
  for (const card of cards.values()) card.remove();
  cards.clear();
  go("rest");
}

// -- words --------------------------------------------------------------------------------------

const say = (word, values = {}) => words[word].replace(/\{(\w+)\}/g, (all, name) => values[name] ?? all);

function put(node, text) {
  if (node.textContent !== text) node.textContent = text; // a screen reader says only what is new
}

const now_ms = () => state.now + performance.now() - got_ms; // by the bridge's clock

function clock(ms) {
  const at = new Date(ms);
  const today = at.toDateString() === new Date(now_ms()).toDateString();
  const date = today ? {} : { day: "numeric", month: "short" };
  return new Intl.DateTimeFormat(language, { ...date, hour: "2-digit", minute: "2-digit", hourCycle: "h23" }).format(at);
}

function ago(ms) {
  const form = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
  const minutes = Math.max(0, Math.floor((now_ms() - ms) / 60000));
  if (minutes < 1) return form.format(0, "minute");
  if (minutes < 60) return form.format(-minutes, "minute");
  if (minutes < 1440) return form.format(-Math.floor(minutes / 60), "hour");
  return form.format(-Math.floor(minutes / 1440), "day");
}

// -- home ---------------------------------------------------------------------------------------

const id = (press) => `${press.tag} ${press.event} ${press.counter}`;

// Only what this page itself has seen happen gets a time.
function note(before, after) {
  for (const tag of after.tags) {
    const earlier = before?.tags.find((other) => other.id === tag.id);
    const press = tag.last;
    if (!press) continue;
    const same = earlier?.last && id(earlier.last) === id(press) ? earlier.last : null;
    for (let stage = (same ?? press).stage + 1; stage <= press.stage; stage += 1) reached.set(`${id(press)} ${stage}`, after.now);
    // A click of its own right is what is to be seen now, unless the page is hidden.
    if (before && !same && shown === "check") go("home");
  }
  if (reached.size > 100) reached.clear();
}

function steps(list, labels, done, now, times = []) {
  while (list.children.length < labels.length) {
    const item = document.createElement("li");
    item.append(...["what", "at", "unseen"].map((name) => Object.assign(document.createElement("span"), { className: name })));
    list.append(item);
  }
  labels.forEach((label, index) => {
    const [what, at, is] = list.children[index].children;
    list.children[index].className = done[index] ? "done" : index === now ? "now" : "";
    put(what, label);
    put(at, done[index] && times[index] ? clock(times[index]) : "");
    put(is, done[index] ? words.is_done : words.is_open);
  });
}

function card(tag) {
  if (!cards.has(tag.id)) {
    const made = $("tag").content.cloneNode(true).firstElementChild;
    for (const node of made.querySelectorAll("[data-word]")) node.textContent = words[node.dataset.word];
    made.querySelector(".undo").addEventListener("click", () => openPad(tag.id));
    $("tags").append(made);
    cards.set(tag.id, made);
  }
  return cards.get(tag.id);
}

function showTag(tag) {
  const at = (selector) => card(tag).querySelector(selector);
  put(at("h2"), state.tags.length > 1 ? `${$("name").querySelector("span").textContent} ${tag.id.slice(-4)}` : "");
  const near = state.listening ? tag.near : null;
  put(at(".near"), state.listening ? say(near === null ? "unsure" : near ? "near" : "far") : words.deaf);
  at(".near").className = `big near ${near === null ? "" : near ? "yes" : "no"}`;
  put(at(".contact"), tag.heard === null ? words.never : say("contact", { ago: ago(tag.heard) }));
  const volts = tag.mv === null ? "" : ` · ${new Intl.NumberFormat(language, { maximumFractionDigits: 2 }).format(tag.mv / 1000)} V`;
  const level = tag.low ? words.low : tag.heard === null && tag.mv === null ? words.unknown : words.good;
  put(at(".battery"), level + volts);
  at(".battery").className = `battery ${tag.low ? "weak" : ""}`;
  const test = tag.test;
  put(at(".checked"), !test ? words.check_none : say(test.felt >= 1 ? "check_fine" : "check_part", { time: clock(test.at) }));
  showLast(tag, at);
}

// After an undo the page says no more than that, whichever PIN it was: whoever watches learns nothing.
function showLast(tag, at) {
  const press = tag.last;
  at(".last").hidden = !press;
  if (!press) return;
  put(at("time"), clock(press.at));
  const undone = press.undo === "done" || press.undo === "kept";
  at(".outcome").hidden = !press.undo && press.stage > 0;
  put(at(".outcome"), press.undo ? say(`undo_${press.undo}`) : words.stage_0);
  at(".steps").hidden = at(".felt").hidden = undone;
  const stages = [1, 2, 3, 4];
  steps(at(".steps"), stages.map((stage) => words[`stage_${stage}`]), stages.map((stage) => press.stage >= stage),
    press.stage, stages.map((stage) => reached.get(`${id(press)} ${stage}`)));
  put(at(".felt"), press.stage < 1 ? "" : press.felt >= press.stage ? words.felt : words.unfelt);
  at(".undo").hidden = !press.can_undo || undone;
}

function showHome() {
  for (const tag of state.tags) showTag(tag);
  for (const [tag, node] of cards) {
    if (!state.tags.some((other) => other.id === tag)) { node.remove(); cards.delete(tag); }
  }
  const { sync, phone, place } = state;
  const when = sync.at === null ? "" : ` · ${clock(sync.at)}`;
  put($("sync"), sync.ok === null ? words.unknown : (sync.ok ? words.sync_yes : words.sync_no) + when);
  $("sync").className = sync.ok === false ? "weak" : "";
  $("phone").parentElement.hidden = phone === null;
  put($("phone"), `${phone} %`);
  const old = place?.doubtful && place.at !== null;
  put($("place"), !place ? words.unknown : old ? say("place_old", { time: clock(place.at) }) : say("place_to", { metres: place.metres }));
  const list = $("notices");
  const now = JSON.stringify(state.notices);
  if (list.dataset.now === now) return;
  list.dataset.now = now;
  list.replaceChildren(...state.notices.map(({ title, text }) => {
    const item = document.createElement("li");
    item.className = "notice";
    item.append(Object.assign(document.createElement("b"), { textContent: title }), text);
    return item;
  }));
}

function show() {
  if (!words || !state) return;
  $("lost").hidden = heard || shown === "rest";
  document.body.classList.toggle("old", !heard);
  put($("lost"), heard ? "" : words.lost);
  showHome();
  if (check) showCheck();
}

function go(where) {
  shown = where;
  for (const view of document.querySelectorAll("main")) view.hidden = view.id !== where;
  $("language").hidden = where !== "home";
  if (where !== "pad") { pin = ""; pad = null; }
  if (where !== "check") check = null;
  ($(where).querySelector("h1") ?? $(where)).focus({ preventScroll: true });
  scrollTo(0, 0);
  show();
}

// -- the check ----------------------------------------------------------------------------------

// What is open keeps the button from taking a check; the button itself gives up after BUSY_MS, once it was sent.
function isBusy({ last }) {
  return Boolean(last) && last.stage < 4 && (last.stage === 0 || state.now - last.at < BUSY_MS);
}

function testOf(tag) { return tag.test ? id(tag.test) : ""; }

async function openCheck() {
  go("check");
  const mine = check = { online: null, before: new Map(state.tags.map((tag) => [tag.id, testOf(tag)])), until: 0 };
  showCheck();
  try {
    mine.online = (await call("/check", {})).ok;
  } catch {
    mine.online = false;
  }
  mine.until = performance.now() + CHECK_MS;
  if (check === mine) showCheck();
}

function showCheck() {
  const fresh = state.tags.filter((tag) => tag.test && testOf(tag) !== check.before.get(tag.id)).map((tag) => tag.test);
  const test = fresh.sort((one, other) => other.at - one.at)[0];
  const sent = Boolean(test && test.stage >= 1);
  // First of all the phone must hear: nobody is asked to click in vain, or is told of an empty battery then.
  const deaf = !state.listening && !test;
  if (deaf && check.until > 0) check.until = performance.now() + CHECK_MS;
  const done = [!deaf, check.online === true || sent, Boolean(test), sent, Boolean(test && test.felt >= 1)];
  const names = ["radio", "sync", "heard", "sent", "felt"];
  const open = done.indexOf(false);
  const late = check.until > 0 && performance.now() > check.until;
  steps($("check-steps"), names.map((name) => words[`step_${name}`]), done, open);
  const missing = !test ? "heard" : sent ? "felt" : "sent";
  const busy = !test && state.tags.some(isBusy);
  const hint = open < 0 ? "" : deaf ? "radio" : busy ? "busy" : late ? missing : check.online === false && !test ? "sync" : "";
  put($("check-say"), open < 0 ? words.check_done : test ? words.check_wait : deaf ? words.check_deaf
    : check.online === null ? words.check_asking : words.check_click);
  $("check-hint").hidden = !hint;
  put($("check-hint"), hint && words[`hint_${hint}`]);
  $("check-again").hidden = !late && open >= 0;
}

// -- undo ---------------------------------------------------------------------------------------

function openPad(tag) {
  const press = state.tags.find((other) => other.id === tag)?.last;
  if (!press?.can_undo) return;
  go("pad");
  pad = { tag: press.tag, event: press.event, counter: press.counter };
  put($("pad-say"), words.undo_say);
  drawPad();
}

function drawPad() {
  pad_until = performance.now() + PAD_MS;
  put($("dots"), "●".repeat(pin.length));
  put($("say"), pin ? say("digits", { count: pin.length }) : "");
  for (const key of $("keys").children) key.disabled = pad === null || pad.busy === true;
}

function type(key) {
  if (!pad || pad.busy) return;
  if (key === "Enter") { send(); return; }
  if (key === "Backspace") pin = pin.slice(0, -1);
  else if (pin.length < DIGITS_MAX) pin += key;
  drawPad();
}

async function send() {
  if (pin.length < DIGITS_MIN) return;
  const mine = pad;
  const body = { ...mine, pin };
  pin = "";
  mine.busy = true;
  put($("pad-say"), words.sending);
  drawPad();
  let outcome = "failed";
  try {
    ({ outcome } = await call("/undo", body));
  } catch { /* said below */ }
  body.pin = "";
  if (pad !== mine) return;
  mine.busy = false;
  if (outcome === "done" || outcome === "kept") {
    go("home");
    put($("say"), words[`undo_${outcome}`]);
    return;
  }
  put($("pad-say"), words[`undo_${outcome}`] ?? words.undo_failed);
  drawPad();
}

// -- hands --------------------------------------------------------------------------------------

function hide() { go(shown === "rest" ? "home" : "rest"); }

$("name").addEventListener("click", () => { if (words) hide(); });
$("go-check").addEventListener("click", () => { if (state) openCheck(); });
$("check-again").addEventListener("click", openCheck);
$("check-back").addEventListener("click", () => go("home"));
$("pad-back").addEventListener("click", () => go("home"));
$("keys").addEventListener("click", (event) => {
  const key = event.target.closest("button");
  if (key) type(key.dataset.key);
});
$("language").addEventListener("change", async (event) => {
  const wanted = event.target.value;
  try {
    await speak(wanted);
    kept.set("language", wanted);
    $("notices").dataset.now = "";
    poll?.abort();
  } catch { event.target.value = language; }
  show();
});
document.addEventListener("keydown", (event) => {
  if (!words || event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.key === "Escape") { hide(); return; }
  if (shown !== "pad" || !/^(\d|Backspace|Enter)$/.test(event.key)) return;
  if (event.key === "Enter" && event.target.closest("button")) return; // that button takes it itself
  event.preventDefault();
  type(event.key);
});
// Who comes back to this page later may be somebody else.
document.addEventListener("visibilitychange", () => {
  if (document.hidden && shown === "pad") go("home");
});
addEventListener("hashchange", () => location.reload());

function tick() {
  if (shown === "pad" && !pad?.busy && performance.now() > pad_until) go("home");
  show();
}

setInterval(tick, 1000);
start();
