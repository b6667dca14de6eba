/** The page `/docs`: every route of the table, without scripts and without requests to anywhere. */
import { createHash } from "node:crypto"
import type { Answer } from "./problem.ts"
import { ROUTES } from "./routes.ts"
import type { Route } from "./routes.ts"

const STYLE = `body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem;color:#1c2330;background:#fff}
h2{margin-top:2.5rem;font-size:1.15rem}code{font-family:ui-monospace,monospace;font-size:.92em}
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.3rem .6rem .3rem 0;border-bottom:1px solid #d5dae3}
pre{padding:.8rem;background:#f1f3f7;overflow:auto}
@media (prefers-color-scheme:dark){body{color:#e4e8f0;background:#12161d}pre{background:#1c222c}th,td{border-color:#323a48}a{color:#8ab4ff}}`

const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" }
const escape = (text: string): string => text.replace(/[&<>"]/g, (sign) => ENTITIES[sign] ?? sign)
/** Escaped, with `code` marked. */
const prose = (text: string): string => escape(text).replace(/`([^`]+)`/g, "<code>$1</code>")

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  rows.length === 0
    ? ""
    : `<table><thead><tr>${head.map((cell) => `<th scope="col">${escape(cell)}</th>`).join("")}</tr></thead><tbody>${rows.map((row) => `<tr>${row.map((cell) => `<td>${cell}</td>`).join("")}</tr>`).join("")}</tbody></table>`

const code = (text: string): string => `<code>${escape(text)}</code>`

const section = ({ method, path, operationId, summary, description, keys, parameters, bodies, answers }: Route): string =>
  [
    `<section><h2 id="${escape(operationId)}">${code(`${method.toUpperCase()} ${path}`)} ${escape(summary)}</h2>`,
    `<p>${prose(description)}</p>`,
    `<p>Key: ${keys.length === 0 ? "none" : keys.map(escape).join(" or ")}.</p>`,
    Object.keys(bodies).length === 0 ? "" : `<p>Bodies: ${Object.keys(bodies).map(code).join(", ")}.</p>`,
    table(["Parameter", "In", "Meaning"], parameters.map(({ name, place, description: what }) => [code(name), place, prose(what)])),
    table(["Status", "Meaning"], answers.map(({ status, description: what }) => [String(status), prose(what)])),
    "</section>"
  ].join("\n")

const EXAMPLE = `curl -H 'Authorization: Bearer <write key>' -H 'Content-Type: application/json' \\
  -d '{"type":"page.viewed","userId":"u1","data":{"page":"/"}}' \\
  http://127.0.0.1:4000/v1/events`

const docsPage = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>Tidemark HTTP</title><style>${STYLE}</style></head>
<body><main><h1>Tidemark over HTTP</h1>
<p>Keys go into <code>Authorization: Bearer</code>. For programs: <a href="/openapi.json">openapi.json</a>.</p>
<pre>${escape(EXAMPLE)}</pre>
${ROUTES.map(section).join("\n")}
</main></body></html>
`

export const docsAnswer: Answer = {
  status: 200,
  headers: {
    "content-type": "text/html; charset=utf-8",
    "cache-control": "no-cache",
    "content-security-policy": `default-src 'none'; style-src 'sha256-${createHash("sha256").update(STYLE).digest("base64")}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`
  },
  body: docsPage
}
