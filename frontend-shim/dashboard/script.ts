// The dashboard's script, as text: it runs in the browser, below a policy that lets in this one script only. Values become text nodes, never markup.

export const SCRIPT = `
const by = (id) => document.getElementById(id);
const put = (id, value) => { by(id).textContent = String(value); };
const cell = (text, tone) => { const td = document.createElement("td"); td.textContent = text; if (tone) td.className = tone; return td; };
const row = (...cells) => { const tr = document.createElement("tr"); tr.append(...cells); return tr; };
const ago = (ms, now) => { const s = Math.max(0, Math.round((now - ms) / 1000)); return s < 90 ? s + " s ago" : Math.round(s / 60) + " min ago"; };
let chosen = null;
let shownSeats = "";

async function ask(path) {
  const answer = await fetch(path, { cache: "no-store" });
  if (answer.status === 401 || answer.status === 403) { by("fresh").textContent = "Your session has ended. Reload this page to sign in again."; by("fresh").className = "bad"; throw new Error("ended"); }
  if (!answer.ok) throw new Error("The workshop answered " + answer.status + ".");
  return answer.json();
}

function showRunners(runners, now) {
  const rows = runners.map((runner) => row(cell(runner.gpu ?? "not reported"), cell(runner.pool), cell(runner.busy ? "busy" : "idle", runner.busy ? "warn" : "good"), cell(runner.comfyui ?? "not reported"), cell(ago(runner.last_seen, now))));
  if (rows.length === 0) { const none = cell("No GPU is connected. Prompts wait until a runner is started.", "warn"); none.colSpan = 5; rows.push(row(none)); }
  by("runners").replaceChildren(...rows);
}

function showSeats(seats) {
  const names = seats.filter((seat) => seat.role === "participant").map((seat) => seat.seat);
  if (names.join() === shownSeats) return;
  shownSeats = names.join();
  by("seats").replaceChildren(...names.map((name) => {
    const item = document.createElement("li");
    const link = document.createElement("a");
    link.href = "#" + name;
    link.textContent = name;
    link.addEventListener("click", () => { chosen = name; void showJobs(); });
    item.append(link);
    return item;
  }));
}

async function showJobs() {
  if (chosen === null) return;
  const seat = chosen;
  const found = await ask("api/seats/" + seat + "/jobs");
  if (seat !== chosen) return;
  by("jobs").hidden = false;
  put("jobs-of", "Jobs of " + seat + " (" + found.total + ")");
  const tones = { succeeded: "good", failed: "bad", running: "warn", dispatched: "warn", stopping: "warn" };
  const rows = found.jobs.map((job) => row(cell(String(job.number)), cell(job.state, tones[job.state]), cell(new Date(job.created).toLocaleTimeString()), cell(job.started && job.ended ? ((job.ended - job.started) / 1000).toFixed(1) + " s" : "–")));
  if (rows.length === 0) { const none = cell("Nothing submitted yet."); none.colSpan = 4; rows.push(row(none)); }
  by("job-rows").replaceChildren(...rows);
}

async function refresh() {
  try {
    const state = await ask("api/state");
    const now = Date.now();
    const { jobs, runners, sockets, mode, switches } = state.health;
    put("title", state.title);
    put("waiting", jobs.waiting); put("live", jobs.live); put("ended", jobs.ended); put("sockets", sockets); put("mode", mode); put("switches", switches);
    showRunners(runners, now);
    showSeats(state.seats);
    await showJobs();
    by("fresh").className = "soft";
    put("fresh", "As of " + new Date(now).toLocaleTimeString());
    return 2000;
  } catch (error) {
    if (error.message === "ended") return null;
    by("fresh").className = "bad";
    put("fresh", "No answer (" + error.message + "). What is shown may be old; asking again.");
    return 5000;
  }
}

async function live() {
  const wait = document.visibilityState === "visible" ? await refresh() : 1000;
  if (wait !== null) setTimeout(live, wait);
}
void live();
`;
