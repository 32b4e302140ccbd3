// The part of the dashboard's script that listens: the overview's socket, with a pause that grows and trembles between two tries, so that a room full of
// pages does not come back all at once. While there is no socket the page asks every few seconds, and says how old what it shows is.

export const LIVE = `
let revision = null;
let seen = 0;
let tries = 0;
let socket = null;

function take(frame) {
  skew = Date.now() - frame.at;
  revision = frame.revision;
  seen = Date.now();
  show(frame.overview);
  if (frame.overview.counts) void showFound();
}

function connect() {
  const since = revision === null ? "" : "?since=" + revision;
  socket = new WebSocket(new URL("api/v1/socket" + since, location.href.replace(/^http/, "ws")));
  socket.onmessage = ({ data }) => { tries = 0; take(JSON.parse(data)); said(); };
  socket.onclose = () => { socket = null; said(); setTimeout(again, Math.min(15000, 500 * 2 ** tries) * (0.5 + Math.random())); tries++; };
}

async function again() {
  if (document.visibilityState === "hidden") { setTimeout(again, 2000); return; }
  const state = await ask("GET", "state");
  if (state.ok) take(state.body);
  else if (state.ended) { by("fresh").className = "bad"; put("fresh", state.message); return; }
  said();
  connect();
}

function said() {
  const live = socket !== null && socket.readyState === WebSocket.OPEN;
  by("fresh").className = live || seen === 0 ? "soft" : "bad";
  if (seen === 0) return;
  put("fresh", live ? "Live" : "The connection is gone; what is shown is of " + clock(seen) + ". Trying again.");
}

// Times run on between two messages.
setInterval(() => { if (shown.jobs) showJobs(); }, 5000);
connect();
`;
