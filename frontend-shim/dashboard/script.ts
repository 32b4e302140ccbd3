// The dashboard's script, as text: it runs in the browser, below a policy that lets in this one script only. Values become text nodes, never markup;
// rows are kept and changed in place, so that a button under somebody's finger stays where it is.
import { ACTS } from "./script-acts.ts";
import { LIVE } from "./script-live.ts";

const SHOW = `
const by = (id) => document.getElementById(id);
const put = (id, value) => { const text = String(value); if (by(id).textContent !== text) by(id).textContent = text; };
const fill = (cell, text, tone) => { if (cell.textContent !== text) cell.textContent = text; if (cell.className !== (tone ?? "")) cell.className = tone ?? ""; };
let skew = 0;
const now = () => Date.now() - skew;
const span = (ms) => { const s = Math.max(0, Math.round(ms / 1000)); return s < 90 ? s + " s" : Math.round(s / 60) + " min"; };
const clock = (ms) => new Date(ms).toLocaleTimeString();

/** Brings a table's body in line with a list: one row per key, kept while its key is there. */
function rows(body, items, key, make, change, empty) {
  const there = new Map([...body.children].map((row) => [row.dataset.key, row]));
  const wanted = items.map((item) => {
    let row = there.get(key(item));
    if (!row) { row = make(item); row.dataset.key = key(item); }
    change(row, item);
    return row;
  });
  if (wanted.length === 0) { const row = document.createElement("tr"); const cell = row.insertCell(); cell.colSpan = 9; cell.textContent = empty; cell.className = "soft"; wanted.push(row); }
  if (wanted.length === body.children.length && wanted.every((row, index) => body.children[index] === row)) return;
  // A row that moves takes its button out of the page for a moment, and the focus with it.
  const focused = document.activeElement;
  body.replaceChildren(...wanted);
  if (body.contains(focused)) focused.focus({ preventScroll: true });
}
function plainRow(cells) {
  const row = document.createElement("tr");
  for (let n = 0; n < cells; n++) row.insertCell();
  return row;
}
function button(text, label, press) {
  const made = document.createElement("button");
  made.type = "button"; made.className = "small"; made.textContent = text; made.setAttribute("aria-label", label);
  made.addEventListener("click", () => press(made));
  return made;
}

const MEANS = {
  open: "Prompts are taken and started.", paused: "Prompts are taken and wait. What runs runs on.",
  draining: "No new prompts are taken. It closes by itself when everything has ended.", closed: "No prompts are taken and none are started.",
};
const REASONS = {
  paused: "the workshop is paused", seat_paused: "its seat is paused", closed: "the workshop is closed", budget: "the budget is used up", no_gpu: "no GPU is connected",
  no_capable_gpu: "no GPU has what it needs", group_closed: "no GPU serves its group", beyond_a_day: "not within a day", being_placed: "being placed",
};
const PHASES = { gpu_starting: "its GPU starts up", inputs: "fetching its files", loading: "loading its model", uploading: "storing its files", executing: "running" };
const TONES = { running: "warn", dispatched: "warn", stopping: "warn", succeeded: "good", failed: "bad" };

function when(job) {
  const live = job.live;
  if (!live) return "";
  if (job.state !== "waiting") return [live.slot, live.phase ? PHASES[live.phase.name] : job.state === "dispatched" ? "handed over" : job.state === "stopping" ? "being stopped" : "taken by its GPU", job.started ? "for " + span(now() - job.started) : null].filter(Boolean).join(", ");
  if (!live.eta) return "no time: " + (REASONS[live.reason] ?? live.reason);
  const [from, to] = [live.eta.from - now(), live.eta.to - now()];
  if (to < 15000) return "any moment";
  return "in about " + span(from) + (span(to) === span(from) ? "" : " (up to " + span(to) + ")");
}

const shown = {};
function show(overview) {
  Object.assign(shown, overview);
  if (overview.workshop) showWorkshop(overview.workshop);
  if (overview.counts) { const c = overview.counts; put("waiting", c.waiting); put("live", c.dispatched + c.running + c.stopping); put("succeeded", c.succeeded); put("failed", c.failed); put("cancelled", c.cancelled); }
  if (overview.jobs) showJobs();
  if (overview.seats) showSeats(overview.seats);
  if (overview.room) showRoom(overview.room);
}

function showWorkshop(workshop) {
  put("title", workshop.title);
  put("means", MEANS[workshop.switch] ?? "");
  for (const one of document.querySelectorAll("[data-act=switch],[data-act=mode]")) one.setAttribute("aria-pressed", String(workshop[one.dataset.act] === one.dataset.value));
  by("demo").setAttribute("aria-pressed", String(workshop.demo_until !== null));
  put("demo", workshop.demo_until === null ? "Switch on" : "On: switch off");
  put("demo-until", workshop.demo_until === null ? "" : "until " + clock(workshop.demo_until) + "; the instructor's prompts go first");
}

function showJobs() {
  const { shown: jobs, more } = shown.jobs;
  rows(by("jobs"), jobs, (job) => job.job, jobRow, changeJob, "Nobody waits and nothing runs.");
  put("jobs-more", more === 0 ? "" : "and " + more + " more");
}
function jobRow(job) {
  const row = plainRow(6);
  const name = job.job.slice(-8) + " of " + job.seat;
  const acts = row.cells[5];
  row.front = button("To the front", "Move job " + name + " to the front", () => act("POST", "jobs/" + job.job + (row.bumped ? "/unbump" : "/bump")));
  acts.append(row.front, button("Cancel", "Cancel job " + name, () => act("POST", "jobs/" + job.job + "/cancel")));
  return row;
}
function changeJob(row, job) {
  const [place, seat, state, time, submitted, acts] = row.cells;
  fill(place, job.live && job.live.place !== null ? String(job.live.place) : "", "num");
  fill(seat, job.seat);
  fill(state, job.state + (job.live && job.live.lane !== "normal" ? " (" + job.live.lane + ")" : ""), TONES[job.state]);
  fill(time, when(job));
  fill(submitted, clock(job.created), "num");
  acts.className = "acts";
  row.bumped = job.live?.lane === "demo";
  row.front.textContent = row.bumped ? "Back in line" : "To the front";
  row.front.hidden = job.state !== "waiting";
}

function showSeats(seats) {
  const people = seats.filter((seat) => seat.role === "participant");
  put("pages", seats.reduce((sum, seat) => sum + seat.pages, 0));
  rows(by("seats"), people, (seat) => seat.seat, seatRow, changeSeat, "This workshop has no seats yet.");
  const choice = by("notice-seat");
  if (choice.options.length !== people.length + 1) choice.replaceChildren(new Option("everybody", ""), ...people.map((seat) => new Option(seat.seat, seat.seat)));
}
function seatRow(seat) {
  const row = plainRow(6);
  const link = document.createElement("a");
  link.href = "#jobs-of"; link.textContent = seat.seat;
  link.addEventListener("click", () => { chosen = seat.seat; void showFound(); });
  row.cells[0].append(link);
  row.pause = button("Pause", "Pause the seat " + seat.seat, () => act("PUT", "seats/" + seat.seat + "/paused", { paused: !row.paused }));
  row.cells[5].append(row.pause);
  return row;
}
function changeSeat(row, seat) {
  fill(row.cells[1], String(seat.pages), "num"); fill(row.cells[2], String(seat.waiting), "num"); fill(row.cells[3], String(seat.live), "num");
  fill(row.cells[4], seat.paused ? "paused" : seat.group ? "group " + seat.group : "", seat.paused ? "warn" : "");
  row.cells[5].className = "acts";
  row.paused = seat.paused;
  row.pause.textContent = seat.paused ? "Go on" : "Pause";
  row.pause.setAttribute("aria-label", (seat.paused ? "Let " + seat.seat + " go on" : "Pause the seat " + seat.seat));
}

function showRoom(room) {
  rows(by("runners"), room.runners, (runner) => runner.id, () => plainRow(5), (row, runner) => {
    fill(row.cells[0], runner.gpu ?? "not reported"); fill(row.cells[1], runner.pool); fill(row.cells[2], runner.says, runner.busy || runner.stage !== "ready" ? "warn" : "good");
    fill(row.cells[3], runner.comfyui ?? "not reported"); fill(row.cells[4], "since " + clock(runner.last_seen));
  }, "No GPU is connected. Prompts wait until a runner is started.");
  showNotices(by("notices"), room.notices);
}
function showNotices(list, notices) {
  const wanted = notices.map((notice) => String(notice.id)).join();
  if (list.dataset.shown === wanted) return;
  list.dataset.shown = wanted;
  list.replaceChildren(...notices.map((notice) => {
    const item = document.createElement("li");
    const text = document.createElement("span");
    text.textContent = (notice.seat ? "To " + notice.seat + ": " : "") + notice.text;
    item.append(text, button("Take down", "Take down the notice " + notice.text, () => act("DELETE", "notices/" + notice.id)));
    return item;
  }));
}

let chosen = null;
async function showFound() {
  if (chosen === null) return;
  const seat = chosen;
  const page = await ask("GET", "jobs?limit=25&seat=" + seat);
  if (seat !== chosen || !page.ok) return;
  by("found").hidden = false;
  put("jobs-of", "Jobs of " + seat);
  rows(by("found-rows"), page.body.jobs, (job) => job.job, () => plainRow(5), (row, job) => {
    fill(row.cells[0], String(job.number), "num"); fill(row.cells[1], job.job.slice(-8)); fill(row.cells[2], job.state + (job.error ? ": " + job.error : ""), TONES[job.state]);
    fill(row.cells[3], clock(job.created), "num"); fill(row.cells[4], job.started && job.ended ? ((job.ended - job.started) / 1000).toFixed(1) + " s" : "–", "num");
  }, "Nothing submitted yet.");
}
`;

export const SCRIPT = `${SHOW}${ACTS}${LIVE}`;
