"use strict";
// An alarm that nobody has taken is heard. Made here, of two tones, so that no file can be missing.
// A browser lets no page sound before a hand has touched it: until then the page says so, big.

const sound = (() => {
  // By level of escalation (centre/rules/escalation.py): how often, how loud, how many pairs of tones.
  const LEVELS = [
    { every_ms: 4000, gain: 0.25, pairs: 2 },
    { every_ms: 2500, gain: 0.5, pairs: 3 },
    { every_ms: 1500, gain: 0.8, pairs: 3 },
    { every_ms: 1200, gain: 1, pairs: 4 },
  ];
  const OTHERS = 2; // from here on also where somebody said to be away
  const TROUBLE = { every_ms: 5000, gain: 0.5, pairs: 1 }; // no alarm would be seen, or taken, here
  const TONE_S = 0.14;
  let context = null;
  let wanted = true;
  let last_ms = -Infinity;
  let played = 0;

  const is_on = () => wanted && context?.state === "running";

  /** `low`: of the page itself, not of an alarm. */
  function play({ gain, pairs }, low = false) {
    played += 1;
    const volume = context.createGain();
    volume.gain.value = gain;
    volume.connect(context.destination);
    for (let n = 0; n < pairs * 2; n += 1) {
      const tone = context.createOscillator();
      tone.type = "square";
      const [first, second] = low ? [294, 220] : [988, 740]; // a falling third or fourth: no telephone rings so
      tone.frequency.value = n % 2 ? second : first;
      tone.connect(volume);
      const at = context.currentTime + n * TONE_S;
      tone.start(at);
      tone.stop(at + TONE_S * 0.9);
    }
  }

  function show(waits) {
    const button = document.getElementById("sound");
    const on = is_on();
    button.textContent = on ? `♪ ${words.sound_on}` : `✕ ${words.sound_off} · ${words.sound_try}`;
    button.setAttribute("aria-pressed", String(on));
    button.classList.toggle("off", !on);
    document.getElementById("mute").hidden = on || !waits;
  }

  async function wake() {
    context ??= new AudioContext();
    if (context.state !== "running") await context.resume().catch(() => {}); // the page is being left
    tick();
  }

  return {
    /** Called once a second and whenever the board has changed. */
    follow(told, trouble) {
      const away = own.away === "true" && told.level < OTHERS && !told.all_away;
      const waits = told.untaken > 0 && !away;
      if (waits && is_on() && performance.now() - last_ms >= LEVELS[told.level].every_ms - 100) {
        last_ms = performance.now();
        play(LEVELS[told.level]);
      }
      if (trouble && !waits && is_on() && performance.now() - last_ms >= TROUBLE.every_ms - 100) {
        last_ms = performance.now();
        play(TROUBLE, true);
      }
      show(waits);
    },
    /** On: it is heard once, as a try. Off only by a hand. */
    async toggle() {
      wanted = document.getElementById("sound").getAttribute("aria-pressed") !== "true"; // as it was shown
      if (wanted) {
        await wake();
        if (is_on()) play(LEVELS[0]);
      }
      tick();
    },
    is_on,
    played: () => played,
    wake,
  };
})();

// Some browsers sound at once (page.js); others wait for a key or a click: it is tried until it sounds.
for (const kind of ["keydown", "pointerdown"]) {
  document.addEventListener(kind, () => setTimeout(sound.wake)); // after what it is for
}
