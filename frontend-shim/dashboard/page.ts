// The instructor's page: what the workshop's object says right now, nothing guessed in between. Asked every two seconds while the page is looked at.
import { html, page } from "../join/page.ts";
import { SCRIPT } from "./script.ts";

export function dashboardPage(workshop: string): Response {
  return page({
    title: `Dashboard · ${workshop}`,
    script: SCRIPT,
    body: html`<h1 id="title">${workshop}</h1>
<p class="soft" id="fresh" role="status">Asking the workshop …</p>
<section aria-labelledby="now"><h2 id="now">Right now</h2>
<dl class="figures"><div><dt>Waiting</dt><dd id="waiting">–</dd></div><div><dt>Under way</dt><dd id="live">–</dd></div><div><dt>Finished</dt><dd id="ended">–</dd></div><div><dt>Pages open</dt><dd id="sockets">–</dd></div></dl>
<p class="soft">Queue: <span id="switches">–</span>, order: <span id="mode">–</span></p></section>
<section aria-labelledby="gpus"><h2 id="gpus">Runners</h2>
<table><thead><tr><th scope="col">GPU</th><th scope="col">Pool</th><th scope="col">State</th><th scope="col">ComfyUI</th><th scope="col">Last heard</th></tr></thead><tbody id="runners"></tbody></table></section>
<section aria-labelledby="room"><h2 id="room">Seats</h2>
<ul class="seats" id="seats"></ul></section>
<section aria-labelledby="jobs-of" id="jobs" hidden><h2 id="jobs-of">Jobs</h2>
<table><thead><tr><th scope="col">No.</th><th scope="col">State</th><th scope="col">Submitted</th><th scope="col">Took</th></tr></thead><tbody id="job-rows"></tbody></table></section>
<form method="post" action="/${workshop}/logout"><input type="hidden" name="seat" value="instructor"><footer><a href="/${workshop}/instructor/">My own ComfyUI seat</a> · <a href="/health">Health</a><br><button type="submit">Sign out</button></footer></form>`,
  });
}
