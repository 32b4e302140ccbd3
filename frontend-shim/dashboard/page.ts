// The instructor's page: what the workshop's object says right now, nothing guessed in between, and the acts it can carry out (docs/instructor-api.md).
import { html, page } from "../join/page.ts";
import { SCRIPT } from "./script.ts";
import { STYLE } from "./style.ts";

const SWITCHES = [
  ["open", "Open", "Takes prompts and starts them"],
  ["paused", "Pause", "Takes prompts, starts none; what runs runs on"],
  ["draining", "Drain", "Takes no more prompts, finishes what waits, then closes"],
  ["closed", "Close", "Takes no prompts and starts none"],
] as const;
const MODES = [
  ["fair", "Fair", "GPU time is shared fairly between seats"],
  ["round_robin", "In turn", "One job of each seat after the other"],
  ["fifo", "First come", "In the order of arrival"],
  ["priority", "By class", "Classes first, fair within a class"],
] as const;

export function dashboardPage(workshop: string): Response {
  const choices = (act: string, list: typeof SWITCHES | typeof MODES) => list.map(([value, label, title]) => html`<button type="button" class="choice" data-act="${act}" data-value="${value}" aria-pressed="false" title="${title}">${label}</button>`);
  return page({
    title: `Dashboard · ${workshop}`,
    script: SCRIPT,
    style: STYLE,
    body: html`<h1 id="title">${workshop}</h1>
<p class="soft" id="fresh" role="status">Connecting to the workshop …</p>
<section aria-labelledby="now"><h2 id="now">Right now</h2>
<dl class="figures"><div><dt>Waiting</dt><dd id="waiting">–</dd></div><div><dt>Under way</dt><dd id="live">–</dd></div><div><dt>Finished</dt><dd id="succeeded">–</dd></div><div><dt>Failed</dt><dd id="failed">–</dd></div><div><dt>Cancelled</dt><dd id="cancelled">–</dd></div><div><dt>Pages open</dt><dd id="pages">–</dd></div></dl>
<p class="soft" id="means"></p></section>
<section aria-labelledby="steer"><h2 id="steer">Steer</h2>
<div class="card steer">
<div role="group" aria-labelledby="switch-label"><span class="label" id="switch-label">Workshop</span>${choices("switch", SWITCHES)}</div>
<div role="group" aria-labelledby="mode-label"><span class="label" id="mode-label">Order</span>${choices("mode", MODES)}</div>
<div role="group" aria-labelledby="demo-label"><span class="label" id="demo-label">Demo</span><button type="button" class="choice" id="demo" data-act="demo" aria-pressed="false" title="While it is on, prompts of the instructor's seat go first">Demo</button> <span class="soft" id="demo-until"></span></div>
<form id="announce" class="announce"><label class="label" for="notice">Tell</label><select id="notice-seat" aria-label="Who hears it"><option value="">everybody</option></select><input id="notice" name="text" maxlength="500" autocomplete="off" required><button type="submit" class="choice">Announce</button></form>
<ul class="notices" id="notices" aria-label="Notices that still hold"></ul>
</div></section>
<section aria-labelledby="line"><h2 id="line">The line</h2>
<table class="line"><thead><tr><th scope="col">Place</th><th scope="col">Seat</th><th scope="col">State</th><th scope="col">When</th><th scope="col">Submitted</th><th scope="col"><span class="hidden">Acts</span></th></tr></thead><tbody id="jobs"></tbody></table>
<p class="soft" id="jobs-more"></p></section>
<section aria-labelledby="gpus"><h2 id="gpus">Runners</h2>
<table><thead><tr><th scope="col">GPU</th><th scope="col">Pool</th><th scope="col">State</th><th scope="col">ComfyUI</th><th scope="col">Connected</th></tr></thead><tbody id="runners"></tbody></table></section>
<section aria-labelledby="room"><h2 id="room">Seats</h2>
<table><thead><tr><th scope="col">Seat</th><th scope="col">Pages open</th><th scope="col">Waiting</th><th scope="col">Under way</th><th scope="col">State</th><th scope="col"><span class="hidden">Acts</span></th></tr></thead><tbody id="seats"></tbody></table></section>
<section aria-labelledby="jobs-of" id="found" hidden><h2 id="jobs-of">Jobs</h2>
<table><thead><tr><th scope="col">No.</th><th scope="col">Job</th><th scope="col">State</th><th scope="col">Submitted</th><th scope="col">Took</th></tr></thead><tbody id="found-rows"></tbody></table></section>
<form method="post" action="/${workshop}/logout"><input type="hidden" name="seat" value="instructor"><footer><a href="/${workshop}/instructor/">My own ComfyUI seat</a> · <a href="/health">Health</a><br><button type="submit">Sign out</button></footer></form>
<div class="toast" id="toast" role="status" hidden><span id="toast-text"></span><button type="button" id="toast-undo" hidden>Undo</button><button type="button" id="toast-close" aria-label="Close this message">×</button></div>`,
  });
}
