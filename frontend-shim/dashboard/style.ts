// What the dashboard looks like beyond the common stylesheet of our pages (join/page.ts); the same variables, so light and dark come along.

export const STYLE = `
.steer{display:grid;gap:1rem}
.steer>div,.announce{display:flex;flex-wrap:wrap;align-items:center;gap:.5rem}
.label{flex:0 0 6.5rem;margin:0;font-weight:600}
button.choice,button.small{margin:0;padding:.4rem .9rem;background:transparent;color:var(--ink);border:1px solid var(--line);font-weight:500}
button.choice:hover,button.small:hover{border-color:var(--accent);color:var(--accent)}
button.choice[aria-pressed=true]{background:var(--accent);border-color:var(--accent);color:var(--on-accent)}
button[hidden]{display:none!important}
button:disabled{opacity:.55;cursor:default}
button.small{padding:.15rem .6rem;font-size:.9rem}
td.acts{white-space:nowrap;text-align:right}
td.acts button+button{margin-left:.4rem}
.announce input{flex:1 1 14rem;width:auto}
.announce select{font:inherit;padding:.5rem;border:1px solid var(--line);border-radius:.5rem;background:var(--paper);color:var(--ink)}
.notices{list-style:none;margin:0;padding:0;display:grid;gap:.4rem}
.notices:empty{display:none}
.notices li{display:flex;gap:.8rem;align-items:baseline;justify-content:space-between}
.hidden{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.num{font-variant-numeric:tabular-nums}
.toast{position:fixed;left:50%;bottom:1.2rem;transform:translateX(-50%);display:flex;gap:.9rem;align-items:center;max-width:min(44rem,calc(100vw - 2rem));padding:.7rem 1rem;background:var(--ink);color:var(--paper);border-radius:.7rem;box-shadow:0 .4rem 1.6rem rgb(0 0 0/.35)}
.toast[hidden]{display:none}
.toast button{margin:0;padding:.3rem .8rem;background:transparent;color:inherit;border:1px solid currentColor;white-space:nowrap}
.toast.bad{background:var(--bad);color:var(--paper)}
section{overflow-x:auto}
@media(max-width:40rem){
.line th:nth-child(5),.line td:nth-child(5){display:none}
th,td{padding:.5rem .45rem}
td.acts{white-space:normal}
td.acts button{display:block;margin:0 0 .3rem auto}
.toast{left:1rem;right:1rem;transform:none;max-width:none;justify-content:space-between}
}
`;
