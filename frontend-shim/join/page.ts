// The frame of our own pages: plain HTML, one stylesheet, light and dark, readable without a script. Everything put into it is escaped.

/** Text that goes into HTML as text. `html` escapes every value that was not made by `html` itself. */
export class Html {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** A template whose values cannot break out: strings are escaped, `Html` and lists of it are taken as they are. */
export function html(parts: TemplateStringsArray, ...values: (string | number | Html | Html[])[]): Html {
  return new Html(parts.map((part, index) => part + render(values[index] ?? "")).join(""));
}

function render(value: string | number | Html | Html[]): string {
  if (value instanceof Html) return value.text;
  if (Array.isArray(value)) return value.map((item) => item.text).join("");
  return String(value).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;").replaceAll("'", "&#39;");
}

const STYLE = `
:root{color-scheme:light dark;--ink:#1a1d23;--soft:#5a6270;--paper:#f6f7f9;--card:#fff;--line:#dde1e7;--accent:#0b6bcb;--on-accent:#fff;--bad:#b3261e;--good:#1b7f3b;--warn:#9a5b00}
@media(prefers-color-scheme:dark){:root{--ink:#eceff4;--soft:#a3acb9;--paper:#14161a;--card:#1d2026;--line:#333942;--accent:#6cb6ff;--on-accent:#0b1420;--bad:#ff8a80;--good:#7ddc98;--warn:#ffc266}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:62rem;margin:0 auto;padding:clamp(1.5rem,5vw,4rem) 1.25rem}
main.narrow{max-width:26rem}
h1{font-size:clamp(1.6rem,4vw,2.3rem);line-height:1.2;margin:0 0 .5rem;letter-spacing:-.01em}
h2{font-size:1.1rem;margin:2rem 0 .75rem}
p{margin:.5rem 0 1rem;max-width:46rem}
.soft{color:var(--soft)}
.brand{display:flex;align-items:center;gap:.6rem;color:var(--soft);font-weight:600;margin-bottom:1.5rem;text-decoration:none}
.brand svg{width:1.7rem;height:1.7rem}
.card{background:var(--card);border:1px solid var(--line);border-radius:.8rem;padding:1.25rem}
.seats{display:grid;grid-template-columns:repeat(auto-fill,minmax(9rem,1fr));gap:.6rem;list-style:none;padding:0;margin:0}
.seats a{display:block;text-align:center;padding:.7rem .5rem;border:1px solid var(--line);border-radius:.6rem;background:var(--card);color:var(--ink);text-decoration:none}
.seats a:hover{border-color:var(--accent);color:var(--accent)}
a{color:var(--accent)}
a:focus-visible,button:focus-visible,input:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
label{display:block;font-weight:600;margin:1rem 0 .3rem}
input{width:100%;font:inherit;padding:.65rem .75rem;border:1px solid var(--line);border-radius:.5rem;background:var(--paper);color:var(--ink)}
button,.button{display:inline-block;font:inherit;font-weight:600;margin-top:1.25rem;padding:.65rem 1.4rem;border:0;border-radius:.5rem;background:var(--accent);color:var(--on-accent);cursor:pointer;text-decoration:none}
form.card label:first-of-type{margin-top:0}
form.card button{width:100%}
.alert{border-left:4px solid var(--bad);background:var(--card);padding:.7rem 1rem;border-radius:.4rem;margin:1rem 0}
table{width:100%;border-collapse:collapse;background:var(--card);border:1px solid var(--line);border-radius:.6rem;overflow:hidden}
th,td{text-align:left;padding:.55rem .8rem;border-top:1px solid var(--line);vertical-align:top}
thead th{border-top:0;color:var(--soft);font-weight:600;font-size:.9rem}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(8rem,1fr));gap:.8rem;margin:0}
.figures div{background:var(--card);border:1px solid var(--line);border-radius:.7rem;padding:.8rem 1rem}
.figures dt{color:var(--soft);font-size:.9rem}.figures dd{margin:0;font-size:1.7rem;font-weight:650;font-variant-numeric:tabular-nums}
.good{color:var(--good)}.bad{color:var(--bad)}.warn{color:var(--warn)}
footer{margin-top:3rem;color:var(--soft);font-size:.9rem}
`;

const LOGO = html`<svg viewBox="0 0 32 32" aria-hidden="true"><rect x="2" y="6" width="12" height="9" rx="2" fill="currentColor" opacity=".55"/><rect x="18" y="17" width="12" height="9" rx="2" fill="currentColor"/><path d="M14 10.5h3a4 4 0 0 1 4 4V17" fill="none" stroke="currentColor" stroke-width="2"/></svg>`;

export type Page = { title: string; body: Html; narrow?: boolean; /** The page's only script. */ script?: string; /** Rules beyond the common ones. */ style?: string; status?: number; headers?: Record<string, string> };

/** A page of ours, with a policy that lets nothing in but itself: no foreign script, frame, form target or picture. */
export function page(content: Page): Response {
  const nonce = crypto.randomUUID();
  const script = content.script === undefined ? "" : new Html(`<script type="module" nonce="${nonce}">${content.script}</script>`);
  const text = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>${content.title}</title><link rel="icon" href="/favicon.ico"><style nonce="${nonce}">${new Html(STYLE + (content.style ?? ""))}</style></head>
<body><main${new Html(content.narrow === true ? ' class="narrow"' : "")}><a class="brand" href="/">${LOGO}<span>ComfyUMe Edge</span></a>${content.body}</main>${script}</body></html>
`.text;
  const headers = {
    "content-type": "text/html; charset=utf-8",
    "cache-control": "no-store",
    "content-security-policy": `default-src 'none'; style-src 'nonce-${nonce}'; ${content.script === undefined ? "" : `script-src 'nonce-${nonce}'; connect-src 'self'; `}img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'`,
    "referrer-policy": "same-origin",
    "x-frame-options": "SAMEORIGIN",
    "x-content-type-options": "nosniff",
    ...content.headers,
  };
  return new Response(text, { status: content.status ?? 200, headers });
}
