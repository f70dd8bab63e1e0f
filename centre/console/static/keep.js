"use strict";
// What was typed is not lost where the session is over, or the centre is away: the page asks before it sends.

for (const form of document.querySelectorAll("form[data-user]")) {
  const show = (id) => {
    for (const notice of document.querySelectorAll(".kept")) notice.hidden = notice.id !== id;
    document.getElementById(id)?.scrollIntoView({ block: "center" });
  };
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      const answer = await fetch("/console/here", { signal: AbortSignal.timeout(10000) });
      if (!answer.ok || answer.headers.get("X-User") !== form.dataset.user) return show("kept-over");
      form.elements.csrf.value = answer.headers.get("X-CSRF-Token"); // of a new session, where there is one
      show("");
      form.submit();
    } catch {
      show("kept-away");
    }
  });
}
