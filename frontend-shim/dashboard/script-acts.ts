// The part of the dashboard's script that acts: one call, one message with what it did, ten seconds to take it back.

export const ACTS = `
async function ask(method, path, body) {
  try {
    const answer = await fetch("api/v1/" + path, { method, cache: "no-store", headers: body === undefined ? {} : { "content-type": "application/json" }, body: method === "GET" ? undefined : JSON.stringify(body ?? {}) });
    const read = await answer.json();
    if (answer.ok) return { ok: true, body: read };
    const ended = read.error?.reason === "session_ended" || answer.status === 401;
    return { ok: false, message: ended ? "Your session has ended. Reload this page to sign in again." : (read.error?.message ?? "The workshop answered " + answer.status + "."), ended };
  } catch {
    return { ok: false, message: "The workshop did not answer, so this may not have been done. Look at how it stands, then try again." };
  }
}

let toastTimer = 0;
function toast(text, bad, undo) {
  clearInterval(toastTimer);
  by("toast").hidden = false;
  by("toast").className = bad ? "toast bad" : "toast";
  put("toast-text", text);
  by("toast-undo").hidden = !undo;
  by("toast-undo").onclick = undo ? () => { void act("POST", "undo/" + undo.id); } : null;
  const end = undo ? undo.until : now() + (bad ? 15000 : 6000);
  const count = () => {
    const left = Math.ceil((end - now()) / 1000);
    if (left <= 0) { clearInterval(toastTimer); by("toast").hidden = true; return; }
    if (undo) { by("toast-undo").textContent = "Undo (" + left + ")"; by("toast-undo").setAttribute("aria-label", "Undo: " + undo.does); }
  };
  count();
  toastTimer = setInterval(count, 250);
}
by("toast-close").addEventListener("click", () => { clearInterval(toastTimer); by("toast").hidden = true; });

let acting = false;
async function act(method, path, body) {
  if (acting) return null;
  acting = true;
  const answer = await ask(method, path, body);
  acting = false;
  if (!answer.ok) { toast(answer.message, true, null); return null; }
  toast(answer.body.did, false, answer.body.undo);
  void showFound();
  return answer.body;
}

for (const one of document.querySelectorAll("[data-act=switch]")) one.addEventListener("click", () => act("PUT", "switch", { to: one.dataset.value }));
for (const one of document.querySelectorAll("[data-act=mode]")) one.addEventListener("click", () => act("PUT", "mode", { mode: one.dataset.value }));
by("demo").addEventListener("click", () => act("PUT", "demo", { on: by("demo").getAttribute("aria-pressed") !== "true" }));
by("announce").addEventListener("submit", async (event) => {
  event.preventDefault();
  const seat = by("notice-seat").value;
  const done = await act("POST", "notices", { text: by("notice").value, seat: seat === "" ? null : seat });
  if (done) by("notice").value = "";
});
`;
