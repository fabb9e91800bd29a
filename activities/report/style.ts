/** The whole style sheet of a report: it must open from a mail attachment, offline, and print. */
export const STYLE = `
:root { --ink:#16202c; --soft:#5b6b7c; --line:#dfe5ec; --paper:#fff; --wash:#f4f7fa; --good:#14804a; --bad:#c2261b; --work:#2f6fd0; --wait:#d08a17; --mark:#6b3fb5; }
@media (prefers-color-scheme: dark) { :root { --ink:#e7edf4; --soft:#9fb0c1; --line:#2b3846; --paper:#121920; --wash:#1a232d; --good:#3fbf7f; --bad:#ff6b5e; --work:#6ea3f5; --wait:#f0b14a; --mark:#b08bf0; } }
* { box-sizing:border-box } body { margin:0; background:var(--paper); color:var(--ink); font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif; }
main { max-width:1180px; margin:0 auto; padding:32px 24px 64px; } h1 { font-size:26px; margin:0 0 4px; } h2 { font-size:17px; margin:36px 0 10px; }
.under { color:var(--soft); margin:0 0 22px; } .verdict { display:inline-block; padding:3px 12px; border-radius:99px; color:#fff; font-weight:600; margin-bottom:12px; }
.verdict.proven { background:var(--good) } .verdict.failed { background:var(--bad) }
.figures { display:grid; grid-template-columns:repeat(auto-fit,minmax(180px,1fr)); gap:12px; } .figure { background:var(--wash); border-radius:10px; padding:14px 16px; }
.figure b { display:block; font-size:21px; white-space:nowrap; font-variant-numeric:tabular-nums; } .figure span { color:var(--soft); font-size:13px; } .figure.bad b { color:var(--bad) }
.picture { border:1px solid var(--line); border-radius:10px; padding:8px; overflow-x:auto; } svg { width:100%; min-width:760px; height:auto; display:block; }
svg text { font:12px system-ui,sans-serif; fill:var(--ink); } .lane { font-weight:600 } .tick { fill:var(--soft) !important } .grid, .rule { stroke:var(--line) }
.curve { fill:var(--work); opacity:.28 } .bar.good { fill:var(--good) } .bar.bad { fill:var(--bad) } .bar.work { fill:var(--work) } .bar.wait { fill:var(--wait) } .bar.mark { fill:var(--mark) }
.inside { fill:#fff !important } .stroke { stroke-width:2 } .stroke.good { stroke:var(--good) } .stroke.bad { stroke:var(--bad) } .stroke.work { stroke:var(--work) } .stroke.wait { stroke:var(--wait) } .stroke.mark { stroke:var(--mark) }
.note.bad { fill:var(--bad) !important; font-weight:600 } .note.good { fill:var(--good) !important; font-weight:600 }
table { border-collapse:collapse; width:100%; font-variant-numeric:tabular-nums; } th, td { text-align:left; padding:6px 10px; border-bottom:1px solid var(--line); vertical-align:top; overflow-wrap:anywhere; } th { color:var(--soft); font-weight:500; }
.ok, .no { font-weight:700; white-space:nowrap; overflow-wrap:normal } .ok { color:var(--good) } .no { color:var(--bad) } code { font:13px ui-monospace,Menlo,monospace; } a { color:var(--work) }
.scroll { overflow-x:auto } @media print { .picture { break-inside:avoid } }
`;
