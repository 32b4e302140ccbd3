// The pages before a seat: what this is, who sits where, sign in, how the service is. Each says what to do next.
import { type Html, html, page } from "./page.ts";

/** `/`: what this is and where to go. */
export function landingPage(defaultWorkshop: string): Response {
  return page({
    title: "ComfyUMe Edge",
    body: html`<h1>One ComfyUI for the whole room</h1>
<p>Everybody in the workshop opens the real ComfyUI in a browser. Prompts wait in one fair queue for a few shared GPUs, and pictures and films appear on your own canvas, yours alone.</p>
<p><a class="button" href="/${defaultWorkshop}/">Go to the workshop “${defaultWorkshop}”</a></p>
<p class="soft">In another workshop? Use the address your instructor gave you; it looks like <code>/name/user001/</code>. <a href="/health">How the service is</a></p>`,
  });
}

/** `/{workshop}/`: the seats there really are, each leading to its sign-in. */
export function workshopPage(workshop: string, title: string, seats: string[]): Response {
  const list: Html[] = seats.map((seat) => html`<li><a href="/${workshop}/${seat}/">${seat}</a></li>`);
  return page({
    title: `${title} · ComfyUMe Edge`,
    body: html`<h1>${title}</h1>
<p>Choose your seat and sign in with the password on your card. Your workflows, uploads and results are kept in your seat and shown to nobody else in the room.</p>
<nav aria-label="Seats"><ul class="seats">${list}</ul></nav>
<p class="soft"><a href="/${workshop}/dashboard/">I am the instructor</a> · <a href="/health">How the service is</a></p>`,
  });
}

export type LoginForm = { workshop: string; seat: string; next: string; /** What went wrong, and what to do. */ fault?: string; status?: number; headers?: Record<string, string> };

/** The sign-in form; works without a script, and password managers recognise it. */
export function loginPage(form: LoginForm): Response {
  const fault = form.fault === undefined ? "" : html`<div class="alert" role="alert" id="fault">${form.fault}</div>`;
  const known = form.seat !== "";
  return page({
    title: `Sign in · ${form.workshop}`,
    narrow: true,
    ...(form.status === undefined ? {} : { status: form.status }),
    ...(form.headers === undefined ? {} : { headers: form.headers }),
    body: html`<h1>Sign in</h1>
<p class="soft">Workshop “${form.workshop}”. Your seat and its password are on the card you were given.</p>
${fault}
<form class="card" method="post" action="/${form.workshop}/login">
<input type="hidden" name="next" value="${form.next}">
<label for="seat">Seat</label>
<input id="seat" name="seat" value="${form.seat}" autocomplete="username" autocapitalize="none" spellcheck="false" required ${known ? "" : "autofocus"} placeholder="user001">
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required ${known ? "autofocus" : ""}>
<button type="submit">Sign in</button>
</form>
<p class="soft">Lost the card? Ask the instructor for a new password; your work stays.</p>`,
  });
}

/** A page for an address that leads nowhere. */
export function lostPage(message: string, status = 404): Response {
  return page({ title: "Not found · ComfyUMe Edge", status, body: html`<h1>Nothing here</h1><p>${message}</p><p><a class="button" href="/">To the start page</a></p>` });
}

export type HealthView = { status: "ok" | "degraded" | "down"; parts: { name: string; state: "ok" | "idle" | "missing" | "down"; says: string }[] };

/** `/health` for people; the same facts as its JSON. */
export function healthPage(view: HealthView): Response {
  const tone = { ok: "good", idle: "good", missing: "warn", down: "bad" } as const;
  const rows = view.parts.map((part) => html`<tr><th scope="row">${part.name}</th><td class="${tone[part.state]}">${part.state}</td><td>${part.says}</td></tr>`);
  const headline = { ok: "All is well", degraded: "Working, with gaps", down: "Something is down" }[view.status];
  return page({
    title: `${headline} · ComfyUMe Edge`,
    status: view.status === "down" ? 503 : 200,
    body: html`<h1>${headline}</h1><table><thead><tr><th scope="col">Part</th><th scope="col">State</th><th scope="col">What it says</th></tr></thead><tbody>${rows}</tbody></table>`,
  });
}
